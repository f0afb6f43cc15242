#include "spool/spool_log.h"

#include "../../sim/fs_model.h"
#include "base/check.h"
#include "test.h"

enum { SEGMENT = 16 * 1024, IDS_MAX = 2000, NUMBER = 5 };

/* A log on a disk in memory, and an owner that remembers. */
static struct bed {
	struct model disk;
	struct spool_log *log;
	struct spool_log_found found;
	struct spool_recovery owner;
	struct errtext e;
	int64_t now_us;
	uint64_t ids[IDS_MAX]; /* that recovery told and did not take back */
	unsigned nids, notes, reports[SPOOL_REPORT_COMPACTED + 1];
	char last_note[40];
} bed;

struct sent {
	struct spool_rec rec;
	char prefix[SPOOL_MESSAGE_PREFIX];
	bool done;
	int status;
};

static int on_message(void *arg, uint64_t id, struct span meta, uint64_t head_bytes, uint64_t body_bytes)
{
	(void)arg;
	(void)meta;
	(void)head_bytes;
	(void)body_bytes;
	NEED(bed.nids < IDS_MAX);
	bed.ids[bed.nids++] = id;
	return 0;
}

static void on_note(void *arg, uint64_t id, struct span note)
{
	(void)arg;
	(void)id;
	bed.notes++;
	snprintf(bed.last_note, sizeof bed.last_note, "%.*s", SPAN_ARG(note));
}

static void on_dropped(void *arg, uint64_t id)
{
	(void)arg;
	for (unsigned i = 0; i < bed.nids; i++)
		if (bed.ids[i] == id)
			bed.ids[i] = bed.ids[--bed.nids];
}

static void on_snapshot(void *arg, uint64_t id, struct buf *note_r)
{
	(void)arg;
	(void)id;
	buf_add_str(note_r, "state");
}

static void on_report(void *arg, const struct spool_report *r)
{
	(void)arg;
	bed.reports[r->kind]++;
}

static int open_log(void)
{
	const struct spool_log_config cfg = {
		.fs = &bed.disk.fs,
		.dir = "d",
		.number = NUMBER,
		.segment_octets = SEGMENT,
		.spares_max = 2,
		.ahead = true,
		.owner = &bed.owner,
		.report = on_report,
	};

	bed.nids = bed.notes = 0;
	memset(bed.reports, 0, sizeof bed.reports);
	return spool_log_open(&bed.log, &cfg, &bed.found, &bed.e);
}

static void set_up(void)
{
	bed = (struct bed){ .now_us = INT64_C(1700000000000000),
			    .owner = { NULL, on_message, on_note, on_dropped, on_snapshot } };
	model_init(&bed.disk, 1);
	NEED(open_log() == 0);
}

static void tear_down(void)
{
	spool_log_free(&bed.log);
	CHECK_INT(0, model_open_fds(&bed.disk));
	model_deinit(&bed.disk);
}

static void reopen(void)
{
	spool_log_free(&bed.log);
	model_crash(&bed.disk);
	NEED(open_log() == 0);
}

static void on_sent(struct spool_rec *r, int status)
{
	struct sent *s = container_of(r, struct sent, rec);

	s->done = true;
	s->status = status;
}

static void batch(void)
{
	struct spool_batch *b = spool_log_seal(bed.log, bed.now_us);

	if (!b)
		return;
	spool_batch_write(b);
	spool_log_written(bed.log, &b, bed.now_us);
}

static bool chore(void)
{
	int64_t again_us;
	struct spool_chore *c = spool_log_chore(bed.log, bed.now_us, bed.now_us, &again_us);

	if (!c)
		return false;
	spool_chore_run(c);
	spool_log_chore_done(bed.log, &c, bed.now_us);
	return true;
}

static void settle(void)
{
	bool more = true;

	while (more) {
		more = chore();
		batch();
	}
}

static const char zeros[100000];

