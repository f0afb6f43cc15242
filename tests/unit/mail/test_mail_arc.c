#include "mail/mail_arc.h"

#include "base/err.h"
#include "test.h"

#define HASH       "2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8="
#define AAR(i)     "ARC-Authentication-Results: i=" i "; mx.example; none\r\n"
#define AMS(i)     "ARC-Message-Signature: i=" i ";a=rsa-sha256;d=a.example;s=s;h=from;bh=" HASH ";b=Zm9v\r\n"
#define AS(i, cv)  "ARC-Seal: i=" i ";a=rsa-sha256;d=a.example;s=s;cv=" cv ";b=Zm9v\r\n"
#define SET(i, cv) AS(i, cv) AMS(i) AAR(i)

static void chains(void)
{
	static const struct {
		const char *head;
		size_t n;
		const char *why; /* "": it is formed as it must be */
		bool ended;
	} cases[] = {
		{ "From: a@b.example\r\n\r\n", 0, "", false },
		{ SET("1", "none") "\r\n", 1, "", false },
		{ SET("2", "pass") SET("1", "none") "\r\n", 2, "", false },
		/* Order in the header does not matter. */
		{ AAR("1") SET("2", "pass") AS("1", "none") AMS("1") "\r\n", 2, "", false },
		{ SET("2", "fail") SET("1", "none") "\r\n", 2, "the chain had failed before it came here",
		  true },
		{ SET("1", "pass") "\r\n", 1, "cv= does not fit the place in the chain", false },
		{ SET("2", "none") SET("1", "none") "\r\n", 2, "cv= does not fit the place in the chain",
		  false },
		{ SET("2", "pass") "\r\n", 1, "an ARC set is not complete", false },
		{ SET("3", "pass") SET("1", "none") "\r\n", 2, "an ARC set is not complete", false },
		{ AS("1", "none") AMS("1") "\r\n", 1, "an ARC set is not complete", false },
		{ AS("1", "none") AAR("1") "\r\n", 1, "an ARC set is not complete", false },
		{ AMS("1") AAR("1") "\r\n", 1, "an ARC set is not complete", false },
		{ AAR("1") SET("1", "none") "\r\n", 2, "two ARC-Authentication-Results of the same number",
		  false },
		{ AS("1", "none") SET("1", "none") "\r\n", 2, "two ARC signatures of the same number",
		  false },
		{ SET("0", "none") "\r\n", 1, "i= is no number of an ARC set", false },
		{ SET("51", "none") "\r\n", 1, "i= is no number of an ARC set", false },
		{ SET("x", "none") "\r\n", 1, "i= is no number of an ARC set", false },
		{ "ARC-Authentication-Results: mx.example; none\r\n" AS("1", "none") AMS("1") "\r\n", 1,
		  "ARC-Authentication-Results without the number of its set", false },
		{ AAR("1")
			  AMS("1") "ARC-Seal: i=1;a=rsa-sha256;d=a.example;s=s;cv=none;h=from;b=Zm9v\r\n\r\n",
		  1, "a seal may not have h=", false },
		{ AAR("1") AS("1", "maybe") AMS("1") "\r\n", 1, "cv= is not none, pass or fail", false },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct arena *a = arena_new(200000);
		struct mail_head *h = NULL;
		struct mail_arc arc;
		NEED(mail_head_parse(a, span_of(cases[i].head), 100000, &h) > 0);
		CHECK_INT(0, mail_arc_parse(a, h, &arc));
		if (arc.n != cases[i].n || strcmp(arc.why ? arc.why : "", cases[i].why) != 0 ||
		    arc.ended != cases[i].ended)
			FAIL("case %zu: %zu sets, \"%s\", ended %d", i, arc.n, arc.why ? arc.why : "",
			     arc.ended);
		arena_free(&a);
	}
}

static void more_than_fifty_sets(void)
{
	struct arena *a = arena_new(1000000);
	struct buf b = BUF_INIT(100000);
	struct mail_head *h = NULL;
	struct mail_arc arc;

	for (int i = 0; i < 51; i++)
		buf_add_str(&b, AAR("1"));
	buf_add_str(&b, "\r\n");
	NEED(mail_head_parse(a, buf_span(&b), 100000, &h) > 0);
	CHECK_INT(0, mail_arc_parse(a, h, &arc));
	CHECK_STR("too many ARC sets", arc.why);
	CHECK(arc.ended);
	buf_free(&b);
	arena_free(&a);
}

static void what_a_seal_covers(void)
{
	struct arena *a = arena_new(200000);
	struct buf b = BUF_INIT(100000);
	struct mail_head *h = NULL;
	struct mail_arc arc;

	NEED(mail_head_parse(a, SPAN(SET("1", "none") "\r\n"), 100000, &h) > 0);
	NEED(mail_arc_parse(a, h, &arc) == 0);
	CHECK(mail_arc_cover(&b, &arc, 1, SPAN("A: 1\r\n"), SPAN("B:  2\r\n"), SPAN("C: i=2; b=xyz\r\n")));
	CHECK_SPAN("arc-authentication-results:i=1; mx.example; none\r\n"
		   "arc-message-signature:i=1;a=rsa-sha256;d=a.example;s=s;h=from;bh=" HASH ";b=Zm9v\r\n"
		   "arc-seal:i=1;a=rsa-sha256;d=a.example;s=s;cv=none;b=Zm9v\r\n"
		   "a:1\r\nb:2\r\nc:i=2; b=",
		   buf_span(&b));
	buf_free(&b);
	arena_free(&a);
}

TEST_MAIN(TEST(chains), TEST(more_than_fifty_sets), TEST(what_a_seal_covers))
