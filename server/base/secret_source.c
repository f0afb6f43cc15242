#include "base/secret_source.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"

void secret_source_init(struct secret_source *s, struct span path, struct span variable)
{
	*s = (struct secret_source){ .path = path.n ? mem_strndup(path.p, path.n) : NULL,
				     .variable = variable.n ? mem_strndup(variable.p, variable.n) : NULL };
}

void secret_source_deinit(struct secret_source *s)
{
	secret_deinit(&s->value_);
	free(s->path);
	free(s->variable);
	*s = (struct secret_source){ 0 };
}

static int64_t ns_of(struct timespec t)
{
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static struct secret_stamp stamp_of(const char *path)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return (struct secret_stamp){ 0 };
	return (struct secret_stamp){ .device = (uint64_t)st.st_dev,
				      .inode = (uint64_t)st.st_ino,
				      .octets = (uint64_t)st.st_size,
				      .changed_ns = ns_of(st.st_ctim),
				      .modified_ns = ns_of(st.st_mtim) };
}

static bool same_stamp(const struct secret_stamp *a, const struct secret_stamp *b)
{
	return a->device == b->device && a->inode == b->inode && a->octets == b->octets &&
	       a->changed_ns == b->changed_ns && a->modified_ns == b->modified_ns;
}

static int read_variable(struct secret *fresh, const char *variable, struct errtext *e)
{
	const char *value = getenv(variable);

	if (!value)
		return errtext_set(e, ERR_NOTFOUND, "the environment variable %s is not set", variable);
	if (secret_set(fresh, span_of(value)) < 0)
		return errtext_set(e, ERR_TOOBIG, "the environment variable %s: over %d octets", variable,
				   SECRET_MAX);
	return 0;
}

/* 1: @fresh has what is there now; 0: nothing changed. */
static int read_now(struct secret_source *s, struct secret *fresh, struct errtext *e)
{
	/* The stamp is of the time before: what changes meanwhile is read next time. */
	const struct secret_stamp now = s->path ? stamp_of(s->path) : (struct secret_stamp){ 0 };

	if (s->path && s->read_ && same_stamp(&now, &s->seen_))
		return 0;
	const int r = s->path ? secret_read(fresh, s->path, e) : read_variable(fresh, s->variable, e);
	if (r < 0)
		return r;
	s->exposed = r > 0;
	s->seen_ = now;
	s->read_ = true;
	return 1;
}

int secret_source_refresh(struct secret_source *s, struct errtext *e)
{
	struct secret fresh = { 0 };

	if (!secret_source_is_there(s))
		return 0;
	int r = read_now(s, &fresh, e);
	if (r > 0 && !secret_span(&fresh).n)
		r = errtext_set(e, ERR_INVAL, "%s%s is empty", s->path ? "" : "the environment variable ",
				s->path ? s->path : s->variable);
	if (r > 0 && secret_eq(&s->value_, secret_span(&fresh)))
		r = 0;
	if (r > 0) {
		secret_deinit(&s->value_);
		s->value_ = fresh;
	} else {
		secret_deinit(&fresh);
	}
	return r;
}

int secret_source_replace(struct secret_source *s, struct span value)
{
	return secret_set(&s->value_, value);
}

/* ---- writing ------------------------------------------------------------------------------------------------------ */

int secret_source_write(struct secret_source *s, struct span value, struct errtext *e)
{
	const int r = secret_source_replace(s, value);

	if (r < 0)
		return errtext_set(e, -r, "a secret of more than %d octets", SECRET_MAX);
	if (!s->path)
		return errtext_set(e, ERR_UNSUPPORTED,
				   "the environment variable %s cannot be changed from here",
				   s->variable ? s->variable : "");
	const int err = file_replace(s->path, value, e);
	if (err < 0)
		return err;
	s->seen_ = stamp_of(s->path);
	s->read_ = true;
	return 0;
}