/* Adds a message with a body of @n octets; returns what spool_log_add() does. */
static int send(struct sent *s, size_t n)
{
	*s = (struct sent){ .rec = { .type = SPOOL_RECORD_MESSAGE, .done = on_sent } };
	spool_message_prefix(0, 0, n, s->prefix);
	s->rec.id = spool_log_new_id(bed.log, bed.now_us);
	s->rec.payload[0] = span_make(s->prefix, sizeof s->prefix);
	s->rec.payload[1] = span_make(zeros, n);
	return spool_log_add(bed.log, &s->rec);
}

static uint64_t sent_id(size_t n)
{
	struct sent s;

	NEED(send(&s, n) == 0);
	for (unsigned i = 0; !s.done && i < 5; i++)
		batch(); /* what compaction gathered may come first */
	NEED(s.done && s.status == 0);
	return s.rec.id;
}

/* ---------------------------------------------------------------------------------------------------------------- */

static void ids_grow_whatever_the_clock_does(void)
{
	uint64_t last = 0;

	set_up();
	for (unsigned i = 0; i < 100000; i++) {
		const int64_t clock_us = i % 3 == 0 ? -1 : i % 3 == 1 ? bed.now_us : bed.now_us - 1000000;
		const uint64_t id = spool_log_new_id(bed.log, clock_us);
		NEED(id > last && id >> 60 == 0);
		CHECK_INT(NUMBER, spool_log_number_of(id));
		last = id;
	}
	CHECK(spool_log_new_id(bed.log, INT64_MAX) >> 60 == 0);
	tear_down();
}

static void no_id_is_given_again_after_a_restart(void)
{
	set_up();
	const uint64_t id = sent_id(10);
	spool_log_drop(bed.log, id);
	settle();
	reopen();
	settle(); /* the segment with its record may be gone by now */
	reopen();
	bed.now_us -= 3600 * INT64_C(1000000);
	CHECK(spool_log_new_id(bed.log, bed.now_us) > id);
	tear_down();
}

static void a_failed_sync_ends_its_segment(void)
{
	struct sent a, b;

	set_up();
	const uint64_t kept = sent_id(10), dropped = sent_id(10);
	NEED(send(&a, 10) == 0);
	spool_log_note(bed.log, kept, SPAN("noted"));
	spool_log_drop(bed.log, dropped);
	struct spool_batch *flying = spool_log_seal(bed.log, bed.now_us);
	NEED(flying != NULL);
	CHECK(spool_log_seal(bed.log, bed.now_us) == NULL); /* one at a time */
	bed.disk.fault = MODEL_FAULT_EIO;
	bed.disk.fail_at = bed.disk.ops + 2; /* the write, then the sync */
	bed.disk.fail_until = bed.disk.fail_at + 1;
	spool_batch_write(flying);
	CHECK_INT(1, spool_batch_messages(flying));
	CHECK_INT(-ERR_IO, spool_log_written(bed.log, &flying, bed.now_us));
	CHECK(a.done && a.status == -ERR_IO);
	CHECK_INT(1, bed.reports[SPOOL_REPORT_FAILED]);
	CHECK_INT(0, bed.reports[SPOOL_REPORT_BROKEN]);
	/* The next one goes elsewhere, and the note and the drop with it. */
	NEED(send(&b, 10) == 0);
	batch();
	CHECK(b.done && b.status == 0);
	reopen();
	CHECK_INT(2, bed.nids);
	CHECK(bed.ids[0] + bed.ids[1] == kept + b.rec.id);
	CHECK_STR("noted", bed.last_note);
	CHECK_INT(0, bed.found.corrupt_records);
	tear_down();
}

