#include "main/cli_user.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "auth/auth_saslprep.h"
#include "auth/auth_users.h"
#include "base/check.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/rfc3339.h"
#include "main/cli_terminal.h"
#include "main/cli_user_priv.h"

enum { PASSWORD_MIN = 8, GENERATED = 16 };

/* ---- passwords ----------------------------------------------------------------------------------------- */

static const char *too_weak(struct span name, struct span password)
{
	size_t same = 0;

	while (same < password.n && password.p[same] == password.p[0])
		same++;
	if (password.n < PASSWORD_MIN)
		return "the password has less than 8 characters; --generate makes one";
	if (same == password.n)
		return "the password is one character over and over; --generate makes one";
	if (span_ieq(name, password))
		return "the password is the name; --generate makes one";
	return NULL;
}

int cli_user_set_password(struct auth_user *u, struct span password, bool any, struct errtext *why)
{
	struct buf prepared = BUF_INIT(SECRET_MAX);
	const char *weak = NULL;
	int err;

	buf_reserve(&prepared, password.n); /* what grows leaves a part of it behind */
	err = auth_saslprep(password, &prepared);
	if (err < 0)
		err = errtext_set(why, -err,
				  "the password has characters that cannot be prepared (RFC 4013): %s",
				  err_text(err));
	else if (!any && (weak = too_weak(u->name, buf_span(&prepared))))
		err = errtext_set(why, ERR_INVAL, "%s", weak);
	else
		err = auth_user_set_password(u, buf_span(&prepared));
	buf_wipe(&prepared);
	return err;
}

/* Letters and digits that are not mistaken for each other, for small keyboards: 80 bits. */
static int generate(struct secret *secret)
{
	struct id a = id_random(), b = id_random();
	char text[GENERATED];

	_Static_assert(GENERATED <= 2 * ID_LEN, "two ids are enough");
	memcpy(text, a.s, ID_LEN);
	memcpy(text + ID_LEN, b.s, GENERATED - ID_LEN);
	const int err = secret_set(secret, span_make(text, sizeof text));
	mem_wipe(&a, sizeof a);
	mem_wipe(&b, sizeof b);
	mem_wipe(text, sizeof text);
	return err;
}

static int get_password(const struct cli_user_request *req, struct secret *secret, struct errtext *why)
{
	char what[AUTH_USER_MAX + 20];

	if (req->generate)
		return generate(secret);
	(void)snprintf(what, sizeof what, "password of %.*s", SPAN_ARG(req->name));
	return cli_terminal_secret(what, secret, why);
}

/* Reads it before the file is locked: a person who thinks must not keep others waiting. */
static int hash_password(const struct cli_user_request *req, struct auth_user *u, struct json *j,
			 struct errtext *why)
{
	struct secret password = { 0 };
	int err = get_password(req, &password, why);

	if (err >= 0)
		err = cli_user_set_password(u, secret_span(&password), req->generate, why);
	if (err >= 0 && req->generate)
		json_str(j, "password", secret_span(&password));
	secret_deinit(&password);
	return err;
}

/* ---- verbs --------------------------------------------------------------------------------------------- */

static int change_user(const struct cli_user_request *req, struct auth_users_edit *ed, struct auth_user *u,
		       struct errtext *why)
{
	u->changed_s = time(NULL);
	if (req->has_principal)
		u->principal = req->principal;
	if (req->has_comment)
		u->comment = req->comment;
	return auth_users_edit_user(ed, u, why);
}

/* Whether the name may be added, or is there to be changed. */
static int check_name(const struct cli_user_request *req, const struct auth_users_table *t,
		      struct errtext *why)
{
	const struct auth_users_entry *en = auth_users_find(t, req->name);

	if (span_eq(req->verb, SPAN("add")))
		return !en ? 0
			   : errtext_set(why, ERR_EXISTS,
					 "\"%.*s\" is in %s already; postern user passwd sets a new password",
					 SPAN_ARG(req->name), req->path);
	if (!en)
		return errtext_set(why, ERR_NOTFOUND,
				   "%s has no user \"%.*s\"; postern user ls shows those it has", req->path,
				   SPAN_ARG(req->name));
	if (en->is_alias)
		return errtext_set(why, ERR_NOTFOUND, "\"%.*s\" is an alias, of \"%.*s\"",
				   SPAN_ARG(req->name), SPAN_ARG(en->to));
	return 0;
}

