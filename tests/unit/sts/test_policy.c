#include "sts/sts_policy.h"

#include "base/err.h"
#include "test.h"

static void records(void)
{
	static const struct {
		const char *txt, *id;
		int want;
	} t[] = {
		{ "v=STSv1; id=20160831085700Z;", "20160831085700Z", 0 },
		{ "v=STSv1;id=1", "1", 0 },
		{ "v=STSv1 ; id=1 ; other=x;", "1", 0 },
		{ "v=STSv1; new; id=abc", "abc", 0 },
		{ "v=spf1 -all", "", -ERR_NOTFOUND },
		{ "v=STSv10; id=1", "", -ERR_NOTFOUND },
		{ "id=1; v=STSv1", "", -ERR_NOTFOUND },
		{ "", "", -ERR_NOTFOUND },
		{ "v=STSv1;", "", -ERR_SYNTAX },
		{ "v=STSv1; id=", "", -ERR_SYNTAX },
		{ "v=STSv1; id=a-b", "", -ERR_SYNTAX },
		{ "v=STSv1; id=1; id=2", "", -ERR_SYNTAX },
		{ "v=STSv1; ID=1", "", -ERR_SYNTAX },
		{ "v=STSv1; id=123456789012345678901234567890123", "", -ERR_SYNTAX },
	};

	for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
		struct span id = SPAN("");
		CHECK_INT(t[i].want, sts_record_parse(span_of(t[i].txt), &id));
		CHECK_SPAN(t[i].id, id);
	}
}

static struct sts_policy *parse(const char *text)
{
	struct sts_policy *p = NULL;
	const char *why = "";

	CHECK_INT(0, sts_policy_parse(span_of(text), &p, &why));
	CHECK_STR("", why);
	NEED(p != NULL);
	return p;
}

static void a_policy(void)
{
	struct sts_policy *p =
		parse("version: STSv1\r\nmode: enforce\r\nmx: mail.Example.com\r\nmx: *.example.net\r\n"
		      "mx: backupmx.example.com\r\nmax_age: 604800\r\n");

	CHECK_STR("enforce", sts_mode_name(p->mode));
	CHECK_INT(604800, p->max_age_s);
	CHECK_INT(3, p->nmx);
	CHECK_SPAN("mail.example.com", p->mx[0]);
	CHECK_SPAN(".example.net", p->mx[1]);
	CHECK(sts_policy_has_mx(p, SPAN("mail.example.com")));
	CHECK(sts_policy_has_mx(p, SPAN("a.example.net")));
	CHECK(!sts_policy_has_mx(p, SPAN("a.b.example.net")));
	CHECK(!sts_policy_has_mx(p, SPAN("example.net")));
	CHECK(!sts_policy_has_mx(p, SPAN(".example.net")));
	CHECK(!sts_policy_has_mx(p, SPAN("xmail.example.com")));
	CHECK(!sts_policy_has_mx(p, SPAN("")));
	sts_policy_unref(&p);
	CHECK(p == NULL);
}

static void what_is_forgiven(void)
{
	struct sts_policy *p = parse(
		"max_age:99999999\nmode:testing \n\nnew: field\nversion: STSv1\nmode: enforce\nmx:a.example");

	CHECK_STR("testing", sts_mode_name(p->mode)); /* the first one counts */
	CHECK_INT(STS_MAX_AGE_S, p->max_age_s);
	sts_policy_unref(&p);
	p = parse("version: STSv1\nmode: none\nmax_age: 0\n");
	CHECK_INT(STS_MODE_NONE, p->mode);
	CHECK_INT(0, p->nmx);
	sts_policy_unref(&p);
}

static void what_is_not(void)
{
	static const struct {
		const char *text, *why;
	} t[] = {
		{ "", "version is not STSv1" },
		{ "<html>", "version is not STSv1" },
		{ "version: STSv2\nmode: none\nmax_age: 1", "version is not STSv1" },
		{ "version: STSv1\nmax_age: 1", "mode is none of enforce, testing, none" },
		{ "version: STSv1\nmode: Enforce\nmax_age: 1\nmx: a.b",
		  "mode is none of enforce, testing, none" },
		{ "version: STSv1\nmode: enforce\nmx: a.b", "max_age is not a number of seconds" },
		{ "version: STSv1\nmode: enforce\nmx: a.b\nmax_age: -1",
		  "max_age is not a number of seconds" },
		{ "version: STSv1\nmode: enforce\nmax_age: 1", "no mx" },
		{ "version: STSv1\nmode: enforce\nmx: [192.0.2.1]\nmax_age: 1",
		  "mx is not the name of a host" },
		{ "version: STSv1\nmode: enforce\nmx: *\nmax_age: 1", "mx is not the name of a host" },
		{ "version: STSv1\nmode: enforce\nmx: a.*.b\nmax_age: 1", "mx is not the name of a host" },
		{ "version: STSv1\nmode: enforce\nmx: a..b\nmax_age: 1", "mx is not the name of a host" },
		{ "version: STSv1\nmode: enforce\nmx:\nmax_age: 1", "mx is not the name of a host" },
	};

	for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
		struct sts_policy *p = NULL;
		const char *why = "";
		CHECK_INT(-ERR_SYNTAX, sts_policy_parse(span_of(t[i].text), &p, &why));
		CHECK_STR(t[i].why, why);
		CHECK(p == NULL);
	}
}

static void limits(void)
{
	static char text[STS_POLICY_OCTETS + 1];
	struct sts_policy *p = NULL;
	const char *why = "";

	memset(text, '\n', sizeof text);
	CHECK_INT(-ERR_TOOBIG, sts_policy_parse(span_make(text, sizeof text), &p, &why));
	CHECK_STR("longer than a policy may be", why);
	size_t n = 0;
	for (int i = 0; i <= STS_MX_MAX; i++)
		n += (size_t)snprintf(text + n, sizeof text - n, "mx: mx%d.example\n", i);
	CHECK_INT(-ERR_TOOBIG, sts_policy_parse(span_make(text, n), &p, &why));
	CHECK_STR("too many mx", why);
}

TEST_MAIN(TEST(records), TEST(a_policy), TEST(what_is_forgiven), TEST(what_is_not), TEST(limits))
