/* auth/auth_users_priv.h - reading the user file, for the backend, which has to see that it is another one.
 *
 * Tests: tests/unit/auth/test_users.c
 */
#pragma once

#include <sys/stat.h>
#include <time.h>

#include "auth/auth_users_file.h"

struct auth_users_stamp {
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec mtime, ctime;
};

struct auth_users_stamp auth_users_stamp_of(const struct stat *st);
bool auth_users_stamp_eq(const struct auth_users_stamp *a, const struct auth_users_stamp *b);

int auth_users_load(const char *file, struct stat *st_r, struct auth_users_table **t_r, struct errtext *e);
/* What errno says. */
int auth_users_file_error(struct errtext *e, const char *file);
