/* auth/auth_users_edit.h - changes of the user file, by one program at a time, each whole or not at all.
 *
 *   auth_users_edit_open(file, may_create, &ed, &e);      // waits for others, reads
 *   auth_users_edit_user(ed, &user, &e); ...              // as many changes as wanted, in memory
 *   auth_users_edit_commit(ed, &e);                       // a new file, synced, under the old name; owner and mode as before
 *   auth_users_edit_close(&ed);                           // without commit: nothing happened
 *
 * The lock is one on the directory (flock), for the file itself is another one after each change. Comments and the order of
 * the lines stay. A server reads the file again by itself.
 *
 * Ownership: the caller's.  Threads: one at a time; blocks.
 * Errors:    -ERR_BUSY after AUTH_USERS_EDIT_WAIT_S: somebody else is at it; -ERR_NOTFOUND, -ERR_EXISTS: of names; those of files.
 * Tests:     tests/unit/auth/test_users_edit.c
 */
#pragma once

#include "auth/auth_users_file.h"

enum { AUTH_USERS_EDIT_WAIT_S = 10 };

struct auth_users_edit;

int auth_users_edit_open(const char *file, bool may_create, struct auth_users_edit **ed_r, struct errtext *e);
void auth_users_edit_close(struct auth_users_edit **ed);

/* As it is with the changes so far; valid until the next one. */
const struct auth_users_table *auth_users_edit_table(const struct auth_users_edit *ed);

/* In place of the user of that name, or as the last line; what it points to may be of the table. */
int auth_users_edit_user(struct auth_users_edit *ed, const struct auth_user *u, struct errtext *e);
int auth_users_edit_alias(struct auth_users_edit *ed, const struct auth_users_entry *alias,
			  struct errtext *e);
/* Lines for many at once. */
int auth_users_edit_append(struct auth_users_edit *ed, struct span lines, struct errtext *e);
/* A user with his aliases, or an alias. Returns how many lines went. */
int auth_users_edit_remove(struct auth_users_edit *ed, struct span name, struct errtext *e);

int auth_users_edit_commit(struct auth_users_edit *ed, struct errtext *e);
