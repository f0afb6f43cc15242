#include "test.h"

#include "queue/queue_reason.h"

static struct queue_outcome said(int code, const char *enhanced, const char *text, const char *remote)
{
	return (struct queue_outcome){
		.code = code, .enhanced = span_of(enhanced), .text = span_of(text), .remote = span_of(remote)
	};
}

static void the_same_is_kept_once(void)
{
	struct queue_reasons t;
	const struct queue_outcome o = said(451, "4.7.1", "come back later", "mx[192.0.2.1]:25");
	const struct queue_outcome shifted = said(451, "4.7.1", "come back late", "rmx[192.0.2.1]:25");

	queue_reasons_init(&t, 10000);
	struct queue_reason *a = queue_reason_get(&t, &o, 200), *b = queue_reason_get(&t, &o, 200);
	struct queue_reason *c = queue_reason_get(&t, &shifted, 200);
	CHECK(a == b);
	CHECK(a != c);
	struct queue_outcome told = { .rcpt = 7 };
	queue_reason_tell(a, &told);
	CHECK_INT(7, told.rcpt);
	CHECK_INT(451, told.code);
	CHECK_SPAN("4.7.1", told.enhanced);
	CHECK_SPAN("come back later", told.text);
	CHECK_SPAN("mx[192.0.2.1]:25", told.remote);
	queue_reason_put(&t, &a);
	CHECK(a == NULL);
	queue_reason_tell(b, &told);
	CHECK_SPAN("come back later", told.text);
	queue_reason_put(&t, &b);
	queue_reason_put(&t, &c);
	queue_reason_put(&t, &c);
	CHECK_INT(0, t.bytes);
	queue_reasons_deinit(&t);
}

static void nothing_is_no_reason(void)
{
	struct queue_reasons t;
	struct queue_outcome o = { 0 };

	queue_reasons_init(&t, 10000);
	CHECK(queue_reason_get(&t, &o, 200) == NULL);
	o = said(451, "4.0.0", "x", "y");
	queue_reason_tell(NULL, &o);
	CHECK_INT(0, o.code);
	CHECK_INT(0, o.text.n + o.enhanced.n + o.remote.n);
	queue_reasons_deinit(&t);
}

static void long_ones_are_cut(void)
{
	struct queue_reasons t;
	static char text[1000];
	struct queue_outcome o = said(99999, "5.1.1-and-much-more-of-it", "", "");

	memset(text, 'x', sizeof text);
	queue_reasons_init(&t, 10000);
	o.text = o.remote = span_make(text, sizeof text);
	struct queue_reason *r = queue_reason_get(&t, &o, 200);
	queue_reason_tell(r, &o);
	CHECK_INT(0, o.code);
	CHECK_INT(200, o.text.n);
	CHECK_INT(QUEUE_REMOTE_MAX, o.remote.n);
	CHECK_INT(16, o.enhanced.n);
	queue_reason_put(&t, &r);
	o = (struct queue_outcome){ .text = span_make(text, sizeof text) };
	r = queue_reason_get(&t, &o, 9999);
	queue_reason_tell(r, &o);
	CHECK_INT(QUEUE_TEXT_MAX, o.text.n);
	queue_reason_put(&t, &r);
	queue_reasons_deinit(&t);
}

static void over_the_budget_codes_stay(void)
{
	struct queue_reasons t;
	struct queue_reason *r[100];
	char text[40];

	queue_reasons_init(&t, 1000);
	for (int i = 0; i < 100; i++) {
		snprintf(text, sizeof text, "greylisted, id %d", i);
		const struct queue_outcome o = said(451, "4.7.1", text, "mx:25");
		r[i] = queue_reason_get(&t, &o, 200);
	}
	struct queue_outcome told = { 0 };
	queue_reason_tell(r[0], &told);
	CHECK_SPAN("greylisted, id 0", told.text);
	queue_reason_tell(r[99], &told);
	CHECK_INT(451, told.code);
	CHECK_SPAN("4.7.1", told.enhanced);
	CHECK_SPAN("", told.text);
	CHECK(r[99] == r[98]);
	CHECK(t.bytes < 1200);
	for (int i = 0; i < 100; i++)
		queue_reason_put(&t, &r[i]);
	queue_reasons_deinit(&t);
}

TEST_MAIN(TEST(the_same_is_kept_once), TEST(nothing_is_no_reason), TEST(long_ones_are_cut),
	  TEST(over_the_budget_codes_stay))
