#include <dirent.h>

#include "../../sim/fs_locked.h"
#include "spool_fixture.h"

static int64_t sum(const struct fixture *f, enum metric m)
{
	struct metric_shard *const shards[] = { f->metrics };

	return metric_sum(m, shards, 1);
}

static unsigned count_lines(struct fixture *f, const char *event)
{
	unsigned n = 0;

	log_flush(&f->log);
	for (struct span s = buf_span(&f->lines); s.n;) {
		const struct span line = span_cut(&s, '\n');
		n += span_find(line, span_of(event)) >= 0;
	}
	return n;
}

static void space_is_guarded(void)
{
	struct fixture *f = fixture_new();
	struct spool_write *w;
	struct spool_stats st;

	f->cfg.free_alarm_bytes = UINT64_C(1) << 60;
	f->cfg.free_min_bytes = 0;
	NEED(fixture_open(f, NULL) == 0);
	for (unsigned i = 0; i < 3; i++)
		CHECK_INT(0, fixture_commit(f, "m", "", 10, NULL, NULL));
	CHECK_INT(1, count_lines(f, "spool_space_low")); /* once */
	spool_stats(f->spool, &st);
	CHECK(st.accepting && st.why == NULL && st.free_octets > 0);
	fixture_close(f);

	f->cfg.free_alarm_bytes = 0;
	f->cfg.free_min_bytes = UINT64_C(1) << 60;
	NEED(fixture_open(f, NULL) == 0);
	CHECK_INT(-ERR_NOSPACE, spool_write_begin(f->spool, 0, &w));
	spool_stats(f->spool, &st);
	CHECK(!st.accepting);
	CHECK_STR("not enough free disk space", st.why);
	CHECK_INT(3, st.messages); /* they can be delivered and dropped all the same */
	for (unsigned i = 0; i < 3; i++)
		spool_drop(f->spool, f->owned[i].id);
	CHECK_INT(0, fixture_sync(f));
	fixture_free(f);
}

/* What is announced counts: a hundred clients that each say SIZE= must not all be let in. */
static void announced_sizes_are_reserved(void)
{
	enum { WRITES = 30 };
	struct fixture *f = fixture_new();
	struct locked_disk *d = mem_alloc(sizeof *d);
	struct spool_write *w[WRITES];
	unsigned n = 0;

	locked_disk_init(d, 1);
	d->model.capacity = 20 * 1024 * 1024;
	f->cfg.free_min_bytes = 5 * 1024 * 1024;
	NEED(fixture_open(f, &d->fs) == 0);
	while (n < WRITES && spool_write_begin(f->spool, 1024 * 1024, &w[n]) == 0)
		n++;
	CHECK(n >= 12 && n <= 16);
	const unsigned first = n;
	spool_write_abort(&w[--n]);
	CHECK_INT(0, spool_write_begin(f->spool, 1024 * 1024, &w[n++]));
	CHECK_INT(first, n);
	while (n)
		spool_write_abort(&w[--n]);
	fixture_free(f);
	model_deinit(&d->model);
	free(d);
}

static void many_commits_share_a_sync(void)
{
	enum { MANY = 200 };
	struct fixture *f = fixture_new();
	static struct committing c[MANY];

	NEED(fixture_open(f, NULL) == 0);
	NEED(fixture_commit(f, "m", "", 10, NULL, NULL) == 0);
	const int64_t before = sum(f, METRIC_SPOOL_FSYNCS_TOTAL);
	for (unsigned i = 0; i < MANY; i++) {
		struct spool_write *w;
		NEED(spool_write_begin(f->spool, 0, &w) == 0);
		NEED(fixture_write(f, w, 100) == 0);
		c[i].w.done = false;
		op_init(&c[i].commit.op, on_commit_done);
		NEED(spool_commit_start(&c[i].commit, &f->scope, &w, SPAN("m"), SPAN("")) == 0);
		CHECK(!c[i].w.done);
	}
	for (unsigned i = 0; i < MANY; i++) {
		NEED(fixture_run_until(f, &c[i].w.done));
		CHECK_INT(0, c[i].w.status);
		spool_image_unref(&c[i].commit.image);
	}
	CHECK_INT(1, sum(f, METRIC_SPOOL_FSYNCS_TOTAL) - before);
	CHECK_INT(MANY + 1, sum(f, METRIC_SPOOL_COMMITS_TOTAL));
	CHECK_INT(MANY + 1, sum(f, METRIC_COMMIT_SECONDS));
	/* And one alone waits for one. */
	NEED(fixture_commit(f, "m", "", 10, NULL, NULL) == 0);
	CHECK_INT(2, sum(f, METRIC_SPOOL_FSYNCS_TOTAL) - before);
	fixture_free(f);
}

