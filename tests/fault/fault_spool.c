/* fault_spool.c - a spool in which the n-th operation of the disk fails, for every n, once or from then on.
 *
 * A few messages are committed, noted, dropped, read; each answer is remembered. Then the machine stops or the spool is closed in
 * order, the disk works again, and what the spool has must agree with the answers: a message is there, as it was, if its commit
 * said so and its drop did not; it is not there if its drop was durable; and it is never anything between.
 */
#include "../sim/fs_locked.h"
#include "../unit/spool/spool_fixture.h"

enum { SMALL = 3000, LARGE = 200000, MESSAGES = 4 };

/* ---- what was answered -------------------------------------------------------------------------------------------- */

struct answer {
	uint64_t id;
	size_t size;
	bool committed, dropping, dropped, noted;
};

static void commit(struct fixture *f, struct answer *a, const char *meta, size_t size)
{
	const int status = fixture_commit(f, meta, "head", size, &a->id, NULL);

	a->size = size;
	a->committed = status == 0;
	CHECK(status == 0 || status == -ERR_IO || status == -ERR_NOSPACE);
}

static void drop(struct fixture *f, struct answer *a)
{
	if (!a->committed)
		return;
	a->dropping = true;
	spool_drop(f->spool, a->id);
}

static void sync_all(struct fixture *f, struct answer *answers)
{
	const int status = fixture_sync(f);

	CHECK(status == 0 || status == -ERR_IO || status == -ERR_NOSPACE);
	for (unsigned i = 0; status == 0 && i < MESSAGES; i++)
		answers[i].dropped |= answers[i].dropping;
	if (status == 0 && answers[0].committed)
		answers[0].noted = true;
}

/* It is as it was, or cannot be read just now. */
static void load(struct fixture *f, const struct answer *a, bool must)
{
	static char piece[LARGE + 1];
	struct spool_image *img = NULL;
	const int status = fixture_load(f, a->id, &img);

	CHECK(status == 0 || (!must && (status == -ERR_IO || status == -ERR_CORRUPT)));
	if (status < 0)
		return;
	CHECK_SPAN("head", img->head);
	if (a->size == LARGE) {
		const int got = fixture_read(f, a->id, piece, sizeof piece, 0);
		CHECK((got == LARGE && fixture_body_ok(span_make(piece, LARGE), 0)) || (!must && got < 0));
		CHECK_INT(LARGE, img->file_bytes);
	} else {
		CHECK(img->body.n == a->size && fixture_body_ok(img->body, 0));
	}
	spool_image_unref(&img);
}

static void scenario(struct fixture *f, struct answer *answers)
{
	commit(f, &answers[0], "a", SMALL);
	commit(f, &answers[1], "b", SMALL);
	commit(f, &answers[2], "c", LARGE);
	if (answers[0].committed)
		spool_note(f->spool, answers[0].id, SPAN("noted"));
	drop(f, &answers[1]);
	sync_all(f, answers);
	for (unsigned i = 0; i < 3; i += 2)
		if (answers[i].committed)
			load(f, &answers[i], false);
	commit(f, &answers[3], "d", SMALL);
	drop(f, &answers[2]);
	sync_all(f, answers);
}

static void compare(struct fixture *f, const struct answer *answers)
{
	for (unsigned i = 0; i < MESSAGES; i++) {
		const struct answer *a = &answers[i];
		const struct owned *o = a->id ? owned_find(f, a->id) : NULL;

		CHECK(o || !a->committed || a->dropping);
		CHECK(!o || !a->dropped);
		if (!o)
			continue;
		load(f, a, true);
		CHECK_INT(a->size, o->body_bytes);
		if (i == 0)
			CHECK(strcmp(o->notes, "noted") == 0 || (!a->noted && !*o->notes));
	}
}

/* ---- failures ----------------------------------------------------------------------------------------------------- */

struct failing {
	enum model_fault fault; /* none: reads fail */
	bool for_ever, crash;
};

/* Returns false when the n-th operation did not come. */
static bool run(const struct failing *how, uint64_t n)
{
	struct fixture *f = fixture_new();
	struct locked_disk *d = mem_alloc(sizeof *d);
	struct answer answers[MESSAGES] = { { .id = 0 } };
	const uint64_t until = how->for_ever ? UINT64_MAX : n + 1;

	f->cfg.segment_bytes = 32 * 1024;
	locked_disk_init(d, n);
	if (how->fault) {
		d->model.fault = how->fault;
		d->model.fail_at = n;
		d->model.fail_until = until;
	} else {
		d->model.read_fail_at = n;
		d->model.read_fail_until = until;
	}
	const int r = fixture_open(f, &d->fs);
	CHECK(r == 0 || r == -ERR_IO || r == -ERR_NOSPACE);
	if (r == 0) {
		scenario(f, answers);
		if (how->crash)
			locked_disk_stop(d);
		fixture_close(f);
	}
	const bool came = (how->fault ? d->model.ops : d->model.reads) >= n;
	CHECK_INT(0, model_open_fds(&d->model));
	d->model.fault = MODEL_FAULT_NONE;
	d->model.read_fail_until = 0;
	d->model.crashed = false;
	if (how->crash)
		model_crash(&d->model);
	NEED(fixture_open(f, &d->fs) == 0);
	CHECK_INT(0, f->found.corrupt_records);
	compare(f, answers);
	fixture_free(f);
	model_deinit(&d->model);
	free(d);
	return came;
}

static void all_of(const struct failing *how)
{
	uint64_t n = 1;

	while (run(how, n) && !test_failures)
		n++;
	if (test_failures)
		printf("  it was operation %" PRIu64 "\n", n);
	CHECK(n > 10);
	printf("  %" PRIu64 " operations\n", n - 1);
}

static void a_write_fails(void)
{
	all_of(&(struct failing){ MODEL_FAULT_EIO, false, false });
}

static void a_write_fails_and_the_machine_stops(void)
{
	all_of(&(struct failing){ MODEL_FAULT_EIO, false, true });
}

static void the_disk_is_full_for_a_moment(void)
{
	all_of(&(struct failing){ MODEL_FAULT_ENOSPC, false, true });
}

static void all_writes_fail(void)
{
	all_of(&(struct failing){ MODEL_FAULT_EIO, true, false });
}

static void all_writes_fail_and_the_machine_stops(void)
{
	all_of(&(struct failing){ MODEL_FAULT_EIO, true, true });
}

static void the_disk_is_full(void)
{
	all_of(&(struct failing){ MODEL_FAULT_ENOSPC, true, false });
}

static void a_read_fails(void)
{
	all_of(&(struct failing){ MODEL_FAULT_NONE, false, false });
}

TEST_MAIN(TEST(a_write_fails), TEST(a_write_fails_and_the_machine_stops), TEST(the_disk_is_full_for_a_moment),
	  TEST(all_writes_fail), TEST(all_writes_fail_and_the_machine_stops), TEST(the_disk_is_full),
	  TEST(a_read_fails))