static void a_broken_log_says_so_and_mends_itself(void)
{
	struct sent a, b;
	struct spool_log_state st;

	set_up();
	const uint64_t id = sent_id(10);
	bed.disk.fault = MODEL_FAULT_ENOSPC;
	bed.disk.fail_until = UINT64_MAX;
	NEED(send(&a, 10) == 0);
	batch();
	CHECK_INT(-ERR_IO, a.status); /* the segment in hand: some of it may have been written */
	NEED(send(&a, 10) == 0);
	NEED(send(&b, 10) == 0);
	batch();
	CHECK(a.done && a.status == -ERR_NOSPACE && b.done && b.status == -ERR_NOSPACE); /* and a new one */
	CHECK_INT(1, bed.reports[SPOOL_REPORT_BROKEN]);
	CHECK_INT(-ERR_NOSPACE, send(&a, 10));
	spool_log_state(bed.log, &st);
	CHECK_INT(-ERR_NOSPACE, st.broken);
	CHECK(strstr(st.why, "No space left") != NULL);
	struct sent c = { .rec.done = on_sent };
	spool_log_barrier(bed.log, &c.rec);
	CHECK(c.done && c.status == -ERR_NOSPACE);

	spool_log_drop(bed.log, id); /* is not forgotten */
	settle();
	bed.now_us += SPOOL_RETRY_US;
	settle(); /* fails again */
	spool_log_state(bed.log, &st);
	CHECK(st.broken);
	bed.disk.fault = MODEL_FAULT_NONE;
	settle(); /* too soon */
	spool_log_state(bed.log, &st);
	CHECK(st.broken);
	bed.now_us += SPOOL_RETRY_US;
	settle();
	CHECK_INT(1, bed.reports[SPOOL_REPORT_MENDED]);
	sent_id(10);
	reopen();
	CHECK_INT(1, bed.nids);
	CHECK(bed.ids[0] != id);
	tear_down();
}

static void notes_do_not_fill_the_memory_while_the_disk_is_away(void)
{
	static char text[100000];
	struct sent a, after = { .rec.done = on_sent };

	set_up();
	const uint64_t id = sent_id(10);
	bed.disk.fault = MODEL_FAULT_EIO;
	bed.disk.fail_until = UINT64_MAX;
	for (unsigned i = 0; i < 2; i++) {
		NEED(send(&a, 10) == 0);
		batch();
	}
	memset(text, 'n', sizeof text);
	for (unsigned i = 0; i < 1000; i++) /* 100 MB */
		spool_log_note(bed.log, id, span_make(text, sizeof text));
	bed.disk.fault = MODEL_FAULT_NONE;
	bed.now_us += SPOOL_RETRY_US;
	chore();
	spool_log_barrier(bed.log, &after.rec);
	while (!after.done)
		batch();
	reopen();
	CHECK(bed.notes > 300 && bed.notes < 400);
	CHECK_INT(1, bed.nids);
	tear_down();
}

static void files_are_used_again(void)
{
	struct spool_log_state st;
	unsigned logs = 0, spares = 0;

	set_up();
	for (unsigned i = 0; i < 200; i++) {
		spool_log_drop(bed.log, sent_id(2000));
		settle();
	}
	for (size_t i = 0; i < bed.disk.now.n; i++) {
		logs += strstr(bed.disk.now.v[i].path, ".log") != NULL;
		spares += strstr(bed.disk.now.v[i].path, ".spare") != NULL;
	}
	CHECK(logs <= 3 && spares <= 2);
	spool_log_state(bed.log, &st);
	CHECK(st.disk_octets <= 5 * SEGMENT);
	CHECK_INT(0, st.messages);
	CHECK_INT(0, st.live_octets);
	reopen();
	CHECK_INT(0, bed.nids);
	CHECK_INT(0, bed.found.corrupt_records);
	tear_down();
}

static void a_record_larger_than_a_segment_gets_a_larger_one(void)
{
	struct spool_place place;
	struct spool_message m;
	char *octets;

	set_up();
	const uint64_t small = sent_id(10), large = sent_id(90000), after = sent_id(10);
	reopen();
	CHECK_INT(3, bed.nids);
	CHECK(bed.ids[0] == small && bed.ids[1] == large && bed.ids[2] == after);
	NEED(spool_log_pin(bed.log, large, &place) == 0);
	NEED(spool_place_read(&bed.disk.fs, "d", &place, large, &octets, &m) == 0);
	CHECK_INT(90000, m.body.n);
	free(octets);
	CHECK_INT(-ERR_CORRUPT, spool_place_read(&bed.disk.fs, "d", &place, small, &octets, &m));
	spool_log_unpin(bed.log, &place);
	struct sent s;
	s.rec = (struct spool_rec){ .type = SPOOL_RECORD_MESSAGE, .done = on_sent };
	s.rec.payload[0] = span_make(zeros, SPOOL_RECORD_MAX + 1); /* is not looked at */
	CHECK_INT(-ERR_TOOBIG, spool_log_add(bed.log, &s.rec));
	tear_down();
}

