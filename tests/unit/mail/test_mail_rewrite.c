#include "mail/mail_rewrite.h"

#include "base/mem.h"
#include "test.h"

#define PENN "sampleaccount+{local}-{domain}@tld.example.edu"

static void templates_are_checked(void)
{
	static const char *const good[] = {
		PENN,
		"{local}@example.edu",
		"{local}@{domain}.relay.example.edu",
		"x.{domain}@a-{domain}.b",
		"noreply@example.edu",
		"12345678901234567890123456789012345678901234567890{local}@x",
		"1234567890123456789012345678901234567890123456789012345678901234@x",
	};
	static const struct {
		const char *template, *why;
	} bad[] = {
		{ "", "template has no \"@\"" },
		{ "{local}", "template has no \"@\"" },
		{ "@x", "template has nothing in front of \"@\"" },
		{ "{local}@", "template has no domain, or one that is too long" },
		{ "{user}@x", "template may have {local} and {domain} only" },
		{ "{local@x", "template may have {local} and {domain} only" },
		{ ".{local}@x", "template has a dot where none can stand" },
		{ "{local}.@x", "template has a dot where none can stand" },
		{ "a..{local}@x", "template has a dot where none can stand" },
		{ "a b{local}@x", "template: \"a b\" cannot stand in a local part" },
		{ "a\r\n@x", "template: \"a\r\n\" cannot stand in a local part" },
		{ "a@b@x", "template: \"a@b\" cannot stand in a local part" },
		{ "\xc3\xa4@x", "template: \"\xc3\xa4\" cannot stand in a local part" },
		{ "a@{local}.x", "template may have {domain} only behind \"@\"" },
		{ "a@{domain}{domain}", "template may have one {domain} behind \"@\"" },
		{ "a@x y", "template: \"x y\" cannot stand in a domain" },
		{ "123456789012345678901234567890123456789012345678901{local}@x",
		  "template: the text in front of \"@\" is too long" },
		{ "12345678901234567890123456789012345678901234567890123456789012345@x",
		  "template: the text in front of \"@\" is too long" },
	};

	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		CHECK_INT(0, mail_rewrite_check(span_of(good[i]), NULL));
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct errtext e = { "" };
		CHECK_INT(-ERR_INVAL, mail_rewrite_check(span_of(bad[i].template), &e));
		CHECK_STR(bad[i].why, e.s);
	}
}

