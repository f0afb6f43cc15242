/* The way of a change: the directory is locked, the file read; changes make a new text, which is parsed as any file is, so that
 * nothing is ever written that could not be read; at the end it becomes a file beside the old one, is synced, and takes its
 * name. */
#include "auth/auth_users_edit.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "auth/auth_users.h"
#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"
#include "tls/tls_digest.h"

enum { TEXT_MAX = AUTH_USERS_FILE_MAX + AUTH_USERS_LINE_MAX };

struct auth_users_edit {
	char *file; /* where links lead */
	char *dir;
	int dir_fd; /* with the lock */
	struct auth_users_table *table;
	bool exists;
};

static int fail(struct errtext *e, const char *doing, const char *path)
{
	const int err = errno;

	return errtext_set(e, err_from_errno(err), "%s: %s: %s", path, doing, strerror(err));
}

/* ---- open ---------------------------------------------------------------------------------------------- */

/* A link to the file stays one: what it leads to is changed. */
static char *resolved(const char *file)
{
	char *path = realpath(file, NULL);

	return path ? path : mem_strdup(file);
}

static char *directory_of(const char *file)
{
	const ptrdiff_t slash = span_rfind_char(span_of(file), '/');

	return slash < 0 ? mem_strdup(".") : mem_strndup(file, slash ? (size_t)slash : 1);
}

static int lock(struct auth_users_edit *ed, struct errtext *e)
{
	const struct timespec nap = { 0, 50 * 1000 * 1000 };

	ed->dir_fd = open(ed->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (ed->dir_fd < 0)
		return fail(e, "open", ed->dir);
	for (int i = 0; flock(ed->dir_fd, LOCK_EX | LOCK_NB) < 0; i++) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return fail(e, "lock", ed->dir);
		if (i == AUTH_USERS_EDIT_WAIT_S * 20)
			return errtext_set(e, ERR_BUSY, "%s: somebody else is changing it", ed->file);
		(void)nanosleep(&nap, NULL);
	}
	return 0;
}

static int begin_empty(struct auth_users_edit *ed, struct errtext *e)
{
	struct buf head = BUF_INIT(AUTH_USERS_LINE_MAX);
	uint8_t key[AUTH_USERS_KEY];
	int err = tls_random(key, sizeof key);

	if (err == 0) {
		auth_users_format_head(key, &head);
		err = auth_users_parse(buf_span(&head), &ed->table, e);
	}
	tls_wipe(key, sizeof key);
	buf_wipe(&head);
	return err;
}

int auth_users_edit_open(const char *file, bool may_create, struct auth_users_edit **ed_r, struct errtext *e)
{
	struct auth_users_edit *ed = mem_alloc(sizeof *ed);
	int err;

	ed->dir_fd = -1;
	ed->file = resolved(file);
	ed->dir = directory_of(ed->file);
	err = lock(ed, e);
	if (err == 0) {
		ed->exists = access(ed->file, F_OK) == 0;
		err = ed->exists || !may_create ? auth_users_read(ed->file, &ed->table, e)
						: begin_empty(ed, e);
	}
	if (err < 0)
		auth_users_edit_close(&ed);
	else
		*ed_r = ed;
	return err;
}

void auth_users_edit_close(struct auth_users_edit **edp)
{
	struct auth_users_edit *ed = *edp;

	if (!ed)
		return;
	*edp = NULL;
	auth_users_table_free(&ed->table);
	if (ed->dir_fd >= 0)
		close(ed->dir_fd); /* and the lock goes */
	free(ed->file);
	free(ed->dir);
	free(ed);
}

const struct auth_users_table *auth_users_edit_table(const struct auth_users_edit *ed)
{
	return ed->table;
}

/* ---- changes ------------------------------------------------------------------------------------------- */

static int change(struct auth_users_edit *ed, const struct auth_users_entry *old, struct span line,
		  struct errtext *e)
{
	struct buf text = BUF_INIT(TEXT_MAX);
	struct auth_users_table *t = NULL;

	auth_users_replace(ed->table, old, line, &text);
	const int err = text.overflow ? errtext_set(e, ERR_TOOBIG, "%s: it would be too large", ed->file)
				      : auth_users_parse(buf_span(&text), &t, e);
	buf_wipe(&text);
	if (err < 0)
		return err;
	require(t); /* that was no error */
	auth_users_table_free(&ed->table);
	ed->table = t;
	return 0;
}

