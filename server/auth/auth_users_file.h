/* auth/auth_users_file.h - the text of Postern's user file, as a value: read strictly, and changed a line at a time.
 *
 *   # a comment; it stays where it is
 *   key BASE64                                      32 octets: of them come the salts that users who are not here seem to have
 *   user copier7 password=scrypt:... scram=... created=2026-11-21T10:00:00Z changed=... [disabled] [principal=NAME] [comment="..."]
 *   alias cp-4711 to=smtp-relay/scan.example.edu@EXAMPLE.EDU [created=...] [comment="..."]
 *
 * A user has a password, a verifier, or both. An alias is another name for a user of this file or of another backend: a short
 * one, for devices whose fields are short. A value with spaces, quotes or letters that are not ASCII stands in quotes, where \" and
 * \\ are what they are. Anything else is an error with its line: who mistypes "disabled" must not let the user in.
 *
 * Pure: text in, value out.  Ownership: a table owns everything, a copy of the text too; its spans live as long as it does.
 * Threads:   one at a time; reading from many once it is made.
 * Limits:    AUTH_USERS_FILE_MAX octets, AUTH_USERS_LINE_MAX in a line, AUTH_USERS_MAX users and aliases.
 * Tests:     tests/unit/auth/test_users_file.c, tests/fuzz/fuzz_auth_users_file.c
 */
#pragma once

#include "auth/auth_user.h"
#include "base/arena.h"
#include "base/list.h"
#include "base/map.h"

enum {
	AUTH_USERS_FILE_MAX = 64 << 20,
	AUTH_USERS_LINE_MAX = 4096,
	AUTH_USERS_MAX = 100000,
	AUTH_USERS_KEY = 32,
};

struct auth_users_entry {
	struct map_node node; /* by name; users and aliases are in one map, for a name is one or the other */
	struct list link;     /* in the order of the file */
	bool is_alias;
	unsigned line;
	struct span source;    /* the line in the text, with its end */
	struct auth_user user; /* of an alias: name, comment and created_s only */
	struct span to;        /* of an alias */
};

struct auth_users_table {
	struct arena *mem;
	struct span text;
	struct map names;
	struct list entries;
	bool has_key;
	uint8_t key[AUTH_USERS_KEY];
};

/* -ERR_SYNTAX, -ERR_TOOBIG, -ERR_EXISTS: "line 12: ...". */
int auth_users_parse(struct span text, struct auth_users_table **t_r, struct errtext *e);
void auth_users_table_free(struct auth_users_table **t);

/* NULL: there is none. An alias is not followed. */
const struct auth_users_entry *auth_users_find(const struct auth_users_table *t, struct span name);

/* A line, with its end. */
void auth_users_format_user(const struct auth_user *u, struct buf *out);
void auth_users_format_alias(const struct auth_users_entry *a, struct buf *out);
/* What a new file begins with. */
void auth_users_format_head(const uint8_t key[AUTH_USERS_KEY], struct buf *out);

/* The text with @line instead of the entry's own (empty: without it), or behind the last line if @entry is NULL. */
void auth_users_replace(const struct auth_users_table *t, const struct auth_users_entry *entry,
			struct span line, struct buf *out);
