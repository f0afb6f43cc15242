#include "spool_fixture.h"

static void a_message_is_there_after_a_restart(void)
{
	struct fixture *f = fixture_new();
	struct spool_image *img;
	uint64_t id;

	NEED(fixture_open(f, NULL) == 0);
	CHECK_INT(0, fixture_commit(f, "meta", "Subject: x\r\n\r\n", 5000, &id, &img));
	NEED(img != NULL);
	CHECK_SPAN("meta", img->meta);
	CHECK_SPAN("Subject: x\r\n\r\n", img->head);
	CHECK(img->body.n == 5000 && fixture_body_ok(img->body, 0));
	CHECK_INT(0, img->file_bytes);
	spool_image_unref(&img);
	spool_note(f->spool, id, SPAN("one,"));
	spool_note(f->spool, id, SPAN("two"));
	fixture_close(f);

	NEED(fixture_open(f, NULL) == 0);
	CHECK_INT(1, f->found.messages);
	CHECK_INT(2, f->found.notes);
	CHECK_INT(0, f->found.torn_octets);
	CHECK_INT(0, f->found.corrupt_records);
	NEED(f->nowned == 1);
	CHECK(f->owned[0].id == id);
	CHECK_STR("meta", f->owned[0].meta);
	CHECK_STR("one,two", f->owned[0].notes);
	CHECK_INT(14, f->owned[0].head_bytes);
	CHECK_INT(5000, f->owned[0].body_bytes);
	NEED(fixture_load(f, id, &img) == 0);
	CHECK_SPAN("meta", img->meta);
	CHECK_SPAN("Subject: x\r\n\r\n", img->head);
	CHECK(img->body.n == 5000 && fixture_body_ok(img->body, 0));
	spool_image_unref(&img);
	fixture_free(f);
}

static void a_dropped_message_is_gone_for_good(void)
{
	struct fixture *f = fixture_new();
	struct spool_image *img;
	uint64_t id, other;

	NEED(fixture_open(f, NULL) == 0);
	NEED(fixture_commit(f, "a", "h", 10, &id, NULL) == 0);
	NEED(fixture_commit(f, "b", "", 0, &other, NULL) == 0);
	spool_drop(f->spool, id);
	CHECK_INT(-ERR_NOTFOUND, fixture_load(f, id, &img));
	CHECK_INT(0, fixture_sync(f));
	fixture_close(f);
	NEED(fixture_open(f, NULL) == 0);
	CHECK_INT(1, f->nowned);
	CHECK(f->owned[0].id == other);
	CHECK_INT(0, f->owned[0].body_bytes);
	CHECK(other > id);
	fixture_free(f);
}

static void a_large_body_goes_through_a_file(void)
{
	enum { BODY = 1000001 };
	struct fixture *f = fixture_new();
	struct spool_image *img;
	static char piece[BODY + 1];
	char path[200];
	uint64_t id;

	NEED(fixture_open(f, NULL) == 0);
	NEED(fixture_commit(f, "meta", "head", BODY, &id, &img) == 0);
	CHECK(img == NULL);
	for (unsigned round = 0; round < 2; round++) {
		NEED(fixture_load(f, id, &img) == 0);
		CHECK_SPAN("meta", img->meta);
		CHECK_SPAN("head", img->head);
		CHECK_INT(0, img->body.n);
		CHECK_INT(BODY, img->file_bytes);
		spool_image_unref(&img);
		CHECK_INT(BODY, fixture_read(f, id, piece, sizeof piece, 0));
		CHECK(fixture_body_ok(span_make(piece, BODY), 0));
		CHECK_INT(100, fixture_read(f, id, piece, 100, 65500)); /* over the edge of a block */
		CHECK(fixture_body_ok(span_make(piece, 100), 65500));
		CHECK_INT(1, fixture_read(f, id, piece, 100, BODY - 1));
		CHECK_INT(0, fixture_read(f, id, piece, 100, BODY));
		CHECK_INT(0, fixture_read(f, id, piece, 100, UINT64_MAX));
		if (round == 0) {
			fixture_close(f);
			NEED(fixture_open(f, NULL) == 0);
			CHECK_INT(1, f->found.messages);
			CHECK_INT(BODY, f->owned[0].body_bytes);
		}
	}
	struct spool_stats st;
	spool_stats(f->spool, &st);
	CHECK(st.disk_octets > BODY);

	snprintf(path, sizeof path, "%s/0/%s.body", f->dir, id_from_u64(id).s);
	FILE *file = fopen(path, "r+");
	NEED(file && fseek(file, 70000, SEEK_SET) == 0 && fputc('#', file) != EOF && fclose(file) == 0);
	CHECK_INT(-ERR_CORRUPT, fixture_read(f, id, piece, 10, 70000));
	CHECK_INT(10, fixture_read(f, id, piece, 10, 0));

	spool_drop(f->spool, id);
	CHECK_INT(-ERR_NOTFOUND, fixture_read(f, id, piece, 100, 0));
	NEED(fixture_sync(f) == 0);
	for (unsigned i = 0; access(path, F_OK) == 0 && i < 1000; i++)
		loop_run_once(f->loop, true);
	CHECK(access(path, F_OK) < 0);
	fixture_free(f);
}

