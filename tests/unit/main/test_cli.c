/* The command line in this process: what it prints where, and its status. */
#include "main/cli.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "test.h"

struct run {
	int status;
	struct buf out, err;
};

static int divert(int fd, FILE *to)
{
	const int kept = dup(fd);

	NEED(kept >= 0 && dup2(fileno(to), fd) >= 0);
	return kept;
}

static void restore(int fd, int kept, FILE *from, struct buf *to)
{
	char chunk[4096];
	size_t n;

	NEED(dup2(kept, fd) >= 0);
	close(kept);
	rewind(from);
	while ((n = fread(chunk, 1, sizeof chunk, from)) > 0)
		buf_add(to, chunk, n);
	fclose(from);
}

/* Words as one text: "queue ls --json". */
static struct run run(const char *words)
{
	char text[1000], *argv[32] = { (char *)"postern" };
	struct run r = { 0, BUF_INIT(1 << 20), BUF_INIT(1 << 20) };
	int argc = 1;

	snprintf(text, sizeof text, "%s", words);
	for (char *at = text; *at && argc < 31; argc++) {
		argv[argc] = at;
		at += strcspn(at, " ");
		if (*at)
			*at++ = 0;
	}
	FILE *out = tmpfile(), *err = tmpfile();
	NEED(out && err);
	fflush(stdout);
	fflush(stderr);
	const int kept_out = divert(1, out), kept_err = divert(2, err);
	r.status = cli_main(argc, argv);
	fflush(stdout);
	fflush(stderr);
	restore(1, kept_out, out, &r.out);
	restore(2, kept_err, err, &r.err);
	return r;
}

/* @out and @err: parts of what is printed; NULL: nothing may be. */
static void check(const char *words, int status, const char *out, const char *err)
{
	struct run r = run(words);
	const bool out_ok = out ? span_find(buf_span(&r.out), span_of(out)) >= 0 : r.out.n == 0;
	const bool err_ok = err ? span_find(buf_span(&r.err), span_of(err)) >= 0 : r.err.n == 0;

	if (r.status != status || !out_ok || !err_ok)
		FAIL("postern %s: expected %d, \"%s\", \"%s\"; got %d, \"%.*s\", \"%.*s\"", words, status,
		     out ? out : "", err ? err : "", r.status, SPAN_ARG(buf_span(&r.out)),
		     SPAN_ARG(buf_span(&r.err)));
	buf_free(&r.out);
	buf_free(&r.err);
}

static void help_lists_the_commands(void)
{
	check("help", 0, "  queue ls  ", NULL);
	check("--help", 0, "  serve  ", NULL);
	check("help queue", 0, "  queue bounce  ", NULL);
	check("help queue bounce", 0, "  --reason TEXT", NULL);
	check("queue bounce --help", 0, "usage: postern queue bounce [ID...] [options]\n", NULL);
	check("queue --help", 0, "  queue export  ", NULL);
	check("help serve", 0, "usage: postern serve --config FILE\n", NULL);
	check("simulate --help", 0, "  --ptr NAME", NULL);
}

static void what_is_not_understood_is_status_2(void)
{
	check("", 2, NULL, "usage: postern COMMAND");
	check("queue", 2, NULL, "usage: postern queue COMMAND");
	check("queu ls", 2, NULL, "no command \"queu\"; did you mean \"queue\"?");
	check("queue lst", 2, NULL, "did you mean \"queue ls\"?");
	check("xyzzy", 2, NULL, "no command \"xyzzy\"; postern help has them all");
	check("queue ls --form a", 2, NULL, "no option --form; did you mean --from?");
	check("queue ls --from", 2, NULL, "--from wants a value");
	check("queue ls --from a --from b", 2, NULL, "--from was given twice");
	check("queue ls --json=1", 2, NULL, "--json takes no value");
	check("queue ls -x", 2, NULL, "no option -x");
	check("queue ls nonsense", 2, NULL, "is no queue id");
	check("queue ls --older-than 2x", 2, NULL, "is no time");
	check("queue ls --limit 0", 2, NULL, "--limit: a number from 1 to 10000");
	check("queue show", 2, NULL, "which?");
	check("queue remove", 2, NULL, "nothing is selected");
	check("queue remove --all", 2, NULL, "--reason TEXT");
	check("queue import", 2, NULL, "from where?");
	check("status now", 2, NULL, "status takes no further words");
	check("check", 2, NULL, "--config FILE");
	check("simulate --config x --client 192.0.2.1 --from a", 2, NULL, "--to is wanted");
}

