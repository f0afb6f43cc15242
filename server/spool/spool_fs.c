#include "spool/spool_fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { IOV_BATCH = 512 };

static int result(int r)
{
	return r < 0 ? -errno : r;
}

static int posix_open(void *arg, const char *path, enum spool_fs_mode mode)
{
	(void)arg;
	switch (mode) {
	case SPOOL_FS_READ:
		return result(open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
	case SPOOL_FS_WRITE:
		return result(open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW));
	case SPOOL_FS_CREATE:
		return result(open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
	}
	return -EINVAL;
}

static int posix_close(void *arg, int fd)
{
	(void)arg;
	return result(close(fd));
}

static int64_t posix_size(void *arg, int fd)
{
	struct stat st;

	(void)arg;
	return fstat(fd, &st) < 0 ? -errno : (int64_t)st.st_size;
}

static int64_t posix_read(void *arg, int fd, void *p, size_t n, uint64_t at)
{
	size_t done = 0;

	(void)arg;
	while (done < n) {
		const ssize_t got = pread(fd, (char *)p + done, n - done, (off_t)(at + done));
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		done += (size_t)got;
	}
	return (int64_t)done;
}

static int posix_write(void *arg, int fd, const struct iovec *v, size_t n, uint64_t at)
{
	struct iovec some[IOV_BATCH];
	size_t skip = 0; /* octets of *v that are written */

	(void)arg;
	while (n) {
		const size_t count = n < IOV_BATCH ? n : IOV_BATCH;
		memcpy(some, v, count * sizeof *v);
		some[0].iov_base = (char *)some[0].iov_base + skip;
		some[0].iov_len -= skip;
		const ssize_t put = pwritev(fd, some, (int)count, (off_t)at);
		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return -errno;
		at += (uint64_t)put;
		skip += (size_t)put;
		while (n && skip >= v->iov_len) {
			skip -= v->iov_len;
			v++;
			n--;
		}
		if (n && put == 0)
			return -ENOSPC; /* no error and no progress: never loop on it */
	}
	return 0;
}

static int posix_sync(void *arg, int fd)
{
	(void)arg;
	return result(fdatasync(fd)); /* never repeated, not even after EINTR: what it did is not known */
}

static int posix_allocate(void *arg, int fd, uint64_t octets)
{
	int r;

	(void)arg;
	do
		r = result(fallocate(fd, 0, 0, (off_t)octets));
	while (r == -EINTR);
	/* A file system without it: the size alone, and a full disk is met by a write. */
	return r == -EOPNOTSUPP ? result(ftruncate(fd, (off_t)octets)) : r;
}

static int posix_rename(void *arg, const char *from, const char *to)
{
	(void)arg;
	return result(rename(from, to));
}

static int posix_unlink(void *arg, const char *path)
{
	(void)arg;
	return result(unlink(path));
}

static int posix_mkdir(void *arg, const char *path)
{
	struct stat st;

	(void)arg;
	if (mkdir(path, 0700) == 0)
		return 0;
	const int err = -errno;
	if (err == -EEXIST && stat(path, &st) == 0)
		return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
	return err;
}

static int posix_sync_dir(void *arg, const char *path)
{
	const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)arg;
	if (fd < 0)
		return -errno;
	const int r = result(fsync(fd));
	close(fd);
	return r;
}

static int posix_list(void *arg, const char *path, int (*each)(void *each_arg, const char *name),
		      void *each_arg)
{
	DIR *d = opendir(path);
	int r = 0;

	(void)arg;
	if (!d)
		return -errno;
	while (r >= 0) {
		errno = 0;
		const struct dirent *entry = readdir(d);
		if (!entry) {
			r = -errno;
			break;
		}
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			r = each(each_arg, entry->d_name);
	}
	closedir(d);
	return r < 0 ? r : 0;
}

static int posix_free_octets(void *arg, const char *path, uint64_t *octets_r)
{
	struct statvfs st;

	(void)arg;
	if (statvfs(path, &st) < 0)
		return -errno;
	*octets_r = (uint64_t)st.f_bavail * st.f_frsize;
	return 0;
}

const struct spool_fs *spool_fs_posix(void)
{
	static const struct spool_fs posix = {
		.open = posix_open,
		.close = posix_close,
		.size = posix_size,
		.read = posix_read,
		.write = posix_write,
		.sync = posix_sync,
		.allocate = posix_allocate,
		.rename = posix_rename,
		.unlink = posix_unlink,
		.mkdir = posix_mkdir,
		.sync_dir = posix_sync_dir,
		.list = posix_list,
		.free_octets = posix_free_octets,
	};
	return &posix;
}

int spool_fs_err(int r)
{
	return -err_from_errno(-r);
}

int spool_fs_error(struct errtext *e, int r, const char *what, const char *path)
{
	char text[80];

	return errtext_set(e, -spool_fs_err(r), "%s %s: %s", what, path, strerror_r(-r, text, sizeof text));
}
