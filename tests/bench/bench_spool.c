/* bench_spool.c - how fast one worker's spool takes messages, with real syncs, and how long it takes to read them again.
 *
 *   bench_spool DIR [messages]      DIR is emptied first, and must be on the disk that is to be measured
 *
 * Writers are state machines on one loop: each writes a message of 4 KiB, commits it, and drops it when the commit is complete,
 * as a delivery would; so segments are used again.
 */
#include <inttypes.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "../unit/spool/spool_fixture.h"

struct writer {
	struct bench *bench;
	struct spool_commit commit;
	int64_t started_us;
};

struct bench {
	struct fixture *f;
	unsigned left, running, done;
	size_t octets;
	bool keep;
	bool ended;
	int64_t waited_us, longest_us;
	char *body;
};

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void start(struct writer *w);

static void on_committed(struct op *op)
{
	struct writer *w = container_of(op, struct writer, commit.op);
	struct bench *b = w->bench;
	const int64_t took_us = now_us() - w->started_us;

	if (op->status < 0) {
		printf("a commit failed: %s\n", err_text(op->status));
		exit(1);
	}
	b->waited_us += took_us;
	b->longest_us = took_us > b->longest_us ? took_us : b->longest_us;
	b->done++;
	if (!b->keep)
		spool_drop(b->f->spool, w->commit.id);
	spool_image_unref(&w->commit.image);
	start(w);
}

static void start(struct writer *w)
{
	struct bench *b = w->bench;
	struct spool_write *sw;

	if (!b->left) {
		b->ended = --b->running == 0;
		return;
	}
	b->left--;
	w->started_us = now_us();
	int r = spool_write_begin(b->f->spool, 0, &sw);
	if (r == 0)
		r = spool_write_body(sw, span_make(b->body, b->octets));
	op_init(&w->commit.op, on_committed);
	if (r == 0)
		r = spool_commit_start(
			&w->commit, &b->f->scope, &sw,
			SPAN("an envelope of about eighty octets, which is what most of them come to, more or less"),
			SPAN("Received: by here\r\nSubject: x\r\n\r\n"));
	if (r < 0) {
		printf("a message was refused: %s\n", err_text(r));
		exit(1);
	}
}

static double cpu_s(void)
{
	struct rusage r;

	getrusage(RUSAGE_SELF, &r);
	return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
	       (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}

static void run(struct fixture *f, const char *what, unsigned writers, unsigned messages, size_t octets,
		bool keep)
{
	struct bench b = { .f = f, .left = messages, .running = writers, .octets = octets, .keep = keep };
	struct metric_shard *const shards[] = { f->metrics };
	struct writer *w = mem_alloc_array(writers, sizeof *w);
	const int64_t syncs = metric_sum(METRIC_SPOOL_FSYNCS_TOTAL, shards, 1), started_us = now_us();

	const double cpu = cpu_s();

	b.body = mem_alloc(octets + 1);
	memset(b.body, 'x', octets);
	for (unsigned i = 0; i < writers; i++) {
		w[i].bench = &b;
		start(&w[i]);
	}
	while (!b.ended)
		loop_run_once(f->loop, true);
	const double took_s = (double)(now_us() - started_us) / 1e6;
	printf("%-34s %8.0f messages/s, %6.0f us each (longest %" PRId64
	       "), %.3f syncs and %.1f us of CPU a message\n",
	       what, messages / took_s, (double)b.waited_us / messages, b.longest_us,
	       (double)(metric_sum(METRIC_SPOOL_FSYNCS_TOTAL, shards, 1) - syncs) / messages,
	       (cpu_s() - cpu) * 1e6 / messages);
	struct spool_stats st;
	spool_stats(f->spool, &st);
	printf("  %" PRIu64 " messages live, %" PRIu64 " MiB live, %" PRIu64 " MiB on disk, %" PRIu64
	       " segments, %" PRIu64 " spare\n",
	       st.messages, st.live_octets >> 20, st.disk_octets >> 20, st.segments, st.segments_spare);
	free(b.body);
	free(w);
}

static long resident_kib(void)
{
	long pages = 0, resident = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (f && fscanf(f, "%ld %ld", &pages, &resident) == 2)
		fclose(f);
	return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

static int count_message(void *arg, uint64_t id, struct span meta, uint64_t head_bytes, uint64_t body_bytes)
{
	(void)id;
	(void)meta;
	(void)head_bytes;
	(void)body_bytes;
	++*(uint64_t *)arg;
	return 0;
}

static void no_note(void *arg, uint64_t id, struct span note)
{
	(void)arg;
	(void)id;
	(void)note;
}

static void uncount(void *arg, uint64_t id)
{
	(void)id;
	--*(uint64_t *)arg;
}

static void no_snapshot(void *arg, uint64_t id, struct buf *note_r)
{
	(void)arg;
	(void)id;
	(void)note_r;
}

static void reopen(struct fixture *f)
{
	static uint64_t n;
	const struct spool_recovery owner = { &n, count_message, no_note, uncount, no_snapshot };

	n = 0;
	f->closed = false;
	if (spool_open(&f->spool, &f->cfg, NULL, f->loop, f->pool, &f->log, f->metrics, &owner, &f->found,
		       &f->e) < 0) {
		printf("%s\n", f->e.s);
		exit(1);
	}
	printf("recovery: %" PRIu64 " messages, %" PRIu64 " MiB in %.2f s\n", n, f->found.octets >> 20,
	       (double)f->found.took_us / 1e6);
}

int main(int argc, char **argv)
{
	const unsigned many = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 1000000;
	struct fixture *f;

	if (argc < 2 || strlen(argv[1]) >= sizeof f->dir) {
		fprintf(stderr, "usage: bench_spool DIR [messages]\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	f = fixture_new();
	fixture_remove_dir(f->dir);
	fixture_remove_dir(argv[1]);
	snprintf(f->dir, sizeof f->dir, "%s", argv[1]);
	f->cfg.segment_bytes = 64 * 1024 * 1024;
	f->cfg.small_max_bytes = 256 * 1024;
	f->cfg.memory_budget_bytes = 256 * 1024 * 1024;
	f->cfg.segments_spare_max = 4;
	f->cfg.lazy_commit_us = 50000;
	reopen(f);
	run(f, "1 writer, 4 KiB, new segments", 1, 5000, 4096, false);
	run(f, "50 writers, 4 KiB, new segments", 50, 60000, 4096, false);
	run(f, "1 writer, 4 KiB", 1, 20000, 4096, false);
	run(f, "50 writers, 4 KiB", 50, 200000, 4096, false);
	run(f, "500 writers, 4 KiB", 500, 200000, 4096, false);
	run(f, "8 writers, 1 MiB", 8, 200, 1024 * 1024, false);
	const long before = resident_kib();
	run(f, "200 writers, 1 KiB, all kept", 200, many, 1024, true);
	printf("%.1f octets of memory for a message that waits\n",
	       (double)(resident_kib() - before) * 1024 / many);
	for (unsigned i = 0; i < 3; i++)
		run(f, "50 writers, 4 KiB, beside these", 50, 200000, 4096, false);
	fixture_close(f);
	reopen(f);
	fixture_free(f);
	return 0;
}
