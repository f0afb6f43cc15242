#include "auth/auth_users_file.h"
#include "test.h"

#define HASH "scrypt:14:8:1:TmFDbDEyMzQ=:/bq+HJ00cgB4VucZDQHp/nxq18vII3gw53N2Y0s3MWI="
#define VERIFIER                                                                                             \
	"4096:TmFDbDEyMzQ=:/bq+HJ00cgB4VucZDQHp/nxq18vII3gw53N2Y0s3MWI=:/bq+HJ00cgB4VucZDQHp/nxq18vII3gw53N2Y0s3MWI="
#define KEY "/bq+HJ00cgB4VucZDQHp/nxq18vII3gw53N2Y0s3MWI="

static const char good[] =
	"# users\n"
	"\n"
	"key " KEY "\n"
	"user copier7 password=" HASH " scram=" VERIFIER
	" created=2026-11-21T10:00:00Z changed=2026-11-22T10:00:00Z comment=\"3rd floor, \\\"the old one\\\" \\\\\"\n"
	"  user \"B\xc3\xbcro 7\" scram=" VERIFIER " disabled\r\n"
	"user lab password=" HASH " principal=smtp-relay/lab.example.edu@EXAMPLE.EDU\n"
	"alias cp-4711 to=copier7 created=2026-11-21T10:00:00Z\n"
	"alias scan to=smtp-relay/scan.example.edu@EXAMPLE.EDU comment=x";

static struct auth_users_table *parse(const char *text)
{
	struct auth_users_table *t = NULL;
	struct errtext e = { "" };

	if (auth_users_parse(span_of(text), &t, &e) < 0)
		FAIL("refused: %s", e.s);
	NEED(t);
	return t;
}

static void a_file_is_read(void)
{
	struct auth_users_table *t = parse(good);
	const struct auth_users_entry *en = auth_users_find(t, SPAN("copier7"));

	CHECK(t->has_key);
	NEED(en);
	CHECK_INT(4, en->line);
	CHECK(!en->is_alias && !en->user.disabled);
	CHECK_INT(14, en->user.hash.log_n);
	CHECK_INT(4096, en->user.scram.iterations);
	CHECK_INT(1795255200, en->user.created_s);
	CHECK_INT(1795341600, en->user.changed_s);
	CHECK_SPAN("3rd floor, \"the old one\" \\", en->user.comment);
	en = auth_users_find(t, SPAN("B\xc3\xbcro 7"));
	NEED(en);
	CHECK(en->user.disabled);
	CHECK_INT(0, en->user.hash.log_n);
	en = auth_users_find(t, SPAN("lab"));
	NEED(en);
	CHECK_SPAN("smtp-relay/lab.example.edu@EXAMPLE.EDU", en->user.principal);
	en = auth_users_find(t, SPAN("cp-4711"));
	NEED(en);
	CHECK(en->is_alias);
	CHECK_SPAN("copier7", en->to);
	en = auth_users_find(t, SPAN("scan"));
	NEED(en);
	CHECK_SPAN("smtp-relay/scan.example.edu@EXAMPLE.EDU", en->to);
	CHECK(!auth_users_find(t, SPAN("copier")));
	auth_users_table_free(&t);
	auth_users_table_free(&t);
}

static void mistakes_are_told_with_their_line(void)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{ "usr x password=" HASH,
		  "line 1: a line begins with \"user\", \"alias\", \"key\" or \"#\"" },
		{ "swordfish", "line 1: a line begins with \"user\", \"alias\", \"key\" or \"#\"" },
		{ "user x swordfish", "line 1: no such field" },
		{ "user x Sw0rdfish", "line 1: not a field" },
		{ "\n\nuser\n", "line 3: a value is empty" },
		{ "user x", "line 1: a user without password= and scram=" },
		{ "user x disabled", "line 1: a user without password= and scram=" },
		{ "user x password=" HASH " disable", "line 1: no such field" },
		{ "user x password=" HASH " disabled=yes", "line 1: takes no value: \"disabled\"" },
		{ "user x password", "line 1: wants a value: \"password\"" },
		{ "user x password=", "line 1: a value is empty" },
		{ "user x password=secret", "line 1: password= is damaged" },
		{ "user x scram=secret", "line 1: scram= is damaged" },
		{ "user x password=scrypt:20:8:1:TmFDbDEyMzQ=:/bq+HJ00cgB4VucZDQHp/nxq18vII3gw53N2Y0s3MWI=",
		  "line 1: the cost of the hash is out of bounds" },
		{ "user x password=" HASH " password=" HASH, "line 1: given twice: \"password\"" },
		{ "user x password=" HASH " to=y", "line 1: no such field: \"to\"" },
		{ "user x password=" HASH " Disabled", "line 1: not a field" },
		{ "user x password=" HASH " created=yesterday",
		  "line 1: not a time (2026-12-31T23:59:59Z): \"yesterday\"" },
		{ "user x password=" HASH " comment=\"a", "line 1: a quote is not closed" },
		{ "user x password=" HASH " comment=\"a\\n\"",
		  "line 1: a backslash in quotes stands before \" or \\ only" },
		{ "user x password=" HASH " comment=\"a\"disabled",
		  "line 1: a space is missing behind a value" },
		{ "user x password=" HASH " comment=\"\x01\"",
		  "line 1: the comment is too long, or no UTF-8" },
		{ "user x password=" HASH " principal=\"\xff\"", "line 1: not a principal: \"\xff\"" },
		{ "user \"a\xc2\xa0z\" password=" HASH,
		  "line 1: not a name, or not in its prepared form (RFC 4013): \"a\xc2\xa0z\"" },
		{ "user x password=" HASH "\nuser x password=" HASH, "line 2: \"x\" is in line 1 already" },
		{ "user x password=" HASH "\nalias x to=y", "line 2: \"x\" is in line 1 already" },
		{ "alias x", "line 1: an alias without to=" },
		{ "alias x to=y disabled", "line 1: no such field: \"disabled\"" },
		{ "alias x to=y\nalias y to=z", "line 1: \"y\" is an alias itself" },
		{ "alias x to=x", "line 1: \"x\" is an alias itself" },
		{ "key abcd", "line 1: the file has one key, of 32 octets in base64" },
		{ "key " KEY "\nkey " KEY, "line 2: the file has one key, of 32 octets in base64" },
		{ "key " KEY " x", "line 1: the file has one key, of 32 octets in base64" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct auth_users_table *t = NULL;
		struct errtext e = { "" };
		CHECK(auth_users_parse(span_of(cases[i].text), &t, &e) < 0);
		CHECK(!t);
		CHECK_STR(cases[i].want, e.s);
	}
}

