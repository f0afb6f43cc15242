#include "mail/mail_address.h"

#include "base/err.h"
#include "base/mem.h"
#include "mail/mail_fold.h"
#include "test.h"

static struct mail_address_list parse(struct arena *a, struct span in)
{
	struct mail_address_list list = { 0 };

	NEED(mail_address_parse(a, in, 100, &list) == 0);
	return list;
}

/* One mailbox, nothing else. */
static void single_mailboxes(void)
{
	static const struct {
		const char *in, *name, *spec, *local, *domain;
		unsigned flags;
	} cases[] = {
		{ "root@host", "", "root@host", "root", "host", 0 },
		{ " root@host ", "", "root@host", "root", "host", 0 },
		{ "<root@host>", "", "root@host", "root", "host", MAIL_MAILBOX_ANGLE },
		{ "\"Cron, Root\" <root@host>", "\"Cron, Root\"", "root@host", "root", "host",
		  MAIL_MAILBOX_ANGLE },
		{ "root@host (Cron)", "", "root@host", "root", "host", 0 },
		{ "root@host (Cron (nested \\) one))", "", "root@host", "root", "host", 0 },
		{ "(Cron) root@host", "", "root@host", "root", "host", 0 },
		{ "Cron Daemon <root@host> (on host)", "Cron Daemon", "root@host", "root", "host",
		  MAIL_MAILBOX_ANGLE },
		{ "John Q. Public <j.q.public@example.com>", "John Q. Public", "j.q.public@example.com",
		  "j.q.public", "example.com", MAIL_MAILBOX_ANGLE },
		{ "=?utf-8?Q?B=C3=BCro?= <b@x.de>", "=?utf-8?Q?B=C3=BCro?=", "b@x.de", "b", "x.de",
		  MAIL_MAILBOX_ANGLE },
		{ "joe@x.org <joe@y.org>", "joe@x.org", "joe@y.org", "joe", "y.org", MAIL_MAILBOX_ANGLE },
		{ "[Scan] 2: floor <s@x.org>", "floor", "s@x.org", "s", "x.org", MAIL_MAILBOX_ANGLE },
		{ "\"a b\"@x.org", "", "\"a b\"@x.org", "a b", "x.org", MAIL_MAILBOX_QUOTED },
		{ "<\"a\\\"b\"@x.org>", "", "\"a\\\"b\"@x.org", "a\"b", "x.org",
		  MAIL_MAILBOX_ANGLE | MAIL_MAILBOX_QUOTED },
		{ "\"\"@x.org", "", "\"\"@x.org", "", "x.org", MAIL_MAILBOX_QUOTED },
		{ "a.\"b\".c@x.org", "", "a.\"b\".c@x.org", "a.b.c", "x.org", MAIL_MAILBOX_QUOTED },
		{ "a @ b.org", "", "a @ b.org", "a", "b.org", MAIL_MAILBOX_COMMENT },
		{ "pete(his account)@silly.test(his host)", "", "pete(his account)@silly.test", "pete",
		  "silly.test", MAIL_MAILBOX_COMMENT },
		{ "a . b @ c . org (x)", "", "a . b @ c . org", "a.b", "c.org", MAIL_MAILBOX_COMMENT },
		{ "joe@[192.0.2.1]", "", "joe@[192.0.2.1]", "joe", "[192.0.2.1]", 0 },
		{ "Joe <joe@[IPv6:2001:db8::1]>", "Joe", "joe@[IPv6:2001:db8::1]", "joe",
		  "[IPv6:2001:db8::1]", MAIL_MAILBOX_ANGLE },
		{ "joe@[IPv6:2001:db8::1]", "", "joe@[IPv6:2001:db8::1]", "joe", "[IPv6:2001:db8::1]", 0 },
		{ "<@a.org,@b.org:joe@c.org>", "", "@a.org,@b.org:joe@c.org", "joe", "c.org",
		  MAIL_MAILBOX_ANGLE | MAIL_MAILBOX_ROUTE },
		{ "Joe\r\n <joe\r\n @x.org>", "Joe", "joe\r\n @x.org", "joe", "x.org",
		  MAIL_MAILBOX_ANGLE | MAIL_MAILBOX_COMMENT },
		{ "root", "", "root", "root", "", MAIL_MAILBOX_NO_DOMAIN },
		{ "Cron <root>", "Cron", "root", "root", "", MAIL_MAILBOX_ANGLE | MAIL_MAILBOX_NO_DOMAIN },
		{ ".joe..x.@x.org", "", ".joe..x.@x.org", ".joe..x.", "x.org", MAIL_MAILBOX_DOTS },
		{ "joe@x.org.", "", "joe@x.org.", "joe", "x.org.", MAIL_MAILBOX_DOTS },
		{ "j\xc3\xbcrgen@b\xc3\xbc"
		  "ro.de",
		  "",
		  "j\xc3\xbcrgen@b\xc3\xbc"
		  "ro.de",
		  "j\xc3\xbcrgen",
		  "b\xc3\xbc"
		  "ro.de",
		  0 },
		{ "a+tag/x=y@my_host.local", "", "a+tag/x=y@my_host.local", "a+tag/x=y", "my_host.local", 0 },
		{ ", ,root@host,,", "", "root@host", "root", "host", 0 },
		{ "\"<a@b>\" <c@d>", "\"<a@b>\"", "c@d", "c", "d", MAIL_MAILBOX_ANGLE },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct arena *a = arena_new(10000);
		const struct mail_address_list list = parse(a, span_of(cases[i].in));
		const unsigned before = test_failures;
		CHECK_INT(1, list.n);
		CHECK_INT(0, list.broken);
		if (list.n == 1) {
			CHECK_SPAN(cases[i].name, list.boxes[0].name);
			CHECK_SPAN(cases[i].spec, list.boxes[0].spec);
			CHECK_SPAN(cases[i].local, list.boxes[0].local);
			CHECK_SPAN(cases[i].domain, list.boxes[0].domain);
			CHECK_INT(cases[i].flags, list.boxes[0].flags);
		}
		if (test_failures != before)
			printf("  in \"%s\"\n", cases[i].in);
		arena_free(&a);
	}
}

