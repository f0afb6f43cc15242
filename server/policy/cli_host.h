/* policy/cli_host.h - runs the command line's Lua: lua/lib/cli/main.lua in a full Lua state, with functions of C.
 *
 *     static const struct cli_function functions[] = { { "control_request", control_request, &client } };
 *     return cli_host_run(argc, argv, functions, ARRAY_LEN(functions));
 *
 * main/ needs no Lua for it: a function takes octets and gives octets. In Lua it is host.<name>(input), which
 * returns the output, or nil, a message and the error's name. host.json_encode(value) and host.json_decode(text) are there too.
 *
 * Ownership: nothing is kept.  Threads: the caller's.  Tests: tests/unit/policy/test_cli_host.c
 */
#pragma once

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

enum { CLI_OUTPUT_MAX = 256 * 1024 * 1024 };

struct cli_function {
	const char *name;
	/* Returns >= 0, or -ERR_x and says why. @out is empty and holds at most CLI_OUTPUT_MAX octets. */
	int (*call)(void *arg, struct span in, struct buf *out, struct errtext *why);
	void *arg;
};

/* Runs `require "cli.main"` with arg[0 ..]. Returns the exit status: what main.lua returned, 0 for nothing, 1 after
 * an error, which is printed to standard error. */
int cli_host_run(int argc, char *const *argv, const struct cli_function *functions, size_t n);
