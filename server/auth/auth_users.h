/* auth/auth_users.h - Postern's own user file as a backend: who may log in, with passwords hashed (auth_user.h).
 *
 * A check of a password costs scrypt, so it runs on the backend's own threads with a bounded queue; a password that was
 * right a moment ago is known again without that for AUTH_CACHE_RIGHT_MAX_US at most (auth_cache.h), so that a copier which
 * logs in for each page costs it once. All of that is forgotten when the file changes. Of many checks of the same user and
 * password that wait at once, one does the work.
 *
 * The file is read when the backend is made and by refresh(); an alias of the file is known to backends behind this one as well.
 *
 * Ownership: as auth_backend.h has it; the configuration is read during the call.
 * Threads:   any loop; the table and the cache are under a lock that is held for a look-up only.
 * Errors:    a file that cannot be read or has a mistake: auth_users_new() fails; at refresh() the old users stay, and it is told.
 * Tests:     tests/unit/auth/test_users.c
 */
#pragma once

#include "auth/auth_backend.h"
#include "auth/auth_users_file.h"
#include "base/err.h"

enum { AUTH_USERS_THREADS_MAX = 8, AUTH_USERS_QUEUE_MAX = 1000, AUTH_USERS_CACHE_MAX = 10000 };

struct auth_users_config {
	struct span file;
	unsigned threads;   /* 0: half the processors, 2 to AUTH_USERS_THREADS_MAX */
	unsigned queue_max; /* 0: AUTH_USERS_QUEUE_MAX */
	int64_t timeout_us; /* 0: 20 s; then nobody can say */
	int64_t cache_us; /* how long a right password is known; < 0: not at all; 0: AUTH_CACHE_RIGHT_MAX_US, the most */
};

int auth_users_new(const struct auth_users_config *cfg, struct auth_backend **b_r, struct errtext *e);

/* 1: everybody on the machine may read the file, which deserves a warning; 0: not; -ERR_x: it cannot be used. For `postern
 * check`. */
int auth_users_look(const char *file, struct errtext *e);

/* Reads and parses. Also for tools. */
int auth_users_read(const char *file, struct auth_users_table **t_r, struct errtext *e);
