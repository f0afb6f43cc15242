#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "spool/spool.h"
#include "spool/spool_file.h"

/* The lock is the kernel's and goes with the process, however it ends; the number in the file is for people. */
static int take_lock(int fd, const char *path, struct errtext *e)
{
	char text[32] = "";

	if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
		const int n = snprintf(text, sizeof text, "%ld\n", (long)getpid());
		if (ftruncate(fd, 0) < 0 || pwrite(fd, text, (size_t)n, 0) < 0)
			return spool_fs_error(e, -errno, "write", path);
		return 0;
	}
	if (errno != EWOULDBLOCK)
		return spool_fs_error(e, -errno, "lock", path);
	const ssize_t n = pread(fd, text, sizeof text - 1, 0);
	if (n > 0)
		text[strcspn(text, "\n")] = 0;
	return errtext_set(e, ERR_BUSY, "%s: the spool is in use by process %s", path,
			   text[0] ? text : "(unknown)");
}

int spool_lock(const char *dir, struct errtext *e)
{
	char path[SPOOL_DIR_MAX + 8];

	if (strlen(dir) > SPOOL_DIR_MAX)
		return errtext_set(e, ERR_TOOBIG, "%s: the name is too long", dir);
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return spool_fs_error(e, -errno, "make directory", dir);
	snprintf(path, sizeof path, "%s/lock", dir);
	const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return spool_fs_error(e, -errno, "open", path);
	const int r = take_lock(fd, path, e);
	if (r < 0)
		close(fd);
	return r; /* the descriptor stays open, and with it the lock */
}
