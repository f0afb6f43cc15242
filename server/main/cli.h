/* main/cli.h - the command line beyond `serve` and `sink`: lua/lib/cli/main.lua with the functions of the server that it needs.
 *
 * Returns the exit status: 0 done, 1 refused or failed, 2 not understood.
 * Tests: tests/unit/main/test_cli.c
 */
#pragma once

int cli_main(int argc, char **argv);
