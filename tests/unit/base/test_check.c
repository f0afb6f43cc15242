#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "test.h"

/* Runs @body in a child and returns what it wrote to standard error; *status_r is as from wait(). */
static size_t child_output(void (*body)(void), char *out, size_t max, int *status_r)
{
	int fds[2];
	size_t n = 0;

	fflush(stdout);
	NEED(pipe(fds) == 0);
	const pid_t pid = fork();
	NEED(pid >= 0);
	if (pid == 0) {
		dup2(fds[1], STDERR_FILENO);
		close(fds[0]);
		close(fds[1]);
		signal(SIGABRT, SIG_DFL);
		body();
		_exit(0);
	}
	close(fds[1]);
	for (ssize_t got; n + 1 < max && (got = read(fds[0], out + n, max - 1 - n)) > 0;)
		n += (size_t)got;
	out[n] = 0;
	close(fds[0]);
	NEED(waitpid(pid, status_r, 0) == pid);
	return n;
}

static bool fails(const char *text)
{
	return verify(strcmp(text, "a \"quoted\" \\ text") == 0);
}

static void fail_often(void)
{
	for (int i = 0; i < 50; i++)
		if (fails("x") || !verify(1 + 1 == 2))
			_exit(3);
	if (verify(0 > 1) || check_verify_failures() != 51)
		_exit(4);
}

static void verify_reports_once_per_place(void)
{
	char out[8192];
	int status;

	child_output(fail_often, out, sizeof out, &status);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	const char *second = strchr(out, '\n');
	NEED(second);
	CHECK(strstr(out, "\"event\":\"bug\",\"fatal\":false") != NULL);
	CHECK(strstr(out, "\\\"a \\\\\\\"quoted\\\\\\\"") != NULL);
	CHECK(strstr(second, "0 > 1") != NULL);
	CHECK(strchr(second + 1, '\n') && strchr(second + 1, '\n')[1] == 0);
}

static void need_the_impossible(void)
{
	require(0 == 1);
}

static void require_ends_the_process(void)
{
	char out[4096];
	int status;

	child_output(need_the_impossible, out, sizeof out, &status);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	CHECK(strstr(out, "\"fatal\":true") != NULL);
	CHECK(strstr(out, "0 == 1") != NULL);
	CHECK(strstr(out, "test_check.c:") != NULL);
}

struct outer {
	int first;
	int inner;
};

static void container_of_finds_the_owner(void)
{
	struct outer o = { 1, 2 };
	int *inner = &o.inner;

	CHECK(container_of(inner, struct outer, inner) == &o);
	CHECK_INT(3, ARRAY_LEN(((int[]){ 1, 2, 3 })));
}

TEST_MAIN(TEST(verify_reports_once_per_place), TEST(require_ends_the_process),
	  TEST(container_of_finds_the_owner))
