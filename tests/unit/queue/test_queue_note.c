#include "test.h"

#include "queue/queue_note.h"

static struct buf note;
static struct queue_note_writer writer;

static void begin(void)
{
	buf_init(&note, QUEUE_NOTE_MAX);
	queue_note_begin(&writer, &note);
}

static void group(const struct queue_note_group *g, const uint32_t *rcpts, uint32_t n)
{
	queue_note_group_begin(&writer, g);
	for (uint32_t i = 0; i < n; i++)
		queue_note_rcpt(&writer, rcpts[i]);
	queue_note_group_end(&writer);
}

static void check_rcpts(struct queue_note_reader *r, const uint32_t *rcpts, uint32_t n)
{
	uint32_t index = 0;

	for (uint32_t i = 0; i < n; i++) {
		CHECK_INT(1, queue_note_next_rcpt(r, &index));
		CHECK_INT(rcpts[i], index);
	}
	CHECK_INT(0, queue_note_next_rcpt(r, &index));
}

static void what_is_written_is_read(void)
{
	static const uint32_t some[] = { 0, 1, 5, 127, 128, 9999 }, one[] = { 3 };
	const struct queue_note_group settled = { .tag = QUEUE_NOTE_SETTLED };
	const struct queue_note_group waiting = {
		.tag = QUEUE_NOTE_WAITING,
		.attempts = 300,
		.notices = 2,
		.next_at_s = 1800000000,
		.reason = { .code = 451,
			    .enhanced = SPAN("4.7.1"),
			    .text = SPAN("later"),
			    .remote = SPAN("mx[192.0.2.1]:25") },
	};
	const struct queue_note_group ending = {
		.tag = QUEUE_NOTE_ENDING,
		.attempts = 1,
		.kind = QUEUE_NOTICE_RELAYED,
		.cause = QUEUE_CAUSE_DELIVERBY,
		.told = true,
		.reason = { .code = 250 },
	};
	struct queue_note_reader r;
	struct queue_note_group g;

	begin();
	group(&settled, some, 6);
	group(&waiting, one, 1);
	group(&ending, some, 2);
	group(&(struct queue_note_group){ .tag = QUEUE_NOTE_ONLY }, NULL, 0);
	CHECK(queue_note_end(&writer));
	CHECK(note.n < 100);

	CHECK_INT(0, queue_note_open(&r, buf_span(&note)));
	CHECK_INT(1, queue_note_next(&r, &g));
	CHECK_INT(QUEUE_NOTE_SETTLED, g.tag);
	check_rcpts(&r, some, 6);
	CHECK_INT(1, queue_note_next(&r, &g));
	CHECK_INT(QUEUE_NOTE_WAITING, g.tag);
	CHECK_INT(300, g.attempts);
	CHECK_INT(2, g.notices);
	CHECK_INT(1800000000, g.next_at_s);
	CHECK_INT(451, g.reason.code);
	CHECK_SPAN("4.7.1", g.reason.enhanced);
	CHECK_SPAN("later", g.reason.text);
	CHECK_SPAN("mx[192.0.2.1]:25", g.reason.remote);
	check_rcpts(&r, one, 1);
	CHECK_INT(1, queue_note_next(&r, &g));
	CHECK_INT(QUEUE_NOTE_ENDING, g.tag);
	CHECK_INT(QUEUE_NOTICE_RELAYED, g.kind);
	CHECK_INT(QUEUE_CAUSE_DELIVERBY, g.cause);
	CHECK(g.told);
	CHECK_INT(250, g.reason.code);
	/* Recipients that nobody asks for are passed over. */
	CHECK_INT(1, queue_note_next(&r, &g));
	CHECK_INT(QUEUE_NOTE_ONLY, g.tag);
	check_rcpts(&r, NULL, 0);
	CHECK_INT(0, queue_note_next(&r, &g));
	buf_free(&note);
}

static void texts_are_cut(void)
{
	static char text[1000];
	struct queue_note_group g = { .tag = QUEUE_NOTE_HELD };
	struct queue_note_reader r;

	memset(text, 't', sizeof text);
	g.reason.text = g.reason.remote = g.reason.enhanced = span_make(text, sizeof text);
	begin();
	group(&g, NULL, 0);
	g.tag = QUEUE_NOTE_ENDING;
	group(&g, NULL, 0);
	CHECK(queue_note_end(&writer));
	CHECK_INT(0, queue_note_open(&r, buf_span(&note)));
	CHECK_INT(1, queue_note_next(&r, &g));
	CHECK_INT(QUEUE_TEXT_KEPT_MAX, g.reason.text.n);
	CHECK_INT(QUEUE_REMOTE_MAX, g.reason.remote.n);
	CHECK_INT(1, queue_note_next(&r, &g));
	CHECK_INT(QUEUE_TEXT_MAX, g.reason.text.n);
	buf_free(&note);
}

static void unknown_groups_are_skipped(void)
{
	/* version; 3 octets of tag 77; 4 octets: settled, 2 recipients: 1 and 3 */
	static const char octets[] = "\x01\x03\x4d\xff\xff\x04\x01\x02\x01\x01";
	static const uint32_t want[] = { 1, 3 };
	struct queue_note_reader r;
	struct queue_note_group g;

	CHECK_INT(0, queue_note_open(&r, span_make(octets, sizeof octets - 1)));
	CHECK_INT(1, queue_note_next(&r, &g));
	CHECK_INT(QUEUE_NOTE_SETTLED, g.tag);
	check_rcpts(&r, want, 2);
	CHECK_INT(0, queue_note_next(&r, &g));
}

static int read_all(struct span octets)
{
	struct queue_note_reader r;
	struct queue_note_group g;
	uint32_t index;
	int ret = queue_note_open(&r, octets);

	while (ret == 0 && (ret = queue_note_next(&r, &g)) > 0)
		while ((ret = queue_note_next_rcpt(&r, &index)) > 0)
			continue;
	return ret;
}

static void broken_ones_are_refused(void)
{
	CHECK_INT(-ERR_CORRUPT, read_all(SPAN("")));
	CHECK_INT(-ERR_UNSUPPORTED, read_all(SPAN("\x02")));
	CHECK_INT(0, read_all(SPAN("\x01")));
	CHECK_INT(-ERR_CORRUPT, read_all(SPAN("\x01\x05\x01"))); /* a group longer than the note */
	CHECK_INT(-ERR_CORRUPT, read_all(SPAN("\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")));
	CHECK_INT(-ERR_CORRUPT, read_all(SPAN("\x01\x03\x01\x02\x01")));     /* a recipient is missing */
	CHECK_INT(-ERR_CORRUPT, read_all(SPAN("\x01\x04\x01\x01\x90\x4e"))); /* 10000 is over the last one */
	CHECK_INT(0, read_all(SPAN("\x01\x04\x01\x01\x8f\x4e")));
	CHECK_INT(-ERR_CORRUPT, read_all(SPAN("\x01\x01\x04")));     /* no state */
	CHECK_INT(-ERR_CORRUPT, read_all(SPAN("\x01\x02\x00\x00"))); /* there is no tag 0 */
}

TEST_MAIN(TEST(what_is_written_is_read), TEST(texts_are_cut), TEST(unknown_groups_are_skipped),
	  TEST(broken_ones_are_refused))