static void long_lines_are_refused(void)
{
	char text[AUTH_USERS_LINE_MAX + 2];
	struct auth_users_table *t = NULL;
	struct errtext e = { "" };

	memset(text, '#', sizeof text);
	CHECK_INT(-ERR_TOOBIG, auth_users_parse(span_make(text, sizeof text), &t, &e));
	CHECK_STR("line 1: the line is too long", e.s);
}

static void what_is_written_is_read_again(void)
{
	struct auth_users_table *t = parse(good);
	struct buf out = BUF_INIT(AUTH_USERS_LINE_MAX);

	list_for_each(link, &t->entries) {
		const struct auth_users_entry *en = list_entry(link, struct auth_users_entry, link);
		buf_reset(&out);
		if (en->is_alias)
			auth_users_format_alias(en, &out);
		else
			auth_users_format_user(&en->user, &out);
		struct auth_users_table *again = parse(buf_cstr(&out));
		const struct auth_users_entry *same = auth_users_find(again, en->user.name);
		NEED(same);
		CHECK_INT(en->is_alias, same->is_alias);
		CHECK_INT(en->user.disabled, same->user.disabled);
		CHECK_INT(en->user.created_s, same->user.created_s);
		CHECK_INT(en->user.changed_s, same->user.changed_s);
		CHECK(span_eq(en->user.comment, same->user.comment) && span_eq(en->to, same->to));
		CHECK(span_eq(en->user.principal, same->user.principal));
		CHECK(memcmp(&en->user.hash, &same->user.hash, sizeof en->user.hash) == 0);
		CHECK(memcmp(&en->user.scram, &same->user.scram, sizeof en->user.scram) == 0);
		auth_users_table_free(&again);
	}
	auth_users_table_free(&t);
	buf_reset(&out);
	auth_users_format_head((const uint8_t *)"0123456789abcdef0123456789abcdef", &out);
	t = parse(buf_cstr(&out));
	CHECK(t->has_key);
	CHECK_SPAN("0123456789abcdef0123456789abcdef", span_make(t->key, sizeof t->key));
	auth_users_table_free(&t);
	buf_free(&out);
}

static void a_change_leaves_the_rest_alone(void)
{
	struct auth_users_table *t = parse("# one\nalias a to=x\n# two\nalias b to=y");
	struct buf out = BUF_INIT(1000);

	auth_users_replace(t, auth_users_find(t, SPAN("a")), SPAN("alias a to=z\n"), &out);
	CHECK_SPAN("# one\nalias a to=z\n# two\nalias b to=y", buf_span(&out));
	buf_reset(&out);
	auth_users_replace(t, auth_users_find(t, SPAN("a")), SPAN(""), &out);
	CHECK_SPAN("# one\n# two\nalias b to=y", buf_span(&out));
	buf_reset(&out);
	auth_users_replace(t, auth_users_find(t, SPAN("b")), SPAN("alias b to=z\n"), &out);
	CHECK_SPAN("# one\nalias a to=x\n# two\nalias b to=z\n", buf_span(&out));
	buf_reset(&out);
	auth_users_replace(t, NULL, SPAN("alias c to=z\n"), &out);
	CHECK_SPAN("# one\nalias a to=x\n# two\nalias b to=y\nalias c to=z\n", buf_span(&out));
	auth_users_table_free(&t);
	t = parse("");
	buf_reset(&out);
	auth_users_replace(t, NULL, SPAN("alias c to=z\n"), &out);
	CHECK_SPAN("alias c to=z\n", buf_span(&out));
	auth_users_table_free(&t);
	buf_free(&out);
}

TEST_MAIN(TEST(a_file_is_read), TEST(mistakes_are_told_with_their_line), TEST(long_lines_are_refused),
	  TEST(what_is_written_is_read_again), TEST(a_change_leaves_the_rest_alone))
