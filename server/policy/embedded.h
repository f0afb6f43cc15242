/* policy/embedded.h - the Lua files that are part of the program.
 *
 * The build makes gen/embedded_lua.c of lua/lib, lua/policies and schema: "lib/relay/init.lua", "policies/helo_characters.lua",
 * "schema/hooks.lua". For development the environment variable POSTERN_LUA_DIR names a directory whose lib/,
 * policies/ and schema/ are looked into first; a file that is not there comes from the program.
 *
 * Ownership: see embedded_load().  Threads: any.  Tests: tests/unit/policy/test_cli_host.c
 */
#pragma once

#include <stddef.h>

#include "base/span.h"

enum { EMBEDDED_FILE_MAX = 1024 * 1024 };

struct embedded_file {
	const char *name;
	const unsigned char *bytes;
	size_t n;
};

/* gen/embedded_lua.c; sorted by name. */
extern const struct embedded_file embedded_files[];
extern const size_t embedded_files_n;

/* Returns 0, or -ERR_NOTFOUND. The text is constant, unless *free_r is not NULL: then it lives until that is freed. */
int embedded_load(const char *name, struct span *text_r, char **free_r);