static void lists_and_groups(void)
{
	static const struct {
		const char *in;
		const char *found; /* local@domain[group] ... */
		unsigned groups, broken;
	} cases[] = {
		{ "", "", 0, 0 },
		{ " \r\n ", "", 0, 0 },
		{ "(only a comment)", "", 0, 0 },
		{ "a@b, c@d", "a@b c@d ", 0, 0 },
		{ "a@b; c@d", "a@b c@d ", 0, 0 },
		{ "A <a@b>,\r\n\t\"B, C\" <c@d>,e@f", "a@b c@d e@f ", 0, 0 },
		{ "undisclosed-recipients:;", "", 1, 0 },
		{ "undisclosed-recipients: ;", "", 1, 0 },
		{ "Staff: a@b, C <c@d>; e@f", "a@b[Staff] c@d[Staff] e@f ", 1, 0 },
		{ "\"A: B\": a@b;, X:;", "a@b[\"A: B\"] ", 2, 0 },
		{ "Open: a@b, c@d", "a@b[Open] c@d[Open] ", 1, 0 },
		{ "a@b, John Doe, c@d", "a@b c@d ", 0, 1 },
		{ "Doe, John <j@d>", "Doe@ j@d ", 0, 0 },
		{ "a@b, <>, <@>, @, c@d", "a@b c@d ", 0, 3 },
		{ "a@b@c", "", 0, 1 },
		{ "<a@b> x", "", 0, 1 },
		{ "<a@b> <c@d>", "", 0, 1 },
		{ "<a b@c>", "", 0, 1 },
		{ "a@b c", "", 0, 1 },
		{ "a@", "", 0, 1 },
		{ "a@.", "", 0, 1 },
		{ "..", "", 0, 1 },
		{ "a@[]", "", 0, 1 },
		{ "a@[1", "", 0, 1 },
		{ "a@[1] x", "", 0, 1 },
		{ "Joe <joe@x", "", 0, 1 },
		{ "\"Joe <joe@x>, a@b", "", 0, 1 },
		{ "Joe (x <joe@x>, a@b", "", 0, 1 },
		{ "a\x01@b, c@d", "c@d ", 0, 1 },
		{ "<@a.org,joe@c.org>", "", 0, 1 },
		{ "<@a\"b:joe@c.org>, d@e", "", 0, 1 },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct arena *a = arena_new(10000);
		struct buf b = BUF_INIT(1000);
		const struct mail_address_list list = parse(a, span_of(cases[i].in));
		const unsigned before = test_failures;
		for (size_t k = 0; k < list.n; k++) {
			const struct mail_mailbox *m = &list.boxes[k];
			buf_addf(&b, "%.*s@%.*s", SPAN_ARG(m->local), SPAN_ARG(m->domain));
			if (m->group.n)
				buf_addf(&b, "[%.*s]", SPAN_ARG(m->group));
			buf_add_char(&b, ' ');
		}
		CHECK_SPAN(cases[i].found, buf_span(&b));
		CHECK_INT(cases[i].groups, list.groups);
		CHECK_INT(cases[i].broken, list.broken);
		if (test_failures != before)
			printf("  in \"%s\"\n", cases[i].in);
		buf_free(&b);
		arena_free(&a);
	}
}

static void broken_ones_are_shown(void)
{
	struct arena *a = arena_new(10000);

	CHECK_SPAN("John Doe", parse(a, SPAN("a@b, John Doe , ,x y")).broken_first);
	CHECK_INT(1, parse(a, SPAN("a\0b@c")).broken);
	CHECK_INT(1, parse(a, SPAN("\"a\0b\"@c")).broken);
	CHECK_INT(1, parse(a, SPAN("\"a\\\rb\"@c")).broken);
	arena_free(&a);
}

