/* main/cli_terminal.h - secrets that a person types, or that a program pipes in: never a word of the command line, which everybody
 * on the machine can read.
 *
 * Threads: the command line's.  Tests: tests/unit/main/test_cli_user.c
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "base/secret.h"

/* From the terminal, without echo and twice, if standard input is one; else the first line of standard input. @what is for the
 * prompt: "password of copier7". -ERR_INVAL: the two differ, or there is none; -ERR_CANCELED: interrupted. */
int cli_terminal_secret(const char *what, struct secret *secret, struct errtext *why);
