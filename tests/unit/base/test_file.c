#include "base/file.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test.h"

static char dir[] = "/tmp/postern-file-XXXXXX";
static char path[64];

static void set_up(void)
{
	NEED(mkdtemp(dir) != NULL);
	snprintf(path, sizeof path, "%s/f", dir);
}

static unsigned count(void)
{
	DIR *d = opendir(dir);
	unsigned n = 0;

	NEED(d != NULL);
	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

static void check_content(const char *want)
{
	struct buf out = BUF_INIT(1000);
	struct errtext e = { "" };

	CHECK_INT(0, file_read(path, &out, &e));
	CHECK_SPAN(want, buf_span(&out));
	buf_free(&out);
}

static void replaced(void)
{
	struct errtext e = { "" };
	struct stat st;

	CHECK_INT(0, file_replace(path, SPAN("one"), &e));
	check_content("one\n");
	NEED(stat(path, &st) == 0);
	CHECK_INT(0600, st.st_mode & 0777);
	NEED(chmod(path, 0640) == 0);
	CHECK_INT(0, file_replace(path, SPAN("two\nthree\n"), &e));
	check_content("two\nthree\n");
	NEED(stat(path, &st) == 0);
	CHECK_INT(0640, st.st_mode & 0777);
	CHECK_INT(1, count()); /* nothing is left beside it */
	CHECK_STR("", e.s);
}

static void failures(void)
{
	struct buf out = BUF_INIT(4);
	struct errtext e = { "" };

	CHECK_INT(-ERR_NOTFOUND, file_read("/no/such/file", &out, &e));
	CHECK_STR("/no/such/file cannot be opened: No such file or directory", e.s);
	CHECK_INT(-ERR_TOOBIG, file_read(path, &out, &e));
	CHECK(file_read(dir, &out, &e) < 0);
	CHECK_INT(-ERR_NOTFOUND, file_replace("/no/such/file", SPAN("x"), &e));
	CHECK_STR("/no/such/file cannot be replaced: No such file or directory", e.s);
	CHECK(file_replace(dir, SPAN("x"), NULL) < 0); /* a directory */
	CHECK_INT(1, count());
	buf_free(&out);
}

static void descriptors(void)
{
	struct buf out = BUF_INIT(4), nothing = BUF_INIT(4);
	int fd[2];

	NEED(pipe(fd) == 0);
	CHECK_INT(0, file_write_all(fd[1], SPAN("one")));
	CHECK_INT(0, file_write_all(fd[1], SPAN("")));
	CHECK(file_read_all(fd[1], &nothing) < 0); /* the end that is written */
	CHECK(file_write_all(fd[0], SPAN("x")) < 0);
	close(fd[1]);
	CHECK_INT(0, file_read_all(fd[0], &out));
	CHECK_SPAN("one", buf_span(&out));
	CHECK_INT(0, file_read_all(fd[0], &out)); /* the end stays the end */
	CHECK_SPAN("one", buf_span(&out));
	close(fd[0]);
	buf_free(&out);
	buf_free(&nothing);
}

static void tidy(void)
{
	CHECK(unlink(path) == 0);
	CHECK(rmdir(dir) == 0);
}

TEST_MAIN(TEST(set_up), TEST(replaced), TEST(failures), TEST(descriptors), TEST(tidy))