static void hostile_lists_are_bounded(void)
{
	const size_t n = 1024 * 1024;
	char *p = mem_alloc_raw(n);
	struct arena *a = arena_new(64 * 1024);
	struct mail_address_list list = { 0 };
	static const char fill[] = { '(', '<', '"', ',', ':', '@', '\\', '.', '[', 'a' };

	for (size_t i = 0; i < sizeof fill; i++) {
		memset(p, fill[i], n);
		arena_reset(a);
		const int rc = mail_address_parse(a, span_make(p, n), 100, &list);
		CHECK(rc == 0 || rc == -ERR_TOOBIG);
		CHECK_INT(0, list.n);
	}
	for (size_t i = 0; i + 4 <= n; i += 4)
		memcpy(p + i, "a@b,", 4);
	CHECK_INT(-ERR_TOOBIG, mail_address_parse(a, span_make(p, n), 100, &list));
	CHECK_INT(0, list.n);
	arena_reset(a);
	CHECK_INT(0, mail_address_parse(a, span_make(p, 400), 100, &list));
	CHECK_INT(100, list.n);
	arena_reset(a);
	CHECK_INT(-ERR_TOOBIG, mail_address_parse(a, span_make(p, 404), 100, &list));
	arena_free(&a);
	free(p);
}

static void addresses_are_written(void)
{
	static const struct {
		const char *local, *domain;
		unsigned flags;
		const char *out;
	} cases[] = {
		{ "root", "host", 0, "root@host" },
		{ "a.b", "x.org", 0, "a.b@x.org" },
		{ "a b", "x.org", 0, "\"a b\"@x.org" },
		{ "a\"b\\c", "x.org", 0, "\"a\\\"b\\\\c\"@x.org" },
		{ ".a", "x.org", 0, "\".a\"@x.org" },
		{ "", "x.org", 0, "\"\"@x.org" },
		{ "root", "", 0, "root" },
		{ "a\r\nBcc: b", "x\r\nBcc: y.org", 0, "\"a??Bcc: b\"@x??Bcc:?y.org" },
		{ "j\xc3\xbcrgen", "x.org", 0, "j??rgen@x.org" },
		{ "j\xc3\xbcrgen",
		  "b\xc3\xbc"
		  "ro.de",
		  MAIL_FOLD_UTF8,
		  "j\xc3\xbcrgen@b\xc3\xbc"
		  "ro.de" },
		{ "j\xfcrgen", "x.org", MAIL_FOLD_UTF8, "j?rgen@x.org" },
		{ "joe", "[192.0.2.1]", 0, "joe@[192.0.2.1]" },
		{ "joe", "x>,<y", 0, "joe@x???y" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct buf b = BUF_INIT(100);
		CHECK(mail_address_write(&b, span_of(cases[i].local), span_of(cases[i].domain),
					 cases[i].flags));
		CHECK_SPAN(cases[i].out, buf_span(&b));
		buf_free(&b);
	}
	struct buf small = BUF_INIT(5);
	CHECK(!mail_address_write(&small, SPAN("root"), SPAN("host"), 0));
	buf_free(&small);
}

static void names_are_written(void)
{
	static const struct {
		const char *text, *out;
	} cases[] = {
		{ "Cron Daemon", "Cron Daemon" },           { "Cron, Root", "\"Cron, Root\"" },
		{ "a \"b\" \\c", "\"a \\\"b\\\" \\\\c\"" }, { "", "\"\"" },
		{ "x\r\nBcc: y", "\"x Bcc: y\"" },          { "John Q. Public", "\"John Q. Public\"" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct buf b = BUF_INIT(100);
		CHECK(mail_phrase_write(&b, span_of(cases[i].text), 0));
		CHECK_SPAN(cases[i].out, buf_span(&b));
		buf_free(&b);
	}
}

static void validity(void)
{
	char local[66];

	memset(local, 'a', sizeof local);
	CHECK(mail_address_valid(span_make(local, 64), SPAN("x.org")));
	CHECK(!mail_address_valid(span_make(local, 65), SPAN("x.org")));
	CHECK(mail_address_valid(SPAN("a b"), SPAN("[192.0.2.1]")));
	CHECK(mail_address_valid(SPAN("a"), SPAN("[IPv6:2001:db8::1]")));
	CHECK(!mail_address_valid(SPAN("a"), SPAN("[a b]")));
	CHECK(!mail_address_valid(SPAN("a"), SPAN("[]")));
	CHECK(!mail_address_valid(SPAN(""), SPAN("x.org")));
	CHECK(!mail_address_valid(SPAN("a"), SPAN("")));
	CHECK(!mail_address_valid(SPAN("a"), SPAN("x..org")));
	CHECK(!mail_address_valid(SPAN("a\n"), SPAN("x.org")));
}

TEST_MAIN(TEST(single_mailboxes), TEST(lists_and_groups), TEST(broken_ones_are_shown),
	  TEST(hostile_lists_are_bounded), TEST(addresses_are_written), TEST(names_are_written),
	  TEST(validity))