/* The first segment's file, as the disk has it. */
static struct model_content *first_segment(void)
{
	const struct model_name *name = model_name_find(&bed.disk.disk, "d/0000000001.log");

	NEED(name != NULL);
	return &bed.disk.files[name->file].disk;
}

static void damage_is_reported_once_and_a_copy_is_kept(void)
{
	uint64_t id[5];

	set_up();
	for (unsigned i = 0; i < 5; i++)
		id[i] = sent_id(1000);
	spool_log_free(&bed.log);
	const size_t record = (size_t)spool_record_octets(SPOOL_MESSAGE_PREFIX + 1000);
	first_segment()->p[SPOOL_SEGMENT_HEADER + 2 * record + 500] ^= 1;
	model_crash(&bed.disk);
	NEED(open_log() == 0);
	CHECK_INT(4, bed.nids);
	CHECK(bed.ids[2] == id[3]);
	CHECK_INT(1, bed.found.corrupt_records);
	CHECK_INT(0, bed.found.torn_octets);
	CHECK_INT(1, bed.reports[SPOOL_REPORT_CORRUPT]);
	const struct model_name *copy = model_name_find(&bed.disk.disk, "d/0000000001.corrupt");
	NEED(copy != NULL);
	CHECK_INT(1, bed.disk.files[copy->file].disk.p[SPOOL_SEGMENT_HEADER + 2 * record + 500]);
	reopen();
	CHECK_INT(4, bed.nids);
	CHECK_INT(0, bed.found.corrupt_records);
	tear_down();
}

static void a_torn_end_is_counted_and_not_reported(void)
{
	struct sent s;

	set_up();
	sent_id(1000);
	NEED(send(&s, 1000) == 0);
	struct spool_batch *b = spool_log_seal(bed.log, bed.now_us);
	bed.disk.crash_at = bed.disk.ops + 2; /* it is written, and not synced */
	spool_batch_write(b);
	spool_log_written(bed.log, &b, bed.now_us);
	spool_log_free(&bed.log);
	/* Some of it has reached the disk. */
	struct model_file *f = &bed.disk.files[model_name_find(&bed.disk.disk, "d/0000000001.log")->file];
	NEED(f->nwrites > 0);
	model_apply(f, &f->writes[0]); /* its header */
	model_forget_writes(f);
	model_crash(&bed.disk);
	NEED(open_log() == 0);
	CHECK_INT(1, bed.nids);
	CHECK_INT(0, bed.found.corrupt_records);
	CHECK_INT(spool_record_octets(SPOOL_MESSAGE_PREFIX + 1000), bed.found.torn_octets);
	sent_id(10);
	reopen();
	CHECK_INT(2, bed.nids);
	CHECK_INT(0, bed.found.torn_octets);
	tear_down();
}

static void a_segment_without_header_is_set_aside(void)
{
	set_up();
	sent_id(1000);
	spool_log_free(&bed.log);
	memset(first_segment()->p, 0, SPOOL_SEGMENT_HEADER);
	model_crash(&bed.disk);
	NEED(open_log() == 0);
	CHECK_INT(0, bed.nids);
	CHECK_INT(1, bed.found.corrupt_records);
	CHECK(model_name_find(&bed.disk.disk, "d/0000000001.corrupt") != NULL);
	CHECK(model_name_find(&bed.disk.disk, "d/0000000001.log") == NULL);
	sent_id(10);
	reopen();
	CHECK_INT(1, bed.nids);
	CHECK_INT(0, bed.found.corrupt_records);
	tear_down();
}