static void what_fails_is_status_1(void)
{
	check("status --control /nonexistent/sock", 1, NULL, "no server answers at /nonexistent/sock");
	check("queue ls --control /nonexistent/sock", 1, NULL, "--control names another socket");
	check("queue import /nonexistent/file", 1, NULL, "/nonexistent/file");
	check("check --config /nonexistent/file", 1, "/nonexistent/file", NULL);
	check("check --json --config /nonexistent/file", 1, "\"ok\":false", NULL);
	check("simulate --config /nonexistent/file --client 192.0.2.1 --from a@b.example --to c@d.example", 1,
	      NULL, "nothing was simulated");
	check("simulate --config x --client nowhere --from a --to b", 1, NULL,
	      "--client: \"nowhere\" is no address");
	check("policy test /nonexistent_spec.lua", 1, "failed", NULL);
}

static void versions_are_those_of_what_is_linked(void)
{
	check("--version", 0, "libmicrohttpd ", NULL);
	check("--version --json", 0, "\"c-ares\":\"", NULL);
	check("version", 0, "luajit 2.", NULL);
}

static void a_damaged_export_is_refused_before_it_is_sent(void)
{
	char path[] = "/tmp/postern-export-XXXXXX", words[200];
	const int fd = mkstemp(path);

	NEED(fd >= 0);
	NEED(write(fd, "PSTQ1\n\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 26) == 26);
	snprintf(words, sizeof words, "queue import %s", path);
	check(words, 1, NULL, "message 1: it was cut off");
	NEED(pwrite(fd, "X", 1, 0) == 1);
	check(words, 1, NULL, "message 1: this is no export");
	close(fd);
	unlink(path);
}

static void a_simulation_is_printed_as_a_dialogue(void)
{
	char dir[] = "/tmp/postern-cli-XXXXXX", path[100], words[400];

	NEED(mkdtemp(dir) != NULL);
	snprintf(path, sizeof path, "%s/postern.lua", dir);
	FILE *f = fopen(path, "w");
	NEED(f != NULL);
	fprintf(f,
		"hostname = 'relay.example.edu'\nlistener 'relay' { bind = '127.0.0.1:2525', policies = {} }\n"
		"route '*' { via = '[127.0.0.1]:2526' }\n");
	fclose(f);
	snprintf(
		words, sizeof words,
		"simulate --config %s --offline --client 192.0.2.1 --ptr a.example.edu --from a@b.example --to c@d.example",
		path);
	check(words, 1, "S: 220 relay.example.edu ", NULL);
	check(words, 1, "C: EHLO a.example.edu\nS: 250-relay.example.edu Hello a.example.edu [192.0.2.1]\n",
	      NULL);
	check(words, 1, "refused   c@d.example\nmessage not sent; nothing was sent or kept\n", NULL);
	snprintf(words, sizeof words, "check --config %s", path);
	check(words, 0, "good", NULL);
	unlink(path);
	rmdir(dir);
}

TEST_MAIN(TEST(help_lists_the_commands), TEST(what_is_not_understood_is_status_2),
	  TEST(what_fails_is_status_1), TEST(versions_are_those_of_what_is_linked),
	  TEST(a_damaged_export_is_refused_before_it_is_sent), TEST(a_simulation_is_printed_as_a_dialogue))