/* The entry of that name if it is of the same kind. */
static int find_old(struct auth_users_edit *ed, struct span name, bool is_alias,
		    const struct auth_users_entry **old_r, struct errtext *e)
{
	const struct auth_users_entry *old = auth_users_find(ed->table, name);

	if (old && old->is_alias != is_alias)
		return errtext_set(e, ERR_EXISTS, "\"%.*s\" is %s already", SPAN_ARG(name),
				   old->is_alias ? "an alias" : "a user");
	*old_r = old;
	return 0;
}

int auth_users_edit_user(struct auth_users_edit *ed, const struct auth_user *u, struct errtext *e)
{
	struct buf line = BUF_INIT(TEXT_MAX);
	const struct auth_users_entry *old = NULL;
	int err = find_old(ed, u->name, false, &old, e);

	auth_users_format_user(u, &line);
	if (err == 0)
		err = change(ed, old, buf_span(&line), e);
	buf_wipe(&line);
	return err;
}

int auth_users_edit_alias(struct auth_users_edit *ed, const struct auth_users_entry *alias, struct errtext *e)
{
	struct buf line = BUF_INIT(TEXT_MAX);
	const struct auth_users_entry *old = NULL;
	int err = find_old(ed, alias->user.name, true, &old, e);

	auth_users_format_alias(alias, &line);
	if (err == 0)
		err = change(ed, old, buf_span(&line), e);
	buf_free(&line);
	return err;
}

int auth_users_edit_append(struct auth_users_edit *ed, struct span lines, struct errtext *e)
{
	return change(ed, NULL, lines, e);
}

static const struct auth_users_entry *alias_of(const struct auth_users_table *t, struct span name)
{
	list_for_each(link, &t->entries) {
		const struct auth_users_entry *en = list_entry(link, struct auth_users_entry, link);
		if (en->is_alias && span_eq(en->to, name))
			return en;
	}
	return NULL;
}

int auth_users_edit_remove(struct auth_users_edit *ed, struct span name, struct errtext *e)
{
	const struct auth_users_entry *en = auth_users_find(ed->table, name);
	int removed = 1;

	if (!en)
		return errtext_set(e, ERR_NOTFOUND, "there is no user \"%.*s\"",
				   SPAN_ARG(span_first(name, 100)));
	const bool is_alias = en->is_alias;
	int err = change(ed, en, SPAN(""), e);
	while (err == 0 && !is_alias && (en = alias_of(ed->table, name))) {
		err = change(ed, en, SPAN(""), e);
		removed++;
	}
	return err < 0 ? err : removed;
}

/* ---- commit -------------------------------------------------------------------------------------------- */

/* A new file belongs to the group of its directory, as the server that will read it does. */
static int set_owner(const struct auth_users_edit *ed, int fd, struct errtext *e)
{
	struct stat st, own;
	mode_t mode = 0640;

	if (ed->exists ? stat(ed->file, &st) < 0 : fstat(ed->dir_fd, &st) < 0)
		return fail(e, "look at", ed->file);
	if (fstat(fd, &own) < 0)
		return fail(e, "look at", ed->file);
	if (ed->exists)
		mode = st.st_mode & 07777;
	else
		st.st_uid = own.st_uid;
	if ((st.st_uid != own.st_uid || st.st_gid != own.st_gid) && fchown(fd, st.st_uid, st.st_gid) < 0 &&
	    (ed->exists || errno != EPERM))
		return fail(e, "keep its owner (be root, or who owns it)", ed->file);
	return fchmod(fd, mode) < 0 ? fail(e, "set its mode", ed->file) : 0;
}

int auth_users_edit_commit(struct auth_users_edit *ed, struct errtext *e)
{
	char fresh[PATH_MAX];
	int err;

	const int n = snprintf(fresh, sizeof fresh, "%s.XXXXXX", ed->file);
	if (n < 0 || (size_t)n >= sizeof fresh)
		return errtext_set(e, ERR_TOOBIG, "%s: the name is too long", ed->file);
	const int fd = mkostemp(fresh, O_CLOEXEC);
	if (fd < 0)
		return fail(e, "make a new file beside it", ed->file);
	err = set_owner(ed, fd, e);
	if (err == 0 && file_write_all(fd, ed->table->text) < 0)
		err = fail(e, "write", fresh);
	if (err == 0 && fsync(fd) < 0)
		err = fail(e, "sync", fresh);
	if (close(fd) < 0 && err == 0)
		err = fail(e, "close", fresh);
	if (err == 0 && rename(fresh, ed->file) < 0)
		err = fail(e, "rename", fresh);
	if (err < 0) {
		(void)unlink(fresh);
		return err;
	}
	ed->exists = true;
	return fsync(ed->dir_fd) < 0 ? fail(e, "sync", ed->dir) : 0;
}
