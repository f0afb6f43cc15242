/* policy/bundle_priv.h - what bundle.c, config_host.c and instantiate.c share; private to policy/. */
#pragma once

#include <stdatomic.h>

#include "base/list.h"
#include "base/map.h"
#include "policy/bundle.h"

enum { BUNDLE_FILE_MAX = 16 * 1024 * 1024, BUNDLE_MEM_MAX = 512 * 1024 * 1024 };

struct bundle_text {
	struct map_node node; /* key: kind ':' name */
	struct list link;     /* in the order of reading */
	struct span key;
	struct span text;
	const char *file; /* how errors and tracebacks call it */
	bool on_disk;
};

struct policy_bundle {
	_Atomic int refs;
	struct arena *mem;
	struct span dir; /* of the configuration file; "." if it has none. NUL-terminated */
	const char *config_file;
	struct config_value config;
	struct map texts;
	struct list files;
	size_t nfiles;
	bool open; /* still being loaded: files may be read */
};

struct policy_bundle *bundle_new(const char *config_file);

/* A file of the operator's; a relative path starts in dir. 0, -ERR_NOTFOUND, -ERR_IO, -ERR_TOOBIG. */
int bundle_read(struct policy_bundle *b, struct span path, struct span *text_r, struct errtext *why);

/* The text of a policy or a library module: what was read before, or the file that the README says. */
int bundle_policy(struct policy_bundle *b, struct span name, struct bundle_text **t_r, struct errtext *why);
int bundle_library(struct policy_bundle *b, struct span name, struct bundle_text **t_r, struct errtext *why);

/* For specs and tests, before loading: a policy that is in no file; and loading a configuration that is written as a
 * chunk of Lua which returns what lua/lib/postern/config.lua would. As policy_bundle_load_text(), but the bundle
 * stays the caller's. */
int bundle_add_policy(struct policy_bundle *b, struct span name, struct span text);
int bundle_load_plain(struct policy_bundle *b, struct span chunk, struct config_problems *problems);
/* The same from a value of Lua. */
struct lua_State;
int bundle_load_value(struct policy_bundle *b, struct lua_State *L, int i, struct config_problems *problems);

/* ---- config_host.c ---- */

/* Evaluates the text into b->config; with lua/lib/postern/config.lua, or @plain. */
int config_host_eval(struct policy_bundle *b, struct span text, bool plain, struct config_problems *problems);