static void addresses_are_expanded(void)
{
	static const struct {
		const char *template, *local, *domain;
		int rc;
		const char *want_local, *want_domain;
	} cases[] = {
		{ PENN, "root", "systemname.tld.example.edu", 1,
		  "sampleaccount+root-systemname.tld.example.edu", "tld.example.edu" },
		{ PENN, "root", "SYSTEMNAME.TLD.example.edu", 1,
		  "sampleaccount+root-systemname.tld.example.edu", "tld.example.edu" },
		{ PENN, "sampleaccount+root-x", "TLD.example.edu", 0, "sampleaccount+root-x",
		  "TLD.example.edu" },
		{ PENN, "sampleaccount", "tld.example.edu", 1, "sampleaccount+sampleaccount-tld.example.edu",
		  "tld.example.edu" },
		{ PENN, "root", "", 1, "sampleaccount+root-", "tld.example.edu" },
		{ "{local}@example.edu", "root", "host", 1, "root", "example.edu" },
		{ "{local}@example.edu", "root", "example.edu", 0, "root", "example.edu" },
		{ "{local}@{domain}.Relay.edu", "root", "Host", 1, "root", "host.relay.edu" },
		{ "{local}@{domain}.relay.edu", "root", "host.relay.edu", 0, "root", "host.relay.edu" },
		{ "{local}@{domain}.relay.edu", "root", ".relay.edu", -ERR_INVAL, "", "" },
		{ "{local}@{domain}.relay.edu", "root", "", -ERR_INVAL, "", "" },
		{ "{local}@x{domain}y", "root", "", -ERR_INVAL, "", "" },
		{ "{local}@{domain}.relay.edu", "root", "[192.0.2.1]", -ERR_INVAL, "", "" },
		{ "noreply@x", "root", "host", 1, "noreply", "x" },
		{ "noreply@x", "noreply", "x", 0, "noreply", "x" },
		{ "noreply@x", "noreplyall", "x", 1, "noreply", "x" },
		{ "{local}-{domain}", "a", "b", -ERR_INVAL, "", "" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct arena *a = arena_new(1000);
		struct mail_rewritten r = { SPAN(""), SPAN("") };
		const int rc = mail_rewrite_expand(a, span_of(cases[i].template), span_of(cases[i].local),
						   span_of(cases[i].domain), &r);
		CHECK_INT(cases[i].rc, rc);
		CHECK_SPAN(cases[i].want_local, r.local);
		CHECK_SPAN(cases[i].want_domain, r.domain);
		arena_free(&a);
	}
	struct arena *small = arena_new(10);
	struct mail_rewritten r = { 0 };
	CHECK(mail_rewrite_expand(small, SPAN("{local}@x"), SPAN("aaaaaaaaaa"), SPAN("b"), &r) < 0);
	CHECK(!r.local.p);
	arena_free(&small);
}

/* Expands with PENN; the local part is valid, has the tail of a hash, and is recognised. */
static struct span expand_hashed(struct arena *a, struct span local, struct span domain)
{
	struct mail_rewritten r, again;

	NEED(mail_rewrite_expand(a, SPAN(PENN), local, domain, &r) == 1);
	CHECK(r.local.n <= MAIL_LOCAL_MAX);
	CHECK(span_starts(r.local, SPAN("sampleaccount+")));
	CHECK(mail_address_valid(r.local, r.domain));
	for (size_t i = 0; i < r.local.n; i++)
		CHECK(r.local.p[i] > ' ' && r.local.p[i] < 0x7f && !strchr("\"@\\<>(),;:[]", r.local.p[i]));
	CHECK_INT(0, mail_rewrite_expand(a, SPAN(PENN), r.local, r.domain, &again));
	CHECK(span_eq(r.local, again.local));
	return r.local;
}

static void what_does_not_fit_is_hashed(void)
{
	struct arena *a = arena_new(100000);
	const struct span host = SPAN("a-very-long-name.of.a.host.in.some.department.example.edu");
	const struct span one = expand_hashed(a, SPAN("root"), host);
	const struct span other = expand_hashed(
		a, SPAN("root"), SPAN("a-very-long-name.of.a.host.in.some.department.example.org"));
	static const char *const odd[] = { "a b", "a\"b", "a@b", "a\r\nb", "\xc3\xa4",
					   "",    "<>",   "(x)", "a,b;c:d" };

	CHECK_INT(64, one.n);
	CHECK_INT(64, other.n);
	CHECK(!span_eq(one, other));
	CHECK(span_eq(one, expand_hashed(a, SPAN("root"),
					 SPAN("A-very-long-name.of.a.host.in.some.department.example.EDU"))));
	/* It is the same for ever: mail that was sent with it is answered years later. */
	CHECK_SPAN("sampleaccount+root-a-very-long-name.of.a.host.in.so-nazaqvaws5r7", one);
	for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
		for (size_t k = 0; k < i; k++)
			CHECK(!span_eq(expand_hashed(a, span_of(odd[i]), SPAN("host")),
				       expand_hashed(a, span_of(odd[k]), SPAN("host"))) ||
			      odd[i][0] == '\0' || odd[k][0] == '\0');
	expand_hashed(a, SPAN("..a..b.."), SPAN("..x.."));
	struct mail_rewritten r;
	CHECK_INT(1, mail_rewrite_expand(a, SPAN("s.{local}@x"), SPAN(""), SPAN("h"), &r));
	CHECK(span_starts(r.local, SPAN("s.-")));
	CHECK_INT(0, mail_rewrite_expand(a, SPAN("s.{local}@x"), r.local, r.domain, &r));
	expand_hashed(a, SPAN("root"), SPAN("[192.0.2.1]"));
	arena_free(&a);
}

static void check_senders(const char *head, const struct mail_rewrite_rule *rule, int rc, const char *want)
{
	struct arena *a = arena_new(100000);
	struct buf b = BUF_INIT(100000);
	struct mail_head *h = NULL;

	NEED(mail_head_parse(a, span_of(head), 100000, &h) > 0);
	CHECK_INT(rc, mail_rewrite_senders(h, rule));
	CHECK_INT(0, mail_head_write(h, &b));
	CHECK_SPAN(want, buf_span(&b));
	/* Once more changes nothing. */
	if (rc >= 0) {
		CHECK_INT(0, mail_rewrite_senders(h, rule));
		buf_reset(&b);
		CHECK_INT(0, mail_head_write(h, &b));
		CHECK_SPAN(want, buf_span(&b));
	}
	buf_free(&b);
	arena_free(&a);
}

static void fields_keep_their_form(void)
{
	const struct mail_rewrite_rule rule = { .template = SPAN("s+{local}-{domain}@x.edu"),
						.domain = SPAN("") };
	struct mail_rewrite_rule narrow = rule;

	check_senders("From: \"Cron, Root\" <root@host>\r\n\r\n", &rule, 1,
		      "From: \"Cron, Root\" <s+root-host@x.edu>\r\n\r\n");
	check_senders("From: root@host (Cron)\r\n\r\n", &rule, 1, "From: s+root-host@x.edu (Cron)\r\n\r\n");
	check_senders("From:root@host\r\n\r\n", &rule, 1, "From:s+root-host@x.edu\r\n\r\n");
	check_senders(
		"From: =?utf-8?Q?B=C3=BCro?=\r\n\t<root@host>,\r\n\tA . B <b @ h>\r\n\r\n", &rule, 2,
		"From: =?utf-8?Q?B=C3=BCro?=\r\n\t<s+root-host@x.edu>,\r\n\tA . B <s+b-h@x.edu>\r\n\r\n");
	check_senders("From: <@r:root@host>\r\nSender: x@host\r\nReply-To: y@host\r\nTo: z@host\r\n\r\n",
		      &rule, 2,
		      "From: <s+root-host@x.edu>\r\nSender: s+x-host@x.edu\r\nReply-To: y@host\r\nTo: "
		      "z@host\r\n\r\n");
	check_senders("From: root\r\n\r\n", &rule, 0, "From: root\r\n\r\n");
	check_senders("From: nobody at all\r\n\r\n", &rule, 0, "From: nobody at all\r\n\r\n");
	check_senders("Subject: x\r\n\r\n", &rule, 0, "Subject: x\r\n\r\n");
	check_senders("From: a@b\n (x)\n\n", &rule, 1, "From: s+a-b@x.edu (x)\r\n\r\n");
	check_senders("From: a@b,\x01 c\x01@d, \x02"
		      "e@f\r\n\r\n",
		      &rule, 3, "From: s+a-b@x.edu, s+c-d@x.edu, s+e-f@x.edu\r\n\r\n");
	narrow.domain = SPAN(".systems.edu");
	narrow.default_domain = SPAN("c4.systems.edu");
	narrow.keep_original = true;
	check_senders("From: Cron\r\n <root@h.Systems.edu>\r\n\r\n", &narrow, 1,
		      "From: Cron\r\n <s+root-h.systems.edu@x.edu>\r\nX-Original-From: Cron "
		      "<root@h.Systems.edu>\r\n\r\n");
	check_senders("From: a@systems.edu\r\nSender: b@h.systems.edu\r\n\r\n", &narrow, 1,
		      "From: a@systems.edu\r\nSender: s+b-h.systems.edu@x.edu\r\n\r\n");
	check_senders("From: Cron <root>\r\n\r\n", &narrow, 1,
		      "From: Cron <s+root-c4.systems.edu@x.edu>\r\nX-Original-From: Cron <root>\r\n\r\n");
	/* A name is added to what has none, also where the address is as it should be. */
	narrow.template = SPAN("{local}@c4.systems.edu");
	check_senders("From: root\r\n\r\n", &narrow, 1,
		      "From: root@c4.systems.edu\r\nX-Original-From: root\r\n\r\n");
	narrow.template = SPAN("bad");
	check_senders("From: root\r\n\r\n", &narrow, -ERR_INVAL, "From: root\r\n\r\n");
}

static void long_lines_are_folded_anew(void)
{
	struct arena *a = arena_new(100000);
	struct buf b = BUF_INIT(100000);
	struct mail_head *h = NULL;
	const struct mail_rewrite_rule rule = { .template =
							SPAN("a-rather-long-prefix+{local}-{domain}@x.edu") };

	/* 990 octets before, more than 998 after. */
	buf_add_str(&b, "From: \"");
	while (b.n < 975)
		buf_add_str(&b, b.n % 10 ? "x" : " ");
	buf_add_str(&b, "\" <root@host>\r\n\r\n");
	NEED(mail_head_parse(a, buf_span(&b), 100000, &h) > 0);
	CHECK_INT(0, h->oddities);
	CHECK_INT(1, mail_rewrite_senders(h, &rule));
	struct buf out = BUF_INIT(100000);
	CHECK_INT(0, mail_head_write(h, &out));
	CHECK(span_find(buf_span(&out), SPAN("<a-rather-long-prefix+root-host@x.edu>\r\n")) > 0);
	NEED(mail_head_parse(a, buf_span(&out), 100000, &h) > 0);
	CHECK_INT(0, h->oddities);
	buf_free(&out);
	buf_free(&b);
	arena_free(&a);
}

static void the_author_is_set(void)
{
	static const struct {
		const char *head, *want;
	} cases[] = {
		{ "From: \"Scan, 2nd\" <me@laptop.local>\r\nReply-To: r@x\r\nSender: s@x\r\n\r\n",
		  "From: \"Scan, 2nd\" <c4@x.edu>\r\nReply-To: r@x\r\nX-Original-From: \"Scan, 2nd\" "
		  "<me@laptop.local>\r\n\r\n" },
		{ "From: a@b, c@d\r\n\r\n", "From: c4@x.edu\r\nX-Original-From: a@b, c@d\r\n\r\n" },
		{ "From: G: a@b;\r\n\r\n", "From: c4@x.edu\r\nX-Original-From: G: a@b;\r\n\r\n" },
		{ "From: broken one\r\nFrom: e@f\r\n\r\n",
		  "From: c4@x.edu\r\nX-Original-From: broken one\r\n\r\n" },
		{ "Subject: x\r\n\r\n", "Subject: x\r\nFrom: c4@x.edu\r\n\r\n" },
		{ "From: Me <C4@X.edu>\r\n\r\n", "From: Me <C4@X.edu>\r\n\r\n" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct arena *a = arena_new(100000);
		struct buf b = BUF_INIT(100000);
		struct mail_head *h = NULL;
		NEED(mail_head_parse(a, span_of(cases[i].head), 100000, &h) > 0);
		for (int twice = 0; twice < 2; twice++) {
			CHECK_INT(0, mail_rewrite_author(h, SPAN("c4"), SPAN("x.edu"), true));
			buf_reset(&b);
			CHECK_INT(0, mail_head_write(h, &b));
			CHECK_SPAN(cases[i].want, buf_span(&b));
		}
		buf_free(&b);
		arena_free(&a);
	}
}

static void domains_are_matched(void)
{
	CHECK(mail_rewrite_domain_matches(SPAN(""), SPAN("x")));
	CHECK(mail_rewrite_domain_matches(SPAN("x.edu"), SPAN("X.EDU")));
	CHECK(!mail_rewrite_domain_matches(SPAN("x.edu"), SPAN("a.x.edu")));
	CHECK(mail_rewrite_domain_matches(SPAN(".x.edu"), SPAN("a.X.edu")));
	CHECK(!mail_rewrite_domain_matches(SPAN(".x.edu"), SPAN("x.edu")));
	CHECK(!mail_rewrite_domain_matches(SPAN(".x.edu"), SPAN(".x.edu")));
	CHECK(!mail_rewrite_domain_matches(SPAN(".x.edu"), SPAN("ax.edu")));
}

static void sub_addresses(void)
{
	CHECK_SPAN("user", mail_base_local(SPAN("user+tag"), '+'));
	CHECK_SPAN("user", mail_base_local(SPAN("user+a+b"), '+'));
	CHECK_SPAN("user+tag", mail_base_local(SPAN("user+tag"), '-'));
	CHECK_SPAN("user+tag", mail_base_local(SPAN("user+tag"), '\0'));
	CHECK_SPAN("+tag", mail_base_local(SPAN("+tag"), '+'));
	CHECK_SPAN("", mail_base_local(SPAN(""), '+'));
	CHECK(mail_address_is_allowed(SPAN("sampleaccount"), SPAN("x.edu"), SPAN("sampleaccount+x"),
				      SPAN("X.edu"), '+'));
	CHECK(mail_address_is_allowed(SPAN("s+x"), SPAN("x.edu"), SPAN("S+x"), SPAN("x.edu"), '+'));
	CHECK(!mail_address_is_allowed(SPAN("s+x"), SPAN("x.edu"), SPAN("s+y"), SPAN("x.edu"), '+'));
	CHECK(!mail_address_is_allowed(SPAN("s+x"), SPAN("x.edu"), SPAN("s"), SPAN("x.edu"), '+'));
	CHECK(!mail_address_is_allowed(SPAN("s"), SPAN("x.edu"), SPAN("s+x"), SPAN("x.edu"), '\0'));
	CHECK(!mail_address_is_allowed(SPAN("s"), SPAN("x.edu"), SPAN("s"), SPAN("y.edu"), '+'));
}

TEST_MAIN(TEST(templates_are_checked), TEST(addresses_are_expanded), TEST(what_does_not_fit_is_hashed),
	  TEST(fields_keep_their_form), TEST(long_lines_are_folded_anew), TEST(the_author_is_set),
	  TEST(domains_are_matched), TEST(sub_addresses))
