#include <string.h>

#include "base/check.h"
#include "tls/tls_context_priv.h"

static struct tls_stamp stamp_of(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return (struct tls_stamp){ 0 };
	return (struct tls_stamp){ st.st_dev, st.st_ino, st.st_size, st.st_mtim, st.st_ctim };
}

static bool same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool same_stamp(const struct tls_stamp *a, const struct tls_stamp *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->octets == b->octets &&
	       same_time(a->mtime, b->mtime) && same_time(a->ctime, b->ctime);
}

void tls_files_add(struct tls_files *f, const char *path)
{
	if (!path)
		return;
	for (size_t i = 0; i < f->n; i++)
		if (strcmp(f->v[i].path, path) == 0)
			return;
	require(f->n < ARRAY_LEN(f->v));
	f->v[f->n++].path = path;
}

bool tls_files_look(struct tls_files *f)
{
	bool changed = false;

	for (size_t i = 0; i < f->n; i++) {
		const struct tls_stamp now = stamp_of(f->v[i].path);
		changed |= !same_stamp(&now, &f->v[i].seen);
		f->v[i].seen = now;
	}
	return changed;
}
