/* main/cli.h - the command line beyond `serve` and `sink`: lua/lib/cli/main.lua with the functions of the server that it needs. */
#pragma once

int cli_main(int argc, char **argv);