static void notes_are_committed_after_a_while(void)
{
	struct fixture *f = fixture_new();
	uint64_t id;

	NEED(fixture_open(f, NULL) == 0);
	NEED(fixture_commit(f, "m", "", 10, &id, NULL) == 0);
	const int64_t before = sum(f, METRIC_SPOOL_FSYNCS_TOTAL);
	for (unsigned i = 0; i < 10; i++)
		spool_note(f->spool, id, SPAN("n"));
	for (unsigned i = 0; i < 10 && sum(f, METRIC_SPOOL_FSYNCS_TOTAL) == before; i++)
		loop_run_once(f->loop, true);
	CHECK_INT(1, sum(f, METRIC_SPOOL_FSYNCS_TOTAL) - before);
	fixture_free(f);
}

static void a_broken_disk_refuses_mail_until_it_works(void)
{
	struct fixture *f = fixture_new();
	struct locked_disk *d = mem_alloc(sizeof *d);
	struct spool_write *w;
	struct spool_stats st;
	uint64_t id;

	locked_disk_init(d, 1);
	NEED(fixture_open(f, &d->fs) == 0);
	NEED(fixture_commit(f, "m", "", 10, &id, NULL) == 0);
	locked_disk_fail(d, MODEL_FAULT_EIO);
	CHECK_INT(-ERR_IO, fixture_commit(f, "m", "", 10, NULL, NULL));
	CHECK_INT(-ERR_IO, fixture_commit(f, "m", "", 10, NULL, NULL));
	/* The first segment, one that was made ahead perhaps, and then none can be made. */
	for (unsigned i = 0; i < 3; i++) {
		const int r = fixture_commit(f, "m", "", 10, NULL, NULL);
		CHECK(r == -ERR_IO);
	}
	CHECK_INT(-ERR_IO, spool_write_begin(f->spool, 0, &w));
	CHECK_INT(-ERR_IO, fixture_sync(f));
	spool_stats(f->spool, &st);
	CHECK(!st.accepting && strstr(st.why, "Input/output error") != NULL);
	CHECK(count_lines(f, "spool_failed") >= 2);
	spool_drop(f->spool, id);

	locked_disk_fail(d, MODEL_FAULT_NONE);
	loop_clock_advance(f->loop, 4 * INT64_C(1000000));
	for (unsigned i = 0; i < 1000 && spool_write_begin(f->spool, 0, &w) < 0; i++)
		loop_run_once(f->loop, true);
	spool_write_abort(&w);
	CHECK_INT(1, count_lines(f, "spool_recovered"));
	CHECK_INT(0, fixture_commit(f, "m", "", 10, NULL, NULL));
	CHECK_INT(0, fixture_sync(f));
	fixture_close(f);
	NEED(fixture_open(f, &d->fs) == 0);
	CHECK_INT(1, f->nowned);
	CHECK(f->owned[0].id != id);
	fixture_free(f);
	model_deinit(&d->model);
	free(d);
}

/* Only so much of a large message is in memory, however fast it comes. */
static void a_fast_writer_is_told_to_wait(void)
{
	struct fixture *f = fixture_new();
	struct spool_write *w;
	struct spool_stats st;
	static char piece[32 * 1024];
	bool room = false;
	unsigned taken = 0;

	NEED(fixture_open(f, NULL) == 0);
	NEED(spool_write_begin(f->spool, 0, &w) == 0);
	spool_write_on_room(w, on_room, &room);
	int r = 0;
	for (; r == 0 && taken < 100; taken++)
		r = spool_write_body(w, span_make(piece, sizeof piece));
	CHECK_INT(-ERR_AGAIN, r);
	CHECK(taken < 15); /* two pieces of the stream: one flies, one gathers */
	CHECK(!room);
	CHECK(spool_write_peek(w).p == NULL);
	spool_stats(f->spool, &st);
	CHECK(st.memory_octets < 15 * sizeof piece);
	NEED(fixture_run_until(f, &room));
	CHECK(spool_write_body(w, span_make(piece, 10)) == 0);
	spool_write_abort(&w);
	fixture_free(f);
}

static unsigned count_bodies(const struct fixture *f)
{
	char path[SPOOL_DIR_MAX];
	struct dirent *d;
	unsigned n = 0;

	snprintf(path, sizeof path, "%s/0", f->dir);
	DIR *dir = opendir(path);
	NEED(dir != NULL);
	while ((d = readdir(dir)) != NULL)
		n += span_ends(span_of(d->d_name), SPAN(".body"));
	closedir(dir);
	return n;
}