static void a_body_without_its_file_is_set_aside(void)
{
	struct fixture *f = fixture_new();
	char path[200];
	uint64_t id, other;

	NEED(fixture_open(f, NULL) == 0);
	NEED(fixture_commit(f, "large", "", 100000, &id, NULL) == 0);
	NEED(fixture_commit(f, "small", "", 1, &other, NULL) == 0);
	fixture_close(f);
	snprintf(path, sizeof path, "%s/0/%s.body", f->dir, id_from_u64(id).s);
	NEED(unlink(path) == 0);
	for (unsigned i = 0; i < 2; i++) { /* said at each start until somebody does something about it */
		NEED(fixture_open(f, NULL) == 0);
		CHECK_INT(1, f->found.messages);
		CHECK_INT(1, f->found.corrupt_records);
		CHECK_INT(1, f->nowned);
		CHECK(f->owned[0].id == other);
		log_flush(&f->log);
		CHECK(span_find(buf_span(&f->lines), SPAN("spool_corrupt")) >= 0);
		CHECK(span_find(buf_span(&f->lines), span_of(id_from_u64(id).s)) >= 0);
		fixture_close(f);
	}
	fixture_free(f);
}

static void an_orphaned_body_is_removed(void)
{
	struct fixture *f = fixture_new();
	struct spool_write *w;
	char path[200];

	NEED(fixture_open(f, NULL) == 0);
	NEED(fixture_commit(f, "m", "", 1, NULL, NULL) == 0);
	fixture_close(f);
	snprintf(path, sizeof path, "%s/0/%s.body", f->dir, id_from_u64(12345).s);
	FILE *file = fopen(path, "w");
	NEED(file && fputs("left over", file) >= 0 && fclose(file) == 0);
	NEED(fixture_open(f, NULL) == 0);
	CHECK(access(path, F_OK) < 0);
	CHECK_INT(0, f->found.corrupt_records);

	/* One that is given up while it is written. */
	NEED(spool_write_begin(f->spool, 0, &w) == 0);
	snprintf(path, sizeof path, "%s/0/%s.body", f->dir, id_from_u64(spool_write_id(w)).s);
	NEED(fixture_write(f, w, 300000) == 0);
	spool_write_abort(&w);
	fixture_close(f);
	CHECK(access(path, F_OK) < 0);
	fixture_free(f);
}

