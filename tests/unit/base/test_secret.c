#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/secret.h"
#include "test.h"

static void it_holds_a_copy(void)
{
	struct secret x = { 0 };
	char text[] = "correct horse";

	CHECK_SPAN("", secret_span(&x));
	CHECK_INT(0, secret_set(&x, span_of(text)));
	text[0] = 'X';
	CHECK_SPAN("correct horse", secret_span(&x));
	CHECK_INT(0, secret_set(&x, span_skip(secret_span(&x), 8))); /* a part of itself */
	CHECK_SPAN("horse", secret_span(&x));
	CHECK_INT(0, secret_set(&x, SPAN("bin\0ary")));
	CHECK_INT(7, secret_span(&x).n);
	secret_deinit(&x);
	CHECK_SPAN("", secret_span(&x));
	secret_deinit(&x);
}

static void it_has_a_maximum(void)
{
	struct secret x = { 0 };
	char *big = calloc(1, SECRET_MAX + 1);

	NEED(big);
	CHECK_INT(0, secret_set(&x, SPAN("old")));
	CHECK_INT(-ERR_TOOBIG, secret_set(&x, span_make(big, SECRET_MAX + 1)));
	CHECK_SPAN("old", secret_span(&x));
	CHECK_INT(0, secret_set(&x, span_make(big, SECRET_MAX)));
	secret_deinit(&x);
	free(big);
}

static void comparison_is_exact(void)
{
	struct secret x = { 0 };

	CHECK(secret_eq(&x, SPAN("")));
	CHECK(!secret_eq(&x, SPAN("a")));
	secret_set(&x, SPAN("abc"));
	CHECK(secret_eq(&x, SPAN("abc")));
	CHECK(!secret_eq(&x, SPAN("abd")));
	CHECK(!secret_eq(&x, SPAN("ab")));
	CHECK(!secret_eq(&x, SPAN("abcd")));
	CHECK(!secret_eq(&x, SPAN("abc\0")));
	CHECK(!secret_eq(&x, (struct span){ NULL, 0 }));
	secret_deinit(&x);
}

static void write_file(const char *path, const void *p, size_t n, mode_t mode)
{
	const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	NEED(fd >= 0);
	NEED(write(fd, p, n) == (ssize_t)n && fchmod(fd, mode) == 0);
	close(fd);
}

static void it_comes_from_a_file(void)
{
	char dir[] = "secret-XXXXXX", path[64];
	struct secret x = { 0 };
	struct errtext e;
	char *big = calloc(1, SECRET_MAX + 1);

	NEED(big && mkdtemp(dir));
	snprintf(path, sizeof path, "%s/file", dir);
	write_file(path, "pass word\r\n", 11, 0640);
	CHECK_INT(0, secret_read(&x, path, &e));
	CHECK_SPAN("pass word", secret_span(&x));
	write_file(path, "two\n\n", 5, 0644);
	CHECK_INT(1, secret_read(&x, path, &e));
	CHECK_SPAN("two\n", secret_span(&x));
	write_file(path, big, SECRET_MAX + 1, 0600);
	CHECK_INT(-ERR_TOOBIG, secret_read(&x, path, &e));
	CHECK(strstr(e.s, path) != NULL);
	CHECK_SPAN("two\n", secret_span(&x));
	unlink(path);
	CHECK_INT(-ERR_NOTFOUND, secret_read(&x, path, &e));
	CHECK(strstr(e.s, "No such file") != NULL);
	CHECK(secret_read(&x, dir, &e) < 0);
	rmdir(dir);
	secret_deinit(&x);
	free(big);
}

TEST_MAIN(TEST(it_holds_a_copy), TEST(it_has_a_maximum), TEST(comparison_is_exact),
	  TEST(it_comes_from_a_file))
