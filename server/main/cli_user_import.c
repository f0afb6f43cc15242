/* postern user import-sasldb: the accounts of a sasldb, whose passwords are in clear, into the user file, where they are hashed.
 *
 * An account of sasldb is user@realm. Those of one realm (the only one there, or --realm) become plain users, with user@realm as an
 * alias, so that devices log in with either as before; those of others keep their realm in their name.
 */
#include <stdlib.h>
#include <time.h>

#include "auth/auth_global.h"
#include "auth/auth_sasldb.h"
#include "auth/auth_saslprep.h"
#include "base/mem.h"
#include "main/cli_user_priv.h"

struct import {
	const struct cli_user_request *req;
	struct auth_users_edit *ed;
	struct json *j;
	struct errtext *why;
	struct buf realm; /* whose users lose it */
	bool one_realm;   /* first walk: no second one was seen */
	struct buf lines; /* of users who are new */
	unsigned imported, replaced;
};

/* ---- the realm ----------------------------------------------------------------------------------------- */

static int see_realm(void *arg, const struct auth_sasldb_user *u)
{
	struct import *im = arg;

	if (!im->realm.n)
		buf_add_span(&im->realm, u->realm);
	else if (!span_eq(buf_span(&im->realm), u->realm))
		im->one_realm = false;
	return !im->one_realm;
}

static int choose_realm(struct import *im, const char *path)
{
	int err = 0;

	im->one_realm = true;
	if (im->req->realm.n)
		buf_add_span(&im->realm, im->req->realm);
	else
		err = auth_sasldb_each(path, see_realm, im, im->why);
	if (!im->one_realm)
		buf_reset(&im->realm);
	return err < 0 ? err : 0;
}

/* ---- accounts ------------------------------------------------------------------------------------------ */

static void skip(struct import *im, struct span name, const char *why)
{
	json_object(im->j, NULL);
	json_str(im->j, "name", name);
	json_cstr(im->j, "why", why);
	json_object_end(im->j);
}

static int put(struct import *im, const struct auth_user *u, bool is_there)
{
	int err = 0;

	if (is_there)
		err = auth_users_edit_user(im->ed, u, im->why);
	else
		auth_users_format_user(u, &im->lines);
	if (err == 0 && im->lines.overflow)
		err = errtext_set(im->why, ERR_TOOBIG, "these are too many users for one file");
	if (err == 0)
		*(is_there ? &im->replaced : &im->imported) += 1;
	return err;
}

static void put_alias(struct import *im, struct span name, struct span realm)
{
	struct buf full = BUF_INIT(AUTH_USER_MAX - 1);
	struct auth_users_entry a = { .is_alias = true, .to = name, .user.created_s = time(NULL) };

	buf_add_span(&full, name);
	buf_add_char(&full, '@');
	buf_add_span(&full, realm);
	a.user.name = buf_span(&full);
	if (!full.overflow && auth_user_is_name(a.user.name) &&
	    !auth_users_find(auth_users_edit_table(im->ed), a.user.name))
		auth_users_format_alias(&a, &im->lines);
	buf_free(&full);
}

static int take(struct import *im, struct span name, const struct auth_sasldb_user *from, bool plain)
{
	const struct auth_users_entry *there = auth_users_find(auth_users_edit_table(im->ed), name);
	struct auth_user u = { .name = name, .created_s = time(NULL), .comment = SPAN_INIT("from sasldb") };
	struct errtext why = { "" };
	int err;

	if (there && (there->is_alias || !im->req->replace)) {
		skip(im, name,
		     there->is_alias ? "it is an alias here"
				     : "it is here already; --replace takes the other password");
		return 0;
	}
	if (!from->password) {
		skip(im, name, "sasldb has no password of it in clear");
		return 0;
	}
	if (there)
		u = there->user;
	u.changed_s = time(NULL);
	err = cli_user_set_password(&u, secret_span(from->password), true, &why);
	if (err < 0) {
		skip(im, name, why.s);
		return 0;
	}
	err = put(im, &u, there != NULL);
	if (err == 0 && plain && !there)
		put_alias(im, name, from->realm);
	return err;
}

static int see_user(void *arg, const struct auth_sasldb_user *from)
{
	struct import *im = arg;
	const bool plain = span_eq(from->realm, buf_span(&im->realm));
	struct buf full = BUF_INIT(AUTH_USER_MAX + AUTH_REALM_MAX), name = BUF_INIT(AUTH_USER_MAX - 1);
	int err = 0;

	buf_add_span(&full, from->user);
	if (!plain) {
		buf_add_char(&full, '@');
		buf_add_span(&full, from->realm);
	}
	if (full.overflow || auth_saslprep(buf_span(&full), &name) < 0)
		skip(im, buf_span(&full), "the name is too long, or cannot be prepared (RFC 4013)");
	else
		err = take(im, buf_span(&name), from, plain);
	buf_free(&full);
	buf_free(&name);
	return err;
}

int cli_user_import(const struct cli_user_request *req, struct auth_users_edit *ed, struct json *j,
		    struct errtext *why)
{
	struct import im = { .req = req,
			     .ed = ed,
			     .j = j,
			     .why = why,
			     .realm = BUF_INIT(AUTH_REALM_MAX),
			     .lines = BUF_INIT(AUTH_USERS_FILE_MAX) };
	char *path = mem_strndup(req->from.p, req->from.n);
	int err = auth_global_init(why);

	if (err == 0)
		err = choose_realm(&im, path);
	json_array(j, "skipped");
	if (err == 0)
		err = auth_sasldb_each(path, see_user, &im, why);
	json_array_end(j);
	if (err == 0 && im.lines.n)
		err = auth_users_edit_append(ed, buf_span(&im.lines), why);
	json_str(j, "realm", buf_span(&im.realm));
	json_int(j, "imported", im.imported);
	json_int(j, "replaced", im.replaced);
	buf_free(&im.realm);
	buf_wipe(&im.lines);
	free(path);
	return err < 0 ? err : 0;
}