static void messages_of_vanished_workers_are_adopted(void)
{
	struct fixture *f = fixture_new();
	uint64_t id[3], settled;

	f->cfg.workers = 3;
	for (unsigned i = 0; i < 3; i++) {
		f->cfg.worker = i;
		NEED(fixture_open(f, NULL) == 0);
		NEED(fixture_commit(f, "m", "", 10, &id[i], NULL) == 0);
		NEED(fixture_commit(f, "settled", "", 10, &settled, NULL) == 0);
		spool_drop(f->spool, settled);
		fixture_close(f);
	}
	f->cfg.worker = 0;
	f->cfg.workers = 1;
	NEED(fixture_open(f, NULL) == 0);
	CHECK_INT(3, f->nowned);
	spool_note(f->spool, id[1], SPAN("tried"));
	spool_drop(f->spool, id[2]);
	fixture_close(f);
	/* And back: each finds its own, as it was left by the other. */
	f->cfg.workers = 3;
	for (unsigned i = 0; i < 3; i++) {
		f->cfg.worker = i;
		NEED(fixture_open(f, NULL) == 0);
		CHECK_INT(i < 2, f->nowned);
		if (f->nowned) {
			CHECK(f->owned[0].id == id[i]);
			CHECK_STR(i == 1 ? "tried" : "", f->owned[0].notes);
		}
		fixture_close(f);
	}
	fixture_free(f);
}

static void a_full_budget_of_memory_refuses_nothing(void)
{
	struct fixture *f = fixture_new();
	struct spool_image *held[20], *img;
	struct spool_write *open[3];
	uint64_t id[20], late;
	struct spool_stats st;
	static char body[20000];
	unsigned in_memory = 0;

	f->cfg.memory_budget_bytes = 100000;
	NEED(fixture_open(f, NULL) == 0);
	for (unsigned i = 0; i < 20; i++) {
		CHECK_INT(0, fixture_commit(f, "m", "", 20000, &id[i], &held[i]));
		in_memory += held[i] != NULL;
	}
	CHECK(in_memory >= 2 && in_memory <= 3); /* half of it */
	for (unsigned i = 0; i < 3; i++) {
		NEED(spool_write_begin(f->spool, 0, &open[i]) == 0);
		NEED(fixture_write(f, open[i], 16000) == 0);
	}
	spool_stats(f->spool, &st);
	CHECK(st.memory_octets <= 110000);
	CHECK_INT(20, st.messages);
	CHECK_INT(-ERR_BUSY, fixture_load(f, id[0], &img));
	NEED(fixture_commit(f, "m", "", 20000, &late, &img) == 0); /* it gets a file */
	CHECK(img == NULL);
	for (unsigned i = 0; i < 3; i++)
		spool_write_abort(&open[i]);
	CHECK_INT(20000, fixture_read(f, late, body, sizeof body, 0));
	CHECK(fixture_body_ok(span_make(body, sizeof body), 0));
	for (unsigned i = 0; i < 20; i++)
		spool_image_unref(&held[i]);
	spool_stats(f->spool, &st);
	CHECK_INT(0, st.memory_octets);
	CHECK_INT(0, fixture_load(f, id[0], &img));
	spool_image_unref(&img);
	fixture_free(f);
}

static void limits_are_kept(void)
{
	struct fixture *f = fixture_new();
	struct spool_write *w;
	static char piece[1000001];

	f->cfg.message_max_bytes = 1000000;
	NEED(fixture_open(f, NULL) == 0);
	CHECK_INT(-ERR_TOOBIG, spool_write_begin(f->spool, 1000001, &w));
	NEED(spool_write_begin(f->spool, 1000000, &w) == 0);
	CHECK_INT(-ERR_TOOBIG, spool_write_body(w, span_make(piece, 1000001)));
	CHECK_INT(0, spool_write_body(w, span_make(piece, 1000000)));
	CHECK_INT(1000000, spool_write_bytes(w));
	CHECK_INT(-ERR_TOOBIG, spool_write_body(w, span_make(piece, 1)));
	spool_write_abort(&w);
	CHECK(w == NULL);
	NEED(spool_write_begin(f->spool, 0, &w) == 0);
	CHECK_INT(0, spool_write_body(w, SPAN("abc")));
	CHECK_INT(0, spool_write_body(w, SPAN("def")));
	CHECK_SPAN("abcdef", spool_write_peek(w));
	spool_write_abort(&w);
	fixture_free(f);
}