/* A message that cannot be moved holds its segment, and nothing else. */
static void compaction_keeps_what_it_cannot_read(void)
{
	struct spool_log_state st;
	uint64_t held[40];
	bool large;

	set_up();
	/* Segments with one live message each: worth emptying. */
	for (unsigned i = 0; i < 40; i++) {
		held[i] = sent_id(1000);
		if (i == 0) {
			const struct model_name *name = model_name_find(&bed.disk.now, "d/0000000001.log");
			NEED(name != NULL);
			bed.disk.files[name->file].now.p[SPOOL_SEGMENT_HEADER + 500] ^= 1;
		}
		for (unsigned k = 0; k < 20; k++) {
			spool_log_drop(bed.log, sent_id(1000));
			settle();
		}
	}
	CHECK_INT(1, bed.reports[SPOOL_REPORT_CORRUPT]);
	CHECK(bed.reports[SPOOL_REPORT_COMPACTED] > 10);
	CHECK(model_name_find(&bed.disk.now, "d/0000000001.log") != NULL);
	CHECK(model_name_find(&bed.disk.now, "d/0000000003.log") == NULL);
	spool_log_state(bed.log, &st);
	CHECK_INT(40, st.messages);
	CHECK(st.disk_octets < 20 * SEGMENT);
	for (unsigned i = 0; i < 40; i++)
		CHECK(spool_log_has(bed.log, held[i], &large) && !large);
	tear_down();
}

static void a_segment_that_is_read_stays(void)
{
	struct spool_place place;
	struct spool_message m;
	char *octets;

	set_up();
	const uint64_t id = sent_id(1000);
	NEED(spool_log_pin(bed.log, id, &place) == 0);
	spool_log_drop(bed.log, id);
	CHECK_INT(-ERR_NOTFOUND, spool_log_pin(bed.log, id, &place));
	for (unsigned i = 0; i < 100; i++) {
		spool_log_drop(bed.log, sent_id(1000));
		settle();
	}
	NEED(spool_place_read(&bed.disk.fs, "d", &place, id, &octets, &m) == 0);
	free(octets);
	spool_log_unpin(bed.log, &place);
	settle();
	CHECK(model_name_find(&bed.disk.now, "d/0000000001.log") == NULL);
	CHECK_INT(-ERR_IO, spool_place_read(&bed.disk.fs, "d", &place, id, &octets, &m));
	tear_down();
}

static void a_message_that_is_dropped_while_it_is_moved_goes(void)
{
	uint64_t held[40];
	bool moving = false, large;
	unsigned n = 0;

	set_up();
	while (!moving && n < 40) {
		held[n++] = sent_id(1000);
		for (unsigned k = 0; k < 20 && !moving; k++) {
			spool_log_drop(bed.log, sent_id(1000));
			while (!moving && chore()) {
				struct spool_batch *b = spool_log_seal(bed.log, bed.now_us);
				if (!b)
					continue;
				spool_batch_write(b);
				/* No new message, and yet one of that size: a copy is on its way. */
				moving = spool_batch_messages(b) == 0 && spool_batch_octets(b) >= 1000;
				for (unsigned m = 0; moving && m < n; m++)
					spool_log_drop(bed.log, held[m]);
				spool_log_written(bed.log, &b, bed.now_us);
			}
		}
	}
	NEED(moving);
	for (unsigned m = 0; m < n; m++)
		CHECK(!spool_log_has(bed.log, held[m], &large));
	settle();
	reopen();
	CHECK_INT(0, bed.nids);
	tear_down();
}

TEST_MAIN(TEST(ids_grow_whatever_the_clock_does), TEST(no_id_is_given_again_after_a_restart),
	  TEST(a_failed_sync_ends_its_segment), TEST(a_broken_log_says_so_and_mends_itself),
	  TEST(notes_do_not_fill_the_memory_while_the_disk_is_away), TEST(files_are_used_again),
	  TEST(a_record_larger_than_a_segment_gets_a_larger_one),
	  TEST(damage_is_reported_once_and_a_copy_is_kept), TEST(a_torn_end_is_counted_and_not_reported),
	  TEST(a_segment_without_header_is_set_aside), TEST(compaction_keeps_what_it_cannot_read),
	  TEST(a_segment_that_is_read_stays), TEST(a_message_that_is_dropped_while_it_is_moved_goes))
