#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

int file_write_all(int fd, struct span s)
{
	while (s.n) {
		const ssize_t n = write(fd, s.p, s.n);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -err_from_errno(errno);
		s = span_skip(s, (size_t)n);
	}
	return 0;
}

int file_read_all(int fd, struct buf *out)
{
	char chunk[16384];

	for (;;) {
		const ssize_t n = read(fd, chunk, sizeof chunk);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -err_from_errno(errno);
		if (n == 0)
			return 0;
		if (!buf_add(out, chunk, (size_t)n))
			return -ERR_TOOBIG;
	}
}

/* The name is only there after a crash once its directory is on the disk. */
static void sync_directory(const char *path)
{
	char *dir = mem_strdup(path);
	char *slash = strrchr(dir, '/');

	if (slash)
		*(slash == dir ? slash + 1 : slash) = 0;
	const int fd = open(slash ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0) {
		(void)fsync(fd);
		close(fd);
	}
	free(dir);
}

int file_replace(const char *path, struct span text, struct errtext *e)
{
	struct stat was;
	char fresh[PATH_MAX];
	int saved = 0;

	if ((size_t)snprintf(fresh, sizeof fresh, "%s.XXXXXX", path) >= sizeof fresh)
		return errtext_set(e, ERR_TOOBIG, "%s: the name is too long", path);
	const bool known = stat(path, &was) == 0;
	const int fd = mkostemp(fresh, O_CLOEXEC); /* mode 0600 */
	if (fd < 0)
		return errtext_set(e, err_from_errno(errno), "%s cannot be replaced: %s", path,
				   strerror(errno));
	/* Whoever could read it before can do so now; that may need a right that we do not have. */
	if (known && (fchmod(fd, was.st_mode & 0777) != 0 || fchown(fd, was.st_uid, was.st_gid) != 0) &&
	    fchmod(fd, 0600) != 0)
		saved = errno;
	if (!saved &&
	    (file_write_all(fd, text) != 0 ||
	     (!span_ends(text, SPAN("\n")) && file_write_all(fd, SPAN("\n")) != 0) || fsync(fd) != 0))
		saved = errno ? errno : EIO;
	if (close(fd) != 0 && !saved)
		saved = errno;
	if (!saved && rename(fresh, path) != 0)
		saved = errno;
	if (saved)
		unlink(fresh);
	else
		sync_directory(path);
	return saved ? errtext_set(e, err_from_errno(saved), "%s cannot be replaced: %s", path,
				   strerror(saved))
		     : 0;
}

int file_read(const char *path, struct buf *out, struct errtext *e)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return errtext_set(e, err_from_errno(errno), "%s cannot be opened: %s", path,
				   strerror(errno));
	const int err = file_read_all(fd, out);
	const int saved = errno;
	close(fd);
	if (err == -ERR_TOOBIG && out->overflow)
		return errtext_set(e, ERR_TOOBIG, "%s: more than %zu octets", path, out->max);
	return err < 0 ? errtext_set(e, -err, "%s cannot be read: %s", path, strerror(saved)) : 0;
}
