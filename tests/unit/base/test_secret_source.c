/* Secrets of files that change, of variables, and back into their file. */
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/secret_source.h"
#include "test.h"

static char dir[64], path[96];

static void put(const char *text, mode_t mode)
{
	char fresh[128];

	snprintf(fresh, sizeof fresh, "%s.new", path);
	FILE *f = fopen(fresh, "w");
	NEED(f != NULL);
	fputs(text, f);
	fclose(f);
	NEED(chmod(fresh, mode) == 0 && rename(fresh, path) == 0);
}

static void begin(void)
{
	snprintf(dir, sizeof dir, "/tmp/postern-secret-XXXXXX");
	NEED(mkdtemp(dir) != NULL);
	snprintf(path, sizeof path, "%s/s", dir);
}

static void end(void)
{
	unlink(path);
	CHECK(rmdir(dir) == 0); /* nothing else was left there */
}

static void a_file_that_changes(void)
{
	struct secret_source s;
	struct errtext e;

	begin();
	secret_source_init(&s, span_of(path), SPAN(""));
	CHECK_INT(-ERR_NOTFOUND, secret_source_refresh(&s, &e));
	CHECK(strstr(e.s, path) != NULL);
	put("one\n", 0600);
	CHECK_INT(1, secret_source_refresh(&s, &e));
	CHECK_SPAN("one", secret_source_span(&s));
	CHECK(!s.exposed);
	CHECK_INT(0, secret_source_refresh(&s, &e));
	put("one\n", 0600); /* another file, the same secret */
	CHECK_INT(0, secret_source_refresh(&s, &e));
	put("two", 0604);
	CHECK_INT(1, secret_source_refresh(&s, &e));
	CHECK_SPAN("two", secret_source_span(&s));
	CHECK(s.exposed);
	put("\n", 0600);
	CHECK_INT(-ERR_INVAL, secret_source_refresh(&s, &e));
	CHECK(strstr(e.s, "is empty") != NULL);
	CHECK_SPAN("two", secret_source_span(&s)); /* the old one goes on */
	unlink(path);
	CHECK_INT(-ERR_NOTFOUND, secret_source_refresh(&s, &e));
	CHECK_SPAN("two", secret_source_span(&s));
	secret_source_deinit(&s);
	end();
}

static void a_variable(void)
{
	struct secret_source s;
	struct errtext e;

	unsetenv("POSTERN_SECRET_TEST");
	secret_source_init(&s, SPAN(""), SPAN("POSTERN_SECRET_TEST"));
	CHECK_INT(-ERR_NOTFOUND, secret_source_refresh(&s, &e));
	CHECK_STR("the environment variable POSTERN_SECRET_TEST is not set", e.s);
	setenv("POSTERN_SECRET_TEST", "xyzzy", 1);
	CHECK_INT(1, secret_source_refresh(&s, &e));
	CHECK_INT(0, secret_source_refresh(&s, &e));
	CHECK_SPAN("xyzzy", secret_source_span(&s));
	CHECK_INT(-ERR_UNSUPPORTED, secret_source_write(&s, SPAN("plugh"), &e));
	CHECK_SPAN("plugh", secret_source_span(&s)); /* kept all the same */
	CHECK(strstr(e.s, "plugh") == NULL);
	secret_source_deinit(&s);
	setenv("POSTERN_SECRET_TEST", "", 1);
	secret_source_init(&s, SPAN(""), SPAN("POSTERN_SECRET_TEST"));
	CHECK_INT(-ERR_INVAL, secret_source_refresh(&s, &e));
	secret_source_deinit(&s);
	unsetenv("POSTERN_SECRET_TEST");
}

static void none_at_all(void)
{
	struct secret_source s;

	secret_source_init(&s, SPAN(""), SPAN(""));
	CHECK(!secret_source_is_there(&s));
	CHECK_INT(0, secret_source_refresh(&s, NULL));
	CHECK_SPAN("", secret_source_span(&s));
	secret_source_deinit(&s);
}

static void back_into_its_file(void)
{
	struct secret_source s;
	struct stat st;
	struct errtext e;
	char text[32] = "";

	begin();
	put("one\n", 0640);
	secret_source_init(&s, span_of(path), SPAN(""));
	CHECK_INT(1, secret_source_refresh(&s, &e));
	CHECK_INT(0, secret_source_write(&s, SPAN("two"), &e));
	CHECK_SPAN("two", secret_source_span(&s));
	CHECK_INT(0, secret_source_refresh(&s, &e)); /* our own change is none */
	NEED(stat(path, &st) == 0);
	CHECK_INT(0640, st.st_mode & 0777);
	FILE *f = fopen(path, "r");
	NEED(f != NULL);
	CHECK(fgets(text, sizeof text, f) != NULL);
	fclose(f);
	CHECK_STR("two\n", text);
	secret_source_deinit(&s);

	/* Where nothing can be written it is kept in memory, and said. */
	secret_source_init(&s, SPAN("/proc/no/such/place"), SPAN(""));
	CHECK(secret_source_write(&s, SPAN("three"), &e) < 0);
	CHECK_SPAN("three", secret_source_span(&s));
	CHECK(strstr(e.s, "/proc/no/such/place cannot be replaced") != NULL);
	CHECK(strstr(e.s, "three") == NULL);
	secret_source_deinit(&s);
	end();
}

TEST_MAIN(TEST(a_file_that_changes), TEST(a_variable), TEST(none_at_all), TEST(back_into_its_file))
