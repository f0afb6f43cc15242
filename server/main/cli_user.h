/* main/cli_user.h - what `postern user` asks of C: changes of the user file. lua/lib/cli/user.lua has the other end.
 *
 * The request is lines "key value": verb, file, name and what the verb takes; the answer is JSON. Passwords come from the terminal
 * or standard input (cli_terminal.h) and do not pass through Lua; one that was made here for a device does, to be shown once.
 *
 * Threads: the command line's.  Tests: tests/unit/main/test_cli_user.c
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

int cli_user(void *arg, struct span in, struct buf *out, struct errtext *why);
