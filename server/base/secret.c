#include "base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

void secret_deinit(struct secret *x)
{
	if (x->p_)
		mem_wipe(x->p_, x->n_);
	free(x->p_);
	*x = (struct secret){ 0 };
}

int secret_set(struct secret *x, struct span s)
{
	if (s.n > SECRET_MAX)
		return -ERR_TOOBIG;
	/* Copied before the old one goes: @s may be a part of it. */
	char *p = mem_strndup(s.p, s.n);
	secret_deinit(x);
	*x = (struct secret){ p, s.n };
	return 0;
}

/* Octets read, at most @room; short only at the end of the file. */
static ssize_t read_all(int fd, char *p, size_t room)
{
	size_t n = 0;

	while (n < room) {
		const ssize_t got = read(fd, p + n, room - n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (got == 0)
			break;
		n += (size_t)got;
	}
	return (ssize_t)n;
}

int secret_read(struct secret *x, const char *path, struct errtext *e)
{
	struct stat st;
	char *p = NULL;
	int rc = 0;

	const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0 || fstat(fd, &st) != 0) {
		rc = errtext_set(e, err_from_errno(errno), "%s: %s", path, strerror(errno));
		goto out;
	}
	p = mem_alloc_raw(SECRET_MAX + 1);
	const ssize_t got = read_all(fd, p, SECRET_MAX + 1);
	if (got < 0) {
		rc = errtext_set(e, err_from_errno(errno), "%s: %s", path, strerror(errno));
		goto out;
	}
	struct span s = span_make(p, (size_t)got);
	if (s.n && s.p[s.n - 1] == '\n')
		s.n--;
	if (s.n && s.p[s.n - 1] == '\r')
		s.n--;
	rc = secret_set(x, s);
	if (rc < 0)
		errtext_set(e, -rc, "%s: over %d octets", path, SECRET_MAX);
	else
		rc = (st.st_mode & S_IROTH) != 0;
out:
	if (p)
		mem_wipe(p, SECRET_MAX + 1);
	free(p);
	if (fd >= 0)
		close(fd);
	return rc;
}

bool secret_eq(const struct secret *x, struct span s)
{
	unsigned char differ = x->n_ != s.n;

	for (size_t i = 0; i < s.n; i++)
		differ |= (unsigned char)((unsigned char)s.p[i] ^ (unsigned char)(i < x->n_ ? x->p_[i] : 0));
	return differ == 0;
}