/* A cancelled commit completes at once; its message never comes back. */
static void a_cancelled_commit_leaves_no_message(void)
{
	struct fixture *f = fixture_new();

	NEED(fixture_open(f, NULL) == 0);
	for (unsigned large = 0; large < 2; large++) {
		struct committing c = { .w.done = false };
		struct spool_write *w;
		NEED(spool_write_begin(f->spool, 0, &w) == 0);
		NEED(fixture_write(f, w, large ? 200000 : 10) == 0);
		op_init(&c.commit.op, on_commit_done);
		NEED(spool_commit_start(&c.commit, &f->scope, &w, SPAN("m"), SPAN("")) == 0);
		CHECK(w == NULL);
		op_cancel(&c.commit.op);
		NEED(fixture_run_until(f, &c.w.done));
		CHECK_INT(-ERR_CANCELED, c.w.status);
		CHECK(c.commit.image == NULL);
	}
	NEED(fixture_sync(f) == 0);
	fixture_close(f);
	NEED(fixture_open(f, NULL) == 0);
	CHECK_INT(0, f->nowned);
	fixture_free(f);
}

static void what_the_owner_cannot_read_is_kept(void)
{
	struct fixture *f = fixture_new();
	uint64_t id;

	NEED(fixture_open(f, NULL) == 0);
	NEED(fixture_commit(f, "unreadable", "", 100, &id, NULL) == 0);
	fixture_close(f);
	for (unsigned i = 0; i < 3; i++) {
		NEED(fixture_open(f, NULL) == 0);
		CHECK_INT(0, f->found.messages);
		CHECK_INT(1, f->found.corrupt_records);
		CHECK_INT(0, f->nowned);
		fixture_close(f);
	}
	fixture_free(f);
}

static void a_later_version_is_not_touched(void)
{
	struct fixture *f = fixture_new();
	char header[SPOOL_SEGMENT_HEADER], path[200];
	const struct spool_segment_header h = { .version = SPOOL_VERSION + 1,
						.seq = 7,
						.octets = 1024 * 1024 };

	NEED(fixture_open(f, NULL) == 0);
	NEED(fixture_commit(f, "m", "", 100, NULL, NULL) == 0);
	fixture_close(f);
	spool_segment_header_encode(&h, header);
	snprintf(path, sizeof path, "%s/0/0000000007.log", f->dir);
	FILE *file = fopen(path, "w");
	NEED(file && fwrite(header, 1, sizeof header, file) == sizeof header && fclose(file) == 0);
	CHECK_INT(-ERR_UNSUPPORTED, fixture_open(f, NULL));
	CHECK(strstr(f->e.s, "later version") != NULL);
	CHECK(f->spool == NULL);
	fixture_free(f);
}

static void a_lock_is_held_once(void)
{
	struct fixture *f = fixture_new();
	char dir[100], want[100];

	snprintf(dir, sizeof dir, "%s/new", f->dir);
	snprintf(want, sizeof want, "in use by process %ld", (long)getpid());
	CHECK_INT(0, spool_lock(dir, &f->e));
	CHECK_INT(-ERR_BUSY, spool_lock(dir, &f->e));
	CHECK(strstr(f->e.s, want) != NULL);
	fixture_free(f);
}

TEST_MAIN(TEST(a_message_is_there_after_a_restart), TEST(a_dropped_message_is_gone_for_good),
	  TEST(a_large_body_goes_through_a_file), TEST(a_body_without_its_file_is_set_aside),
	  TEST(an_orphaned_body_is_removed), TEST(messages_of_vanished_workers_are_adopted),
	  TEST(a_full_budget_of_memory_refuses_nothing), TEST(limits_are_kept),
	  TEST(a_cancelled_commit_leaves_no_message), TEST(what_the_owner_cannot_read_is_kept),
	  TEST(a_later_version_is_not_touched), TEST(a_lock_is_held_once))
