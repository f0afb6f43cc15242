#include "auth/auth_principal.h"

#include "auth/auth_pattern.h"

#include "test.h"

static void names_of_our_realm(void)
{
	static const char *const cases[][2] = {
		{ "copier7", "copier7@EXAMPLE.EDU" },
		{ "smtp-relay/scan.example.edu", "smtp-relay/scan.example.edu@EXAMPLE.EDU" },
		{ "copier7@EXAMPLE.EDU", "copier7@EXAMPLE.EDU" },
		{ "copier7@example.edu", "copier7@EXAMPLE.EDU" },
		{ "smtp-relay/scan@Example.Edu", "smtp-relay/scan@EXAMPLE.EDU" },
		{ "a b", "a b@EXAMPLE.EDU" },
		{ "m\xc3\xbcller", "m\xc3\xbcller@EXAMPLE.EDU" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct auth_identity id;
		const char *why = NULL;
		if (auth_principal_parse(span_of(cases[i][0]), SPAN("EXAMPLE.EDU"), &id, &why) < 0) {
			FAIL("%s: refused: %s", cases[i][0], why);
			continue;
		}
		CHECK_STR(cases[i][1], id.user);
		CHECK_STR("EXAMPLE.EDU", id.realm);
	}
}

static void names_that_are_refused(void)
{
	static const struct {
		struct span user;
		int err;
	} cases[] = {
		{ SPAN_INIT(""), ERR_SYNTAX },
		{ SPAN_INIT("@EXAMPLE.EDU"), ERR_SYNTAX },
		{ SPAN_INIT("a@"), ERR_SYNTAX },
		{ SPAN_INIT("a@EXAMPLE.EDU@EXAMPLE.EDU"), ERR_SYNTAX },
		{ SPAN_INIT("a@@EXAMPLE.EDU"), ERR_SYNTAX },
		{ SPAN_INIT("a\\@EVIL.EXAMPLE"), ERR_SYNTAX },
		{ SPAN_INIT("a\\"), ERR_SYNTAX },
		{ SPAN_INIT("a\nb"), ERR_SYNTAX },
		{ SPAN_INIT("a\0b"), ERR_SYNTAX },
		{ SPAN_INIT("a\x7f"), ERR_SYNTAX },
		{ SPAN_INIT("/a"), ERR_SYNTAX },
		{ SPAN_INIT("a/"), ERR_SYNTAX },
		{ SPAN_INIT("a//b"), ERR_SYNTAX },
		{ SPAN_INIT("a@EVIL.EXAMPLE"), ERR_DENIED },
		{ SPAN_INIT("a@EXAMPLE.ED"), ERR_DENIED },
		{ SPAN_INIT("a@EXAMPLE.EDU."), ERR_DENIED },
	};
	char large[AUTH_USER_MAX + 1];

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct auth_identity id;
		const char *why = NULL;
		const int err = auth_principal_parse(cases[i].user, SPAN("EXAMPLE.EDU"), &id, &why);
		if (err != -cases[i].err || !why)
			FAIL("case %zu: expected %s, got %s", i, err_name(cases[i].err), err_name(err));
	}
	memset(large, 'a', sizeof large);
	struct auth_identity id;
	const char *why;
	CHECK_INT(-ERR_SYNTAX, auth_principal_parse(span_make(large, AUTH_USER_MAX), SPAN("R"), &id, &why));
	CHECK_INT(0, auth_principal_parse(span_make(large, AUTH_USER_MAX - 1), SPAN("R"), &id, &why));
	CHECK_INT(AUTH_USER_MAX - 1, auth_principal_name(&id).n);
}

static void patterns_are_for_the_whole_name(void)
{
	static const struct {
		const char *pattern, *name;
		bool matches;
	} cases[] = {
		{ NULL, "anybody", true },
		{ "smtp-relay/.*|fax[0-9]+", "smtp-relay/scan", true },
		{ "smtp-relay/.*|fax[0-9]+", "fax12", true },
		{ "smtp-relay/.*|fax[0-9]+", "fax12x", false },
		{ "smtp-relay/.*|fax[0-9]+", "xfax12", false },
		{ "smtp-relay/.*|fax[0-9]+", "alice", false },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct auth_pattern p = { .set_ = false };
		struct auth_identity id;
		const char *why;
		CHECK_INT(0, auth_pattern_set(&p, cases[i].pattern, NULL));
		CHECK_INT(0, auth_principal_parse(span_of(cases[i].name), SPAN("EXAMPLE.EDU"), &id, &why));
		if (auth_pattern_matches(&p, &id) != cases[i].matches)
			FAIL("%s and %s", cases[i].pattern ? cases[i].pattern : "no pattern", cases[i].name);
		auth_pattern_deinit(&p);
	}
	struct auth_pattern bad = { .set_ = false };
	struct errtext e = { "" };
	CHECK_INT(-ERR_INVAL, auth_pattern_set(&bad, "(", &e));
	CHECK(strstr(e.s, "allow: ") == e.s);
	auth_pattern_deinit(&bad);
}

TEST_MAIN(TEST(names_of_our_realm), TEST(names_that_are_refused), TEST(patterns_are_for_the_whole_name))