/* What waits in memory must not drive small messages that come into files of their own. */
static void messages_that_wait_leave_room_for_others(void)
{
	enum { COUNT = 400, OCTETS = 4000 };
	struct fixture *f = fixture_new();
	struct spool_image *img[COUNT] = { NULL };
	struct spool_stats st;
	unsigned kept = 0;
	uint64_t id;

	f->cfg.memory_budget_bytes = 1000000;
	NEED(fixture_open(f, NULL) == 0);
	for (unsigned i = 0; i < COUNT; i++) {
		NEED(fixture_commit(f, "m", "", OCTETS, &id, &img[i]) == 0);
		kept += img[i] != NULL;
	}
	CHECK(kept > 100 && kept < 130); /* half of the budget's worth */
	CHECK_INT(0, count_bodies(f));
	spool_stats(f->spool, &st);
	CHECK(st.memory_octets < 600000);
	for (unsigned i = 0; i < COUNT; i++)
		spool_image_unref(&img[i]);
	NEED(fixture_load(f, id, &img[0]) == 0); /* the last one, which was not kept */
	CHECK_INT(OCTETS, img[0]->body.n);
	spool_image_unref(&img[0]);
	fixture_free(f);
}

static void closing_waits_for_what_is_open(void)
{
	struct fixture *f = fixture_new();
	struct spool_write *w, *late;
	struct committing c = { .w.done = false };

	NEED(fixture_open(f, NULL) == 0);
	NEED(spool_write_begin(f->spool, 0, &w) == 0);
	NEED(fixture_write(f, w, 100000) == 0); /* large */
	spool_close(f->spool, fixture_on_closed, f);
	CHECK_INT(-ERR_CLOSED, spool_write_begin(f->spool, 0, &late));
	for (unsigned i = 0; i < 20; i++)
		loop_run_once(f->loop, false);
	CHECK(!f->closed);
	op_init(&c.commit.op, on_commit_done);
	NEED(spool_commit_start(&c.commit, &f->scope, &w, SPAN("m"), SPAN("")) == 0);
	NEED(fixture_run_until(f, &f->closed));
	CHECK(c.w.done && c.w.status == 0);
	spool_free(&f->spool);
	NEED(fixture_open(f, NULL) == 0);
	CHECK_INT(1, f->nowned);
	fixture_free(f);
}

static void a_scope_that_closes_gets_its_ops_back(void)
{
	struct fixture *f = fixture_new();
	struct committing c = { .w.done = false };
	struct loading l = { .w.done = false };
	static char octets[100];
	struct reading r = { .read = { .buf = octets, .size = sizeof octets, .body_octets = 100000 } };
	struct spool_write *w;
	uint64_t id;

	NEED(fixture_open(f, NULL) == 0);
	NEED(fixture_commit(f, "m", "", 100000, &id, NULL) == 0);
	NEED(spool_write_begin(f->spool, 0, &w) == 0);
	op_init(&c.commit.op, on_commit_done);
	op_init(&l.load.op, on_load_done);
	op_init(&r.read.op, on_read_done);
	NEED(spool_commit_start(&c.commit, &f->scope, &w, SPAN("m"), SPAN("")) == 0);
	NEED(spool_load_start(&l.load, &f->scope, f->spool, id) == 0);
	NEED(spool_read_start(&r.read, &f->scope, f->spool, id) == 0);
	scope_close(&f->scope);
	NEED(spool_write_begin(f->spool, 0, &w) == 0);
	struct committing late = { .w.done = false };
	op_init(&late.commit.op, on_commit_done);
	CHECK_INT(-ERR_CANCELED, spool_commit_start(&late.commit, &f->scope, &w, SPAN("m"), SPAN("")));
	NEED(w != NULL); /* still ours */
	spool_write_abort(&w);
	NEED(fixture_run_until(f, &c.w.done) && fixture_run_until(f, &l.w.done) &&
	     fixture_run_until(f, &r.w.done));
	CHECK_INT(-ERR_CANCELED, c.w.status);
	CHECK_INT(-ERR_CANCELED, l.w.status);
	CHECK_INT(-ERR_CANCELED, r.w.status);
	fixture_free(f);
}

TEST_MAIN(TEST(space_is_guarded), TEST(announced_sizes_are_reserved), TEST(many_commits_share_a_sync),
	  TEST(notes_are_committed_after_a_while), TEST(a_broken_disk_refuses_mail_until_it_works),
	  TEST(a_fast_writer_is_told_to_wait), TEST(messages_that_wait_leave_room_for_others),
	  TEST(closing_waits_for_what_is_open), TEST(a_scope_that_closes_gets_its_ops_back))
