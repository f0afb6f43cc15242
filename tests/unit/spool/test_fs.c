#include "spool/spool_fs.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "test.h"

static char dir[64];

static const char *in_dir(const char *name)
{
	static char path[2][100];
	static unsigned which;

	which ^= 1;
	snprintf(path[which], sizeof path[which], "%s/%s", dir, name);
	return path[which];
}

static void set_up(void)
{
	strcpy(dir, "/tmp/postern-fs-XXXXXX");
	NEED(mkdtemp(dir) != NULL);
}

static int count_names(void *arg, const char *name)
{
	CHECK(strcmp(name, ".") != 0 && strcmp(name, "..") != 0);
	++*(int *)arg;
	return 0;
}

static int refuse(void *arg, const char *name)
{
	(void)arg;
	(void)name;
	return -EXDEV;
}

static void files_are_made_written_and_read(void)
{
	const struct spool_fs *fs = spool_fs_posix();
	char got[16] = "";
	int n = 0;

	set_up();
	CHECK_INT(-ENOENT, fs->open(fs->arg, in_dir("a"), SPOOL_FS_READ));
	CHECK_INT(-ENOENT, fs->open(fs->arg, in_dir("a"), SPOOL_FS_WRITE));
	const int fd = fs->open(fs->arg, in_dir("a"), SPOOL_FS_CREATE);
	NEED(fd >= 0);
	CHECK_INT(-EEXIST, fs->open(fs->arg, in_dir("a"), SPOOL_FS_CREATE));
	CHECK_INT(0, fs->allocate(fs->arg, fd, 100));
	CHECK_INT(100, fs->size(fs->arg, fd));
	const struct iovec v[] = { { (char[]){ "abc" }, 3 }, { NULL, 0 }, { (char[]){ "defg" }, 4 } };
	CHECK_INT(0, fs->write(fs->arg, fd, v, 3, 50));
	CHECK_INT(0, fs->sync(fs->arg, fd));
	CHECK_INT(7, fs->read(fs->arg, fd, got, 7, 50));
	CHECK_STR("abcdefg", got);
	CHECK_INT(10, fs->read(fs->arg, fd, got, 16, 90));
	CHECK_INT(0, fs->read(fs->arg, fd, got, 16, 100));
	CHECK_INT(0, fs->close(fs->arg, fd));
	CHECK_INT(-EBADF, (int)fs->read(fs->arg, fd, got, 16, 0));
	CHECK_INT(0, fs->mkdir(fs->arg, in_dir("d")));
	CHECK_INT(0, fs->mkdir(fs->arg, in_dir("d")));
	CHECK_INT(-ENOTDIR, fs->mkdir(fs->arg, in_dir("a")));
	CHECK_INT(0, fs->rename(fs->arg, in_dir("a"), in_dir("b")));
	CHECK_INT(0, fs->sync_dir(fs->arg, dir));
	CHECK_INT(0, fs->list(fs->arg, dir, count_names, &n));
	CHECK_INT(2, n);
	CHECK_INT(-EXDEV, fs->list(fs->arg, dir, refuse, NULL));
	CHECK_INT(-ENOENT, fs->unlink(fs->arg, in_dir("a")));
	CHECK_INT(0, fs->unlink(fs->arg, in_dir("b")));
	CHECK_INT(-ENOENT, fs->list(fs->arg, in_dir("none"), count_names, &n));
	CHECK_INT(-ENOENT, fs->sync_dir(fs->arg, in_dir("none")));
	rmdir(in_dir("d"));
	rmdir(dir);
}

/* More pieces than the system takes at once. */
static void many_pieces_are_written_in_order(void)
{
	enum { PIECES = 3000 };
	const struct spool_fs *fs = spool_fs_posix();
	static uint16_t octets[PIECES], got[PIECES];
	static struct iovec v[PIECES];

	set_up();
	const int fd = fs->open(fs->arg, in_dir("a"), SPOOL_FS_CREATE);
	NEED(fd >= 0);
	for (unsigned i = 0; i < PIECES; i++) {
		octets[i] = (uint16_t)i;
		v[i] = (struct iovec){ &octets[i], sizeof octets[i] };
	}
	CHECK_INT(0, fs->write(fs->arg, fd, v, PIECES, 1));
	CHECK_INT(sizeof got, fs->read(fs->arg, fd, got, sizeof got, 1));
	CHECK(memcmp(octets, got, sizeof got) == 0);
	fs->close(fs->arg, fd);
	fs->unlink(fs->arg, in_dir("a"));
	rmdir(dir);
}

static void a_full_device_is_told(void)
{
	const struct spool_fs *fs = spool_fs_posix();
	const struct iovec v = { (char[]){ "abc" }, 3 };
	struct errtext e;
	uint64_t octets = 0;
	const int fd = fs->open(fs->arg, "/dev/full", SPOOL_FS_WRITE);

	if (fd >= 0) {
		const int r = fs->write(fs->arg, fd, &v, 1, 0);
		CHECK_INT(-ENOSPC, r);
		CHECK_INT(-ERR_NOSPACE, spool_fs_error(&e, r, "write", "/dev/full"));
		CHECK_STR("write /dev/full: No space left on device", e.s);
		fs->close(fs->arg, fd);
	}
	CHECK_INT(0, fs->free_octets(fs->arg, "/", &octets));
	CHECK(octets > 0);
	CHECK_INT(-ENOENT, fs->free_octets(fs->arg, "/does/not/exist", &octets));
	CHECK_INT(-ERR_IO, spool_fs_err(-EIO));
}

TEST_MAIN(TEST(files_are_made_written_and_read), TEST(many_pieces_are_written_in_order),
	  TEST(a_full_device_is_told))