/* Before anybody is asked for a password. That the file is not there yet is found out later, when that matters. */
static int check_early(const struct cli_user_request *req, struct errtext *why)
{
	struct auth_users_table *t = NULL;
	int err = auth_users_read(req->path, &t, why);

	if (err == 0)
		err = check_name(req, t, why);
	else if (err == -ERR_NOTFOUND && span_eq(req->verb, SPAN("add")))
		err = 0;
	auth_users_table_free(&t);
	return err;
}

static int add(const struct cli_user_request *req, struct auth_users_edit *ed, struct auth_user *fresh,
	       struct errtext *why)
{
	const int err = check_name(req, auth_users_edit_table(ed), why);

	if (err < 0)
		return err;
	fresh->created_s = time(NULL);
	fresh->disabled = req->disabled;
	return change_user(req, ed, fresh, why);
}

/* passwd, enable, disable, set */
static int change(const struct cli_user_request *req, struct auth_users_edit *ed,
		  const struct auth_user *fresh, struct errtext *why)
{
	const int err = check_name(req, auth_users_edit_table(ed), why);
	struct auth_user u;

	if (err < 0)
		return err;
	u = auth_users_find(auth_users_edit_table(ed), req->name)->user;
	if (span_eq(req->verb, SPAN("passwd"))) {
		u.hash = fresh->hash;
		u.scram = fresh->scram;
	} else if (span_eq(req->verb, SPAN("enable"))) {
		u.disabled = false;
	} else if (span_eq(req->verb, SPAN("disable"))) {
		u.disabled = true;
	}
	return change_user(req, ed, &u, why);
}

static int alias(const struct cli_user_request *req, struct auth_users_edit *ed, struct json *j,
		 struct errtext *why)
{
	struct auth_users_entry a = { .is_alias = true, .to = req->to };
	const struct auth_users_entry *to = auth_users_find(auth_users_edit_table(ed), req->to);

	a.user.name = req->name;
	a.user.comment = req->comment;
	a.user.created_s = time(NULL);
	json_str(j, "to", req->to);
	json_bool(j, "of_this_file", to != NULL);
	return auth_users_edit_alias(ed, &a, why);
}

static void list_entry_json(struct json *j, const struct auth_users_entry *en)
{
	const struct auth_user *u = &en->user;

	json_object(j, NULL);
	json_str(j, "name", u->name);
	if (en->is_alias) {
		json_str(j, "alias_of", en->to);
	} else {
		json_cstr(j, "state", u->disabled ? "disabled" : "enabled");
		json_bool(j, "password", u->hash.log_n != 0);
		json_bool(j, "scram", u->scram.iterations != 0);
		if (u->principal.n)
			json_str(j, "principal", u->principal);
	}
	if (u->created_s)
		json_cstr(j, "created", rfc3339_format(u->created_s).s);
	if (u->changed_s)
		json_cstr(j, "changed", rfc3339_format(u->changed_s).s);
	if (u->comment.n)
		json_str(j, "comment", u->comment);
	json_int(j, "line", en->line);
	json_object_end(j);
}

static int list(const struct cli_user_request *req, struct json *j, struct errtext *why)
{
	struct auth_users_table *t = NULL;
	const int err = auth_users_read(req->path, &t, why);

	if (err < 0)
		return err;
	json_array(j, "users");
	list_for_each(link, &t->entries)
		list_entry_json(j, list_entry(link, struct auth_users_entry, link));
	json_array_end(j);
	auth_users_table_free(&t);
	return 0;
}

/* What is done to the file while it is locked. */
static int edit(const struct cli_user_request *req, struct auth_user *fresh, struct json *j,
		struct errtext *why)
{
	const bool is_import = span_eq(req->verb, SPAN("import")),
		   is_alias = span_eq(req->verb, SPAN("alias"));
	const bool may_create = is_import || is_alias || span_eq(req->verb, SPAN("add"));
	struct auth_users_edit *ed = NULL;
	int err = auth_users_edit_open(req->path, may_create, &ed, why);

