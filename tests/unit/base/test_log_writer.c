#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log_writer.h"
#include "test.h"

static void put(const struct log_sink *sink, const char *lines)
{
	sink->write(sink->arg, span_of(lines));
}

static size_t read_until_end(int fd, char *out, size_t max)
{
	size_t n = 0;

	for (ssize_t got; n < max && (got = read(fd, out + n, max - n)) > 0;)
		n += (size_t)got;
	return n;
}

static void lines_arrive_in_order(void)
{
	int fds[2];
	char out[4096];

	NEED(pipe(fds) == 0);
	struct log_writer *w = log_writer_new(fds[1], 1 << 20);
	const struct log_sink sink = log_writer_sink(w);
	put(&sink, "one\n");
	put(&sink, "two\nthree\n");
	CHECK(log_writer_close(&w, 5000));
	CHECK(w == NULL);
	CHECK(log_writer_close(&w, 0));
	close(fds[1]);
	const size_t n = read_until_end(fds[0], out, sizeof out);
	CHECK(span_eq(SPAN("one\ntwo\nthree\n"), span_make(out, n)));
	close(fds[0]);
}

/* The reader stands still: what is over the maximum is lost and counted, and nobody waits for it. */
static void a_stuck_reader_stops_nobody(void)
{
	int fds[2];
	static char line[1001];
	struct log_sink sink;

	NEED(pipe(fds) == 0);
	memset(line, 'x', sizeof line - 1);
	line[999] = '\n';
	line[1000] = 0;
	struct log_writer *w = log_writer_new(fds[1], 100 * 1000);
	sink = log_writer_sink(w);
	for (int i = 0; i < 1000; i++)
		put(&sink, line);
	const uint64_t lost = log_writer_lost(w);
	CHECK(lost >= 1000 - 65 - 200 && lost <= 900); /* 64 KiB are in the pipe, one or two buffers wait */
	/* The reader wakes up and gets all that was not lost, in whole lines. */
	const pid_t pid = fork();
	NEED(pid >= 0);
	if (pid == 0) {
		static char all[1000 * 1000];
		close(fds[1]);
		const size_t n = read_until_end(fds[0], all, sizeof all);
		bool whole = n % 1000 == 0;
		for (size_t i = 0; i < n; i += 1000)
			whole &= memcmp(all + i, line, 1000) == 0;
		_exit(whole ? (int)(n / 1000 % 200) : 255);
	}
	close(fds[0]);
	CHECK(log_writer_close(&w, 20000));
	close(fds[1]);
	int status = 0;
	NEED(waitpid(pid, &status, 0) == pid);
	CHECK_INT((1000 - lost) % 200, WEXITSTATUS(status));
}

static void closing_does_not_wait_for_ever(void)
{
	int fds[2];
	static char line[200 * 1000];

	NEED(pipe(fds) == 0);
	memset(line, '\n', sizeof line - 1);
	struct log_writer *w = log_writer_new(fds[1], 1 << 20);
	const struct log_sink sink = log_writer_sink(w);
	put(&sink, line);
	struct log_writer *kept = w; /* still the thread's; the leak checker should know it */
	CHECK(!log_writer_close(&w, 50));
	CHECK(w == NULL);
	static struct log_writer *left_to_the_end;
	left_to_the_end = kept;
	CHECK(left_to_the_end != NULL);
	/* The thread goes on: the reader gets all of it after all. The descriptors stay open under it until the program ends. */
	char drain[4096];
	size_t n = 0;
	while (n < sizeof line - 1) {
		const ssize_t got = read(fds[0], drain, sizeof drain);
		if (got <= 0)
			break;
		n += (size_t)got;
	}
	CHECK_INT(sizeof line - 1, n);
}

static void a_reader_that_went_away_costs_lines_only(void)
{
	int fds[2];

	NEED(pipe(fds) == 0);
	struct log_writer *w = log_writer_new(fds[1], 1 << 20);
	const struct log_sink sink = log_writer_sink(w);
	close(fds[0]);
	put(&sink, "one\ntwo\n");
	for (int i = 0; i < 500 && log_writer_lost(w) == 0; i++)
		usleep(10000);
	CHECK_INT(2, log_writer_lost(w));
	CHECK(log_writer_close(&w, 5000));
	close(fds[1]);
}

/* A descriptor that somebody made non-blocking still gets every line. */
static void non_blocking_descriptors_are_waited_for(void)
{
	int fds[2];
	static char all[300 * 1000], line[1001];
	size_t n = 0;

	NEED(pipe(fds) == 0 && fcntl(fds[1], F_SETFL, O_NONBLOCK) == 0);
	memset(line, 'y', 999);
	line[999] = '\n';
	struct log_writer *w = log_writer_new(fds[1], 1 << 20);
	const struct log_sink sink = log_writer_sink(w);
	for (int i = 0; i < 200; i++)
		put(&sink, line);
	while (n < 200 * 1000) {
		const ssize_t got = read(fds[0], all + n, sizeof all - n);
		NEED(got > 0);
		n += (size_t)got;
	}
	CHECK_INT(200 * 1000, n);
	CHECK(log_writer_close(&w, 5000));
	CHECK_INT(0, memcmp(all + 199 * 1000, line, 1000));
	close(fds[0]);
	close(fds[1]);
}

enum { WRITERS = 4, LINES = 2000 };

struct writer {
	struct log_sink sink;
	int id;
	pthread_t thread;
};

static void *write_numbers(void *arg)
{
	struct writer *w = arg;
	char line[64];

	for (int i = 0; i < LINES; i++) {
		snprintf(line, sizeof line, "%d %d\n", w->id, i);
		put(&w->sink, line);
	}
	return NULL;
}

static void many_loggers_do_not_mix(void)
{
	char path[] = "log-writer-XXXXXX";
	struct writer writers[WRITERS];
	int next[WRITERS] = { 0 }, id, number;
	const int fd = mkstemp(path);

	NEED(fd >= 0);
	struct log_writer *w = log_writer_new(fd, 8 << 20);
	for (int i = 0; i < WRITERS; i++) {
		writers[i] = (struct writer){ .sink = log_writer_sink(w), .id = i };
		NEED(pthread_create(&writers[i].thread, NULL, write_numbers, &writers[i]) == 0);
	}
	for (int i = 0; i < WRITERS; i++)
		pthread_join(writers[i].thread, NULL);
	CHECK_INT(0, log_writer_lost(w));
	CHECK(log_writer_close(&w, 10000));
	lseek(fd, 0, SEEK_SET);
	FILE *f = fdopen(fd, "r");
	NEED(f);
	while (fscanf(f, "%d %d\n", &id, &number) == 2) {
		NEED(id >= 0 && id < WRITERS);
		CHECK_INT(next[id], number);
		next[id]++;
	}
	for (int i = 0; i < WRITERS; i++)
		CHECK_INT(LINES, next[i]);
	fclose(f);
	unlink(path);
}

TEST_MAIN(TEST(lines_arrive_in_order), TEST(a_stuck_reader_stops_nobody),
	  TEST(closing_does_not_wait_for_ever), TEST(a_reader_that_went_away_costs_lines_only),
	  TEST(non_blocking_descriptors_are_waited_for), TEST(many_loggers_do_not_mix))
