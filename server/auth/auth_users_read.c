/* The user file as it is read, whole and at once. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "auth/auth_users.h"
#include "auth/auth_users_priv.h"

int auth_users_file_error(struct errtext *e, const char *file)
{
	return errtext_set(e, err_from_errno(errno), "%s: %s", file, strerror(errno));
}

static int read_text(int fd, const char *file, struct buf *text, struct errtext *e)
{
	for (;;) {
		if (!buf_reserve(text, 64 * 1024))
			return errtext_set(e, ERR_TOOBIG, "%s: over %d octets", file, AUTH_USERS_FILE_MAX);
		const ssize_t n = read(fd, text->p + text->n, text->cap - text->n);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return auth_users_file_error(e, file);
		if (n == 0)
			return 0;
		text->n += (size_t)n;
	}
}

int auth_users_load(const char *file, struct stat *st, struct auth_users_table **t_r, struct errtext *e)
{
	struct buf text = BUF_INIT(AUTH_USERS_FILE_MAX + 128 * 1024);
	int err = 0;

	const int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return auth_users_file_error(e, file);
	if (fstat(fd, st) < 0)
		err = auth_users_file_error(e, file);
	else if (!S_ISREG(st->st_mode))
		err = errtext_set(e, ERR_INVAL, "%s: not a file", file);
	if (err == 0)
		err = read_text(fd, file, &text, e);
	if (err == 0) {
		err = auth_users_parse(buf_span(&text), t_r, e);
		if (err < 0)
			errtext_wrap(e, "%s", file);
	}
	buf_wipe(&text);
	close(fd);
	return err;
}

int auth_users_read(const char *file, struct auth_users_table **t_r, struct errtext *e)
{
	struct stat st;

	return auth_users_load(file, &st, t_r, e);
}

int auth_users_look(const char *file, struct errtext *e)
{
	struct auth_users_table *t = NULL;
	struct stat st = { 0 };
	const int err = auth_users_load(file, &st, &t, e);

	auth_users_table_free(&t);
	return err < 0 ? err : (st.st_mode & S_IROTH) != 0;
}

struct auth_users_stamp auth_users_stamp_of(const struct stat *st)
{
	return (struct auth_users_stamp){ st->st_dev, st->st_ino, st->st_size, st->st_mtim, st->st_ctim };
}

bool auth_users_stamp_eq(const struct auth_users_stamp *a, const struct auth_users_stamp *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
	       a->mtime.tv_sec == b->mtime.tv_sec && a->mtime.tv_nsec == b->mtime.tv_nsec &&
	       a->ctime.tv_sec == b->ctime.tv_sec && a->ctime.tv_nsec == b->ctime.tv_nsec;
}
