/* The command line's Lua: what C gives it and what it gives back. */
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "policy/cli_host.h"
#include "test.h"

static char dir[] = "/tmp/cli_hostXXXXXX";

static void write_main(const char *text)
{
	char path[128];

	(void)snprintf(path, sizeof path, "%s/lib/cli/main.lua", dir);
	FILE *f = fopen(path, "we");
	NEED(f != NULL);
	(void)fputs(text, f);
	(void)fclose(f);
}

static void make_dir(void)
{
	char path[128];

	NEED(mkdtemp(dir) != NULL);
	(void)snprintf(path, sizeof path, "%s/lib", dir);
	(void)mkdir(path, 0700);
	(void)snprintf(path, sizeof path, "%s/lib/cli", dir);
	(void)mkdir(path, 0700);
	(void)setenv("POSTERN_LUA_DIR", dir, 1);
}

static void remove_dir(void)
{
	char path[128];
	static const char *const parts[] = { "/lib/cli/main.lua", "/lib/cli", "/lib", "" };

	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
		(void)snprintf(path, sizeof path, "%s%s", dir, parts[i]);
		(void)remove(path);
	}
	(void)unsetenv("POSTERN_LUA_DIR");
}

static int echo(void *arg, struct span in, struct buf *out, struct errtext *why)
{
	++*(int *)arg;
	if (span_eq(in, SPAN("fail")))
		return errtext_set(why, ERR_NOTFOUND, "there is no %s", "such thing");
	buf_add_str(out, "got ");
	buf_add_span(out, in);
	return 0;
}

static int run(const char *text, int *calls)
{
	char postern[] = "postern", queue[] = "queue", ls[] = "ls";
	char *const argv[] = { postern, queue, ls, NULL };
	const struct cli_function functions[] = { { "echo", echo, calls } };

	write_main(text);
	return cli_host_run(3, argv, functions, 1);
}

static void functions_and_status_cross_over(void)
{
	int calls = 0;

	make_dir();
	CHECK_INT(0, run("assert(arg[0] == 'postern' and arg[2] == 'ls')", &calls));
	CHECK_INT(7, run("return 7", &calls));
	CHECK_INT(0, run("assert(host.echo('a\\0b') == 'got a\\0b') return 0", &calls));
	CHECK_INT(1, calls);
	CHECK_INT(
		3,
		run("local r, why, name = host.echo('fail') assert(r == nil and why == 'there is no such thing') "
		    "assert(name:find('NOTFOUND')) return 3",
		    &calls));
	CHECK_INT(
		0,
		run("local t = host.json_decode('{\"a\":[1,2]}') assert(t.a[2] == 2) assert(host.json_encode(t) == '{\"a\":[1,2]}')",
		    &calls));
	CHECK_INT(0,
		  run("assert(require 'schema.hooks'.hooks[1].name == 'connect' and io and os and coroutine)",
		      &calls));
	CHECK_INT(1, run("error('oops')", &calls));
	CHECK_INT(1, run("this is no Lua", &calls));
	remove_dir();
}

TEST_MAIN(TEST(functions_and_status_cross_over))
