/* main/cli_user_priv.h - the request of `postern user`, for the files that carry it out.
 *
 * Tests: tests/unit/main/test_cli_user.c
 */
#pragma once

#include "auth/auth_users_edit.h"
#include "base/json.h"
#include "base/secret.h"

struct cli_user_request {
	struct span verb, file, name, to, principal, comment;
	struct span from, realm; /* import */
	bool has_principal, has_comment;
	bool generate, disabled, replace;
	struct buf prepared; /* what `name` points to once it is prepared */
	char path[4096];     /* file, with its NUL */
};

/* Of a user whose password is prepared by this: also that of an import. */
int cli_user_set_password(struct auth_user *u, struct span password, bool any, struct errtext *why);

int cli_user_import(const struct cli_user_request *req, struct auth_users_edit *ed, struct json *j,
		    struct errtext *why);