	if (err < 0)
		return err;
	if (is_import)
		err = cli_user_import(req, ed, j, why);
	else if (is_alias)
		err = alias(req, ed, j, why);
	else if (span_eq(req->verb, SPAN("add")))
		err = add(req, ed, fresh, why);
	else if (span_eq(req->verb, SPAN("remove")))
		err = auth_users_edit_remove(ed, req->name, why);
	else
		err = change(req, ed, fresh, why);
	if (err > 0)
		json_int(j, "lines_removed", err);
	if (err >= 0)
		err = auth_users_edit_commit(ed, why);
	auth_users_edit_close(&ed);
	return err;
}

/* ---- the request --------------------------------------------------------------------------------------- */

static int take_line(struct cli_user_request *req, struct span line, struct errtext *why)
{
	const struct span key = span_cut(&line, ' ');
	const struct span value = line.p ? line : SPAN("");
	const struct {
		const char *key;
		struct span *value;
		bool *is;
	} fields[] = {
		{ "verb", &req->verb, NULL },
		{ "file", &req->file, NULL },
		{ "name", &req->name, NULL },
		{ "to", &req->to, NULL },
		{ "principal", &req->principal, &req->has_principal },
		{ "comment", &req->comment, &req->has_comment },
		{ "from", &req->from, NULL },
		{ "realm", &req->realm, NULL },
		{ "generate", NULL, &req->generate },
		{ "disabled", NULL, &req->disabled },
		{ "replace", NULL, &req->replace },
	};

	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		if (!span_eq(key, span_of(fields[i].key)))
			continue;
		if (fields[i].value)
			*fields[i].value = value;
		if (fields[i].is)
			*fields[i].is = true;
		return 0;
	}
	return errtext_set(why, ERR_BUG, "user: no parameter \"%.*s\"", SPAN_ARG(span_first(key, 40)));
}

static int prepare_name(struct cli_user_request *req, struct errtext *why)
{
	const int err = auth_saslprep(req->name, &req->prepared);

	if (err < 0)
		return errtext_set(
			why, -err, "\"%.*s\" cannot be a user's name: %s",
			SPAN_ARG(span_first(req->name, 100)),
			req->name.n ? "it is too long, or has characters that cannot be prepared (RFC 4013)"
				    : "it is empty");
	req->name = buf_span(&req->prepared);
	return 0;
}

static int carry_out(struct cli_user_request *req, struct json *j, struct errtext *why)
{
	const bool hashes = span_eq(req->verb, SPAN("add")) || span_eq(req->verb, SPAN("passwd"));
	const bool named = !span_eq(req->verb, SPAN("ls")) && !span_eq(req->verb, SPAN("import"));
	struct auth_user fresh = { 0 };
	int err = 0;

	if (!req->file.n || req->file.n >= sizeof req->path)
		return errtext_set(why, ERR_INVAL, "--file: the path is empty or too long");
	memcpy(req->path, req->file.p, req->file.n);
	if (named)
		err = prepare_name(req, why);
	if (err < 0)
		return err;
	json_str(j, "file", req->file);
	if (named)
		json_str(j, "name", req->name);
	if (span_eq(req->verb, SPAN("ls")))
		return list(req, j, why);
	fresh.name = req->name;
	if (hashes)
		err = check_early(req, why);
	if (hashes && err >= 0)
		err = hash_password(req, &fresh, j, why);
	if (err >= 0)
		err = edit(req, &fresh, j, why);
	mem_wipe(&fresh, sizeof fresh);
	return err;
}

int cli_user(void *arg, struct span in, struct buf *out, struct errtext *why)
{
	struct cli_user_request *req = mem_alloc(sizeof *req);
	struct json j = json_to(out);
	int err = 0;

	(void)arg;
	req->prepared = BUF_INIT(AUTH_USER_MAX - 1);
	while (err == 0 && in.p) {
		const struct span line = span_cut(&in, '\n');
		if (line.n)
			err = take_line(req, line, why);
	}
	json_object(&j, NULL);
	if (err == 0)
		err = carry_out(req, &j, why);
	json_object_end(&j);
	buf_free(&req->prepared);
	free(req);
	return err;
}
