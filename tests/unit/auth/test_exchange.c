#include "exchange_bed.h"

/* ---- which mechanisms ---------------------------------------------------------------------------------- */

static void expect_offer(struct bed *b, const char *want)
{
	const uint32_t offer = auth_offered(&b->server, &b->channel);
	char got[200] = "";

	for (unsigned m = 0; m < AUTH_MECH_MAX_; m++)
		if (offer >> m & 1)
			snprintf(got + strlen(got), sizeof got - strlen(got), "%s%s", got[0] ? " " : "",
				 auth_mech_name((enum auth_mech)m));
	CHECK_STR(want, got);
	CHECK_INT(0, offer >> AUTH_MECH_MAX_);
}

static void what_can_work_is_offered(void)
{
	struct bed b;

	bed_open(&b);
	expect_offer(&b, "SCRAM-SHA-256-PLUS SCRAM-SHA-256 GSSAPI PLAIN LOGIN");
	b.channel.external = SPAN("cn=copier");
	b.no_binding = true;
	expect_offer(&b, "SCRAM-SHA-256 GSSAPI EXTERNAL PLAIN LOGIN");
	b.server.gssapi = NULL;
	b.server.backend[0] = &b.second.head;
	expect_offer(&b, "EXTERNAL PLAIN LOGIN");
	b.channel.tls = false;
	expect_offer(&b, "");
	b.server.clear_mechs = 1u << AUTH_MECH_PLAIN | 1u << AUTH_MECH_EXTERNAL;
	expect_offer(&b, "PLAIN");
	b.server.nbackends = 0;
	expect_offer(&b, "");
	bed_close(&b);
}

static void mechanisms_are_refused_with_their_reason(void)
{
	struct bed b;

	bed_open(&b);
	CHECK_INT(AUTH_NO_MECH, bed_auth(&b, "ANONYMOUS", NULL));
	CHECK_INT(AUTH_NO_MECH, bed_auth(&b, "", NULL));
	CHECK_INT(AUTH_NO_MECH, bed_auth(&b, "CRAM-MD5", NULL));
	CHECK_INT(AUTH_NO_MECH, bed_auth(&b, "EXTERNAL", "=")); /* no certificate */
	b.server.mechs = 1u << AUTH_MECH_PLAIN;
	CHECK_INT(AUTH_NO_MECH, bed_auth(&b, "LOGIN", NULL));
	CHECK_INT(AUTH_CHALLENGE, bed_auth(&b, "plain", NULL));
	b.channel.tls = false;
	CHECK_INT(AUTH_TOO_WEAK, bed_auth(&b, "PLAIN", "AHN1cGVyY29vbHVzZXJuYW1lAHN1cGVyY29vbHBhc3N3b3Jk"));
	CHECK_INT(0, b.first.asked);
	CHECK_INT(AUTH_NO_MECH, bed_auth(&b, "LOGIN", NULL));
	bed_close(&b);
}

static void names_go_both_ways(void)
{
	enum auth_mech m;

	for (unsigned i = 0; i < AUTH_MECH_MAX_; i++) {
		CHECK_INT(0, auth_mech_parse(span_of(auth_mech_name((enum auth_mech)i)), &m));
		CHECK_INT(i, m);
	}
	CHECK_INT(0, auth_mech_parse(SPAN("scram-sha-256-plus"), &m));
	CHECK_INT(AUTH_MECH_SCRAM_SHA_256_PLUS, m);
	CHECK_INT(-ERR_NOTFOUND, auth_mech_parse(SPAN("PLAI"), &m));
	CHECK_STR("tempfail", auth_answer_name(AUTH_ANSWER_TEMPFAIL));
}

/* ---- PLAIN --------------------------------------------------------------------------------------------- */

/* the string that the how-to of the old relay gives. */
static void plain_with_an_initial_response(void)
{
	struct bed b;

	bed_open(&b);
	CHECK_INT(AUTH_DONE, bed_auth(&b, "PLAIN", "AHN1cGVyY29vbHVzZXJuYW1lAHN1cGVyY29vbHBhc3N3b3Jk"));
	CHECK_STR("supercoolusername@first", b.x.identity.user);
	CHECK_STR("first", b.x.backend);
	CHECK_SPAN("supercoolusername", b.x.tried);
	CHECK(!b.first.was_last);
	CHECK_INT(0, b.second.asked);
	bed_close(&b);
}

static void plain_after_an_empty_challenge(void)
{
	struct bed b;

	bed_open(&b);
	CHECK_INT(AUTH_CHALLENGE, bed_auth(&b, "PLAIN", NULL));
	CHECK_SPAN("", b.x.challenge);
	CHECK_INT(AUTH_DONE, bed_say(&b, SPAN("AHN1cGVyY29vbHVzZXJuYW1lAHN1cGVyY29vbHBhc3N3b3Jk")));
	CHECK_INT(AUTH_CHALLENGE, bed_auth(&b, "PLAIN", NULL));
	CHECK_INT(AUTH_MALFORMED,
		  bed_say(&b, (struct span){ NULL, 0 })); /* an empty line, not "nothing yet" */
	bed_close(&b);
}

static void plain_acts_as_nobody_else(void)
{
	struct bed b;

	bed_open(&b);
	CHECK_INT(AUTH_DONE, bed_auth64(&b, "PLAIN", SPAN("copier7\0copier7\0se,cr=et")));
	CHECK_INT(AUTH_DONE, bed_auth64(&b, "PLAIN", SPAN("copier7@first\0copier7\0se,cr=et")));
	CHECK_INT(AUTH_REFUSED, bed_auth64(&b, "PLAIN", SPAN("root\0copier7\0se,cr=et")));
	CHECK_INT(AUTH_ANSWER_WRONG, b.x.answer);
	CHECK_STR("it wants to act as somebody else", b.x.why);
	bed_close(&b);
}

static void what_is_not_plain_is_refused(void)
{
	char name[300];
	struct bed b;

	bed_open(&b);
	CHECK_INT(AUTH_MALFORMED, bed_auth(&b, "PLAIN", "="));
	CHECK_INT(AUTH_MALFORMED, bed_auth64(&b, "PLAIN", SPAN("copier7")));
	CHECK_INT(AUTH_MALFORMED, bed_auth64(&b, "PLAIN", SPAN("\0copier7")));
	CHECK_INT(AUTH_MALFORMED, bed_auth64(&b, "PLAIN", SPAN("\0copier7\0pass\0word")));
	CHECK_INT(AUTH_MALFORMED, bed_auth(&b, "PLAIN", "AHN1cGVy*"));
	CHECK_INT(AUTH_MALFORMED, bed_auth(&b, "PLAIN", "AHN1cGVyY29vbHVzZXJuYW1lAHN1cGVyY29vbHBhc3N3b3Jk="));
	CHECK_INT(AUTH_REFUSED, bed_auth64(&b, "PLAIN", SPAN("\0\0pass")));
	CHECK_INT(AUTH_REFUSED, bed_auth64(&b, "PLAIN", SPAN("\0copier7\0")));
	CHECK_INT(AUTH_REFUSED, bed_auth64(&b, "PLAIN", SPAN("\0co\npier\xff\0pass")));
	CHECK_SPAN("co?pier?", b.x.tried);
	CHECK_INT(0, b.first.asked);
	memset(name, 'a', sizeof name);
	name[0] = name[257] = '\0'; /* 256 octets: one more than anybody's */
	CHECK_INT(AUTH_REFUSED, bed_auth64(&b, "PLAIN", span_make(name, sizeof name)));
	CHECK_INT(0, b.first.asked);
	name[257] = 'a';
	name[256] = '\0';
	CHECK_INT(AUTH_REFUSED, bed_auth64(&b, "PLAIN", span_make(name, sizeof name)));
	CHECK_INT(AUTH_ANSWER_UNKNOWN_HERE, b.x.answer);
	CHECK_INT(1, b.first.asked);
	bed_close(&b);
}

static void a_long_line_is_told_so(void)
{
	char line[AUTH_LINE_MAX + 5];
	struct bed b;

	bed_open(&b);
	memset(line, 'A', sizeof line);
	line[AUTH_LINE_MAX + 4] = '\0';
	CHECK_INT(AUTH_TOO_LONG, bed_auth(&b, "PLAIN", line));
	line[AUTH_LINE_MAX] = '\0';
	CHECK_INT(AUTH_REFUSED, bed_auth(&b, "PLAIN", line)); /* NULs: an empty user */
	CHECK_INT(AUTH_CHALLENGE, bed_auth(&b, "PLAIN", NULL));
	CHECK_INT(AUTH_TOO_LONG, bed_say(&b, span_make(line, sizeof line - 1)));
	bed_close(&b);
}

/* ---- backends ------------------------------------------------------------------------------------------ */

static void backends_are_asked_in_their_order(void)
{
	struct bed b;

	bed_open(&b);
	CHECK_INT(AUTH_DONE, bed_auth64(&b, "PLAIN", SPAN("\0second\0pw")));
	CHECK_STR("second", b.x.backend);
	CHECK(!b.first.was_last);
	CHECK(b.second.was_last);
	/* The first that knows a name decides, also when it is wrong. */
	CHECK_INT(AUTH_REFUSED, bed_auth64(&b, "PLAIN", SPAN("\0copier7\0other")));
	CHECK_INT(AUTH_ANSWER_WRONG, b.x.answer);
	CHECK_STR("first", b.x.backend);
	CHECK_INT(1, b.second.asked);
	CHECK_INT(AUTH_REFUSED, bed_auth64(&b, "PLAIN", SPAN("\0nobody\0pw")));
	CHECK_INT(AUTH_ANSWER_UNKNOWN_HERE, b.x.answer);
	CHECK(!b.x.backend);
	CHECK_INT(2, b.second.asked);
	bed_close(&b);
}

static void who_is_expired_or_locked_is_refused(void)
{
	struct bed b;

	bed_open(&b);
	CHECK_INT(AUTH_REFUSED, bed_auth64(&b, "PLAIN", SPAN("\0old\0pw")));
	CHECK_INT(AUTH_ANSWER_EXPIRED, b.x.answer);
	CHECK_INT(AUTH_REFUSED, bed_auth64(&b, "PLAIN", SPAN("\0gone\0pw")));
	CHECK_INT(AUTH_ANSWER_LOCKED, b.x.answer);
	bed_close(&b);
}

static void a_backend_in_trouble_is_temporary(void)
{
	struct bed b;

	bed_open(&b);
	b.first.down = true;
	CHECK_INT(AUTH_TEMPORARY, bed_auth64(&b, "PLAIN", SPAN("\0second\0pw")));
	CHECK_STR("nobody is at home", b.x.why);
	CHECK_STR("first", b.x.backend);
	b.first.down = false;
	b.first.busy = true;
	CHECK_INT(AUTH_TEMPORARY, bed_auth64(&b, "PLAIN", SPAN("\0second\0pw")));
	CHECK_INT(0, b.second.asked);
	bed_close(&b);
}

static void a_deadline_is_temporary(void)
{
	struct bed b;

	bed_open(&b);
	b.first.silent = true;
	NEED(auth_exchange_start(&b.x, &b.scope, SPAN("PLAIN"), SPAN("AGEAYg=="), 1000) == 0);
	loop_clock_advance(b.loop, 2000);
	CHECK_INT(AUTH_TEMPORARY, bed_wait(&b));
	CHECK_INT(-ERR_TIMEOUT, b.x.op.status);
	bed_close(&b);
}

static void a_closing_scope_ends_it(void)
{
	struct bed b;

	bed_open(&b);
	b.first.silent = true;
	NEED(auth_exchange_start(&b.x, &b.scope, SPAN("PLAIN"), SPAN("AGEAYg=="), EXCHANGE_BED_LONG_US) == 0);
	scope_close(&b.scope);
	CHECK(!b.done);
	CHECK_INT(AUTH_TEMPORARY, bed_wait(&b));
	CHECK_INT(-ERR_CANCELED, b.x.op.status);
	bed_close(&b);
}

static void a_name_that_may_not_be_tried_is_not(void)
{
	struct bed b;

	bed_open(&b);
	b.refuse_all = true;
	CHECK_INT(AUTH_TEMPORARY, bed_auth64(&b, "PLAIN", SPAN("\0copier7\0se,cr=et")));
	CHECK_INT(AUTH_TEMPORARY, bed_auth64(&b, "SCRAM-SHA-256", SPAN("n,,n=copier7,r=x")));
	CHECK_INT(0, b.first.asked);
	bed_close(&b);
}

/* Whoever counts tries must not be led astray by letters that count for nothing (RFC 4013). */
static void spellings_of_a_name_are_one_account(void)
{
	static const struct span tries[] = { SPAN_INIT("\0copier7\0x"), SPAN_INIT("\0co\u00adpi\u00ader7\0x"),
					     SPAN_INIT("\0\uff43opier7\0x") };
	struct bed b;

	bed_open(&b);
	for (size_t i = 0; i < ARRAY_LEN(tries); i++) {
		CHECK_INT(AUTH_REFUSED, bed_auth64(&b, "PLAIN", tries[i]));
		CHECK_SPAN("copier7", b.x.account);
	}
	CHECK_INT(AUTH_CHALLENGE, bed_auth64(&b, "SCRAM-SHA-256", SPAN("n,,n=co\u00adpier7,r=x")));
	CHECK_SPAN("copier7", b.x.account);
	CHECK_INT(AUTH_REFUSED, bed_auth64(&b, "PLAIN", SPAN("\0\0x")));
	CHECK_INT(0, b.x.account.n);
	bed_close(&b);
}

static void tries_are_told_apart_without_their_secrets(void)
{
	uint8_t one[16];
	struct bed b;

	bed_open(&b);
	bed_auth64(&b, "PLAIN", SPAN("\0copier7\0x"));
	CHECK(b.x.has_secret_id);
	memcpy(one, b.x.secret_id, sizeof one);
	CHECK_INT(AUTH_CHALLENGE, bed_auth64(&b, "LOGIN", SPAN("copier7")));
	CHECK(!b.x.has_secret_id);
	bed_say64(&b, SPAN("x"));
	CHECK(memcmp(one, b.x.secret_id, sizeof one) == 0);
	bed_auth64(&b, "PLAIN", SPAN("\0copier7\0y"));
	CHECK(memcmp(one, b.x.secret_id, sizeof one) != 0);
	bed_auth64(&b, "PLAIN", SPAN("\0copier8\0x"));
	CHECK(memcmp(one, b.x.secret_id, sizeof one) != 0);
	bed_close(&b);
}

/* ---- LOGIN --------------------------------------------------------------------------------------------- */

static void login_in_all_shapes(void)
{
	struct bed b;

	bed_open(&b);
	CHECK_INT(AUTH_CHALLENGE, bed_auth(&b, "LOGIN", NULL));
	CHECK_SPAN("VXNlcm5hbWU6", b.x.challenge);
	CHECK_INT(AUTH_CHALLENGE, bed_say64(&b, SPAN("copier7")));
	CHECK_SPAN("UGFzc3dvcmQ6", b.x.challenge);
	CHECK_INT(AUTH_DONE, bed_say64(&b, SPAN("se,cr=et")));

	CHECK_INT(AUTH_CHALLENGE, bed_auth64(&b, "LOGIN", SPAN("copier7")));
	CHECK_SPAN("Password:", bed_challenge(&b));
	CHECK_INT(AUTH_DONE, bed_say64(&b, SPAN("se,cr=et")));

	CHECK_INT(AUTH_CHALLENGE, bed_auth(&b, "LOGIN", "="));
	CHECK_SPAN("Username:", bed_challenge(&b));
	CHECK_INT(AUTH_CHALLENGE, bed_say(&b, SPAN("")));
	CHECK_SPAN("Username:", bed_challenge(&b));
	CHECK_INT(AUTH_DONE, bed_say64(&b, SPAN("copier7\0se,cr=et")));

	CHECK_INT(AUTH_CHALLENGE, bed_auth(&b, "LOGIN", NULL));
	CHECK_INT(AUTH_DONE, bed_say64(&b, SPAN("\0copier7\0se,cr=et")));

	CHECK_INT(AUTH_CHALLENGE, bed_auth64(&b, "LOGIN", SPAN("copier7\0")));
	CHECK_INT(AUTH_DONE, bed_say64(&b, SPAN("se,cr=et\0")));
	CHECK_STR("copier7@first", b.x.identity.user);
	bed_close(&b);
}

static void login_that_goes_wrong(void)
{
	struct bed b;

	bed_open(&b);
	CHECK_INT(AUTH_CHALLENGE, bed_auth64(&b, "LOGIN", SPAN("copier7")));
	CHECK_INT(AUTH_REFUSED, bed_say64(&b, SPAN("wrong")));
	CHECK_INT(AUTH_CHALLENGE, bed_auth64(&b, "LOGIN", SPAN("copier7")));
	CHECK_INT(AUTH_REFUSED, bed_say(&b, SPAN("")));
	CHECK_INT(AUTH_CHALLENGE, bed_auth64(&b, "LOGIN", SPAN("copier7")));
	CHECK_INT(AUTH_MALFORMED, bed_say64(&b, SPAN("pass\0word")));
	CHECK_INT(AUTH_CHALLENGE, bed_auth64(&b, "LOGIN", SPAN("copier7")));
	CHECK_INT(AUTH_MALFORMED, bed_say(&b, SPAN("=")));
	CHECK_INT(AUTH_CHALLENGE, bed_auth(&b, "LOGIN", NULL));
	for (int i = 0; i < AUTH_STEPS_MAX - 2; i++)
		CHECK_INT(AUTH_CHALLENGE, bed_say(&b, SPAN("")));
	CHECK_INT(AUTH_MALFORMED, bed_say(&b, SPAN("")));
	bed_close(&b);
}

/* ---- SCRAM --------------------------------------------------------------------------------------------- */

struct scram_try {
	const char *mech, *user, *password;
	enum auth_scram_binding binding;
	const char *binding_type, *line;
	const char *authzid;
};

/* A client with the client's half. Returns what the server said to the proof, or to the first message if that was not a challenge. */
static enum auth_result scram(struct bed *b, const struct scram_try *t, bool *server_proved)
{
	const struct auth_scram_hello hello = { .binding = t->binding,
						.binding_type = span_of(t->binding_type),
						.user = span_of(t->user),
						.authzid = span_of(t->authzid) };
	struct auth_scram c;
	struct buf out = BUF_INIT(AUTH_SCRAM_MESSAGE_MAX), salt = BUF_INIT(AUTH_SCRAM_SALT_MAX);
	uint8_t salted[AUTH_SCRAM_KEY];
	uint32_t iterations = 0;
	struct span why;

	auth_scram_init(&c);
	NEED(auth_scram_client_first(&c, &hello, SPAN("mine"), &out) == 0);
	enum auth_result r = bed_auth64(b, t->mech, buf_span(&out));
	if (r == AUTH_CHALLENGE) {
		NEED(auth_scram_client_challenge(&c, bed_challenge(b), &salt, &iterations) == 0);
		NEED(auth_scram_salted(span_of(t->password), buf_span(&salt), iterations, salted) == 0);
		buf_reset(&out);
		NEED(auth_scram_client_final(&c, salted, span_of(t->line), &out) == 0);
		r = bed_say64(b, buf_span(&out));
	}
	*server_proved = r == AUTH_CHALLENGE && auth_scram_client_verify(&c, bed_challenge(b), &why) == 0;
	auth_scram_deinit(&c);
	buf_free(&out);
	buf_free(&salt);
	return r;
}

static void scram_proves_both_sides(void)
{
	static const struct scram_try tries[] = {
		{ .mech = "SCRAM-SHA-256", .user = "copier7", .password = "se,cr=et", .authzid = "copier7" },
		{ "SCRAM-SHA-256-PLUS", "copier7", "se,cr=et", AUTH_SCRAM_BINDING_USED, "tls-exporter",
		  "the line", NULL },
	};
	struct bed b;
	bool proved;

	bed_open(&b);
	b.server.realm = SPAN("campus");
	for (size_t i = 0; i < ARRAY_LEN(tries); i++) {
		CHECK_INT(AUTH_CHALLENGE, scram(&b, &tries[i], &proved));
		CHECK(proved);
		CHECK_INT(AUTH_DONE, bed_say(&b, SPAN("")));
		CHECK_STR("copier7", b.x.identity.user);
		CHECK_STR("campus", b.x.identity.realm);
		CHECK_STR("first", b.x.backend);
		CHECK_SPAN("copier7", b.x.tried);
	}
	b.no_binding = true; /* then a client that could bind is right to think that we could not */
	CHECK_INT(AUTH_CHALLENGE, scram(&b,
					&(struct scram_try){ "SCRAM-SHA-256", "copier7", "se,cr=et",
							     AUTH_SCRAM_BINDING_UNKNOWN, NULL, NULL, NULL },
					&proved));
	CHECK(proved);
	CHECK_INT(AUTH_MALFORMED, bed_say64(&b, SPAN("more")));
	bed_close(&b);
}

static void scram_that_goes_wrong(void)
{
	static const struct {
		struct scram_try t;
		enum auth_result result;
		enum auth_answer answer;
	} cases[] = {
		{ { .mech = "SCRAM-SHA-256", .user = "copier7", .password = "wrong" },
		  AUTH_REFUSED,
		  AUTH_ANSWER_WRONG },
		{ { .mech = "SCRAM-SHA-256", .user = "nobody", .password = "x" },
		  AUTH_REFUSED,
		  AUTH_ANSWER_UNKNOWN_HERE },
		{ { .mech = "SCRAM-SHA-256", .user = "second", .password = "pw" },
		  AUTH_REFUSED,
		  AUTH_ANSWER_UNKNOWN_HERE },
		{ { .mech = "SCRAM-SHA-256", .user = "gone", .password = "pw" },
		  AUTH_REFUSED,
		  AUTH_ANSWER_LOCKED },
		{ { .mech = "SCRAM-SHA-256", .user = "gone", .password = "x" },
		  AUTH_REFUSED,
		  AUTH_ANSWER_WRONG },
		{ { .mech = "SCRAM-SHA-256", .user = "e\xcc\x81", .password = "x" },
		  AUTH_REFUSED,
		  AUTH_ANSWER_WRONG },
		/* The downgrade: -PLUS was taken out of what the client saw. */
		{ { .mech = "SCRAM-SHA-256",
		    .user = "copier7",
		    .password = "se,cr=et",
		    .binding = AUTH_SCRAM_BINDING_UNKNOWN },
		  AUTH_REFUSED,
		  AUTH_ANSWER_WRONG },
		/* Another channel than ours: somebody is between. */
		{ { "SCRAM-SHA-256-PLUS", "copier7", "se,cr=et", AUTH_SCRAM_BINDING_USED, "tls-exporter",
		    "a line", NULL },
		  AUTH_REFUSED,
		  AUTH_ANSWER_WRONG },
		{ { "SCRAM-SHA-256-PLUS", "copier7", "se,cr=et", AUTH_SCRAM_BINDING_USED, "tls-unique",
		    "the line", NULL },
		  AUTH_REFUSED,
		  AUTH_ANSWER_WRONG },
		{ { "SCRAM-SHA-256-PLUS", "copier7", "se,cr=et", AUTH_SCRAM_BINDING_USED,
		    "tls-server-telepathy", "the line", NULL },
		  AUTH_REFUSED,
		  AUTH_ANSWER_WRONG },
		{ { .mech = "SCRAM-SHA-256-PLUS", .user = "copier7", .password = "se,cr=et" },
		  AUTH_MALFORMED,
		  AUTH_ANSWER_RIGHT },
		{ { "SCRAM-SHA-256", "copier7", "se,cr=et", AUTH_SCRAM_BINDING_USED, "tls-exporter",
		    "the line", NULL },
		  AUTH_MALFORMED,
		  AUTH_ANSWER_RIGHT },
	};
	struct bed b;
	bool proved;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		bed_open(&b);
		const enum auth_result r = scram(&b, &cases[i].t, &proved);
		if (r != cases[i].result || (r == AUTH_REFUSED && b.x.answer != cases[i].answer))
			FAIL("case %zu: result %d, answer %s: %s", i, r, auth_answer_name(b.x.answer),
			     b.x.why);
		CHECK(!proved);
		bed_close(&b);
	}
}

/* RFC 5802 section 9: a name that is not here looks as one that is. */
static void unknown_users_have_a_stable_salt(void)
{
	struct bed b;
	char first[200], other[200];

	bed_open(&b);
	for (int round = 0; round < 2; round++) {
		CHECK_INT(AUTH_CHALLENGE, bed_auth64(&b, "SCRAM-SHA-256", SPAN("n,,n=nobody,r=x")));
		const struct span all = bed_challenge(&b);
		const struct span salt = span_skip(all, (size_t)span_find(all, SPAN(",s=")));
		if (round == 0)
			snprintf(first, sizeof first, "%.*s", SPAN_ARG(salt));
		else
			CHECK_SPAN(first, salt);
	}
	CHECK_INT(AUTH_CHALLENGE, bed_auth64(&b, "SCRAM-SHA-256", SPAN("n,,n=nobody2,r=x")));
	const struct span all = bed_challenge(&b);
	snprintf(other, sizeof other, "%.*s", SPAN_ARG(span_skip(all, (size_t)span_find(all, SPAN(",s=")))));
	CHECK(strcmp(first, other) != 0);
	CHECK(strstr(first, ",i=16384"));
	bed_close(&b);
}

static void what_is_no_scram_is_malformed(void)
{
	struct bed b;

	bed_open(&b);
	CHECK_INT(AUTH_MALFORMED, bed_auth64(&b, "SCRAM-SHA-256", SPAN("hello")));
	CHECK_INT(AUTH_MALFORMED, bed_auth(&b, "SCRAM-SHA-256", "="));
	CHECK_INT(AUTH_REFUSED, bed_auth64(&b, "SCRAM-SHA-256", SPAN("n,,m=1,n=u,r=x")));
	CHECK_INT(AUTH_CHALLENGE, bed_auth(&b, "SCRAM-SHA-256", NULL));
	CHECK_INT(AUTH_CHALLENGE, bed_say64(&b, SPAN("n,,n=copier7,r=x")));
	CHECK_INT(AUTH_MALFORMED, bed_say64(&b, SPAN("c=biws,r=x")));
	bed_close(&b);
}

/* ---- the others ---------------------------------------------------------------------------------------- */

static void a_certificate_says_who_it_is(void)
{
	struct bed b;

	bed_open(&b);
	b.channel.external = SPAN("copier7.example.edu");
	CHECK_INT(AUTH_DONE, bed_auth(&b, "EXTERNAL", "="));
	CHECK_STR("copier7.example.edu", b.x.identity.user);
	CHECK_INT(AUTH_CHALLENGE, bed_auth(&b, "EXTERNAL", NULL));
	CHECK_SPAN("", b.x.challenge);
	CHECK_INT(AUTH_DONE, bed_say(&b, SPAN("")));
	CHECK_INT(AUTH_DONE, bed_auth64(&b, "EXTERNAL", SPAN("copier7.example.edu")));
	CHECK_INT(AUTH_REFUSED, bed_auth64(&b, "EXTERNAL", SPAN("root")));
	CHECK(!b.x.has_secret_id);
	bed_close(&b);
}

static void gssapi_takes_its_steps(void)
{
	struct bed b;

	bed_open(&b);
	CHECK_INT(AUTH_CHALLENGE, bed_auth64(&b, "GSSAPI", SPAN("more")));
	CHECK_SPAN("", b.x.challenge);
	CHECK_INT(AUTH_DONE, bed_say64(&b, SPAN("ok:host/a.example.edu@EXAMPLE.EDU")));
	CHECK_STR("host/a.example.edu@EXAMPLE.EDU", b.x.identity.user);
	CHECK_STR("EXAMPLE.EDU", b.x.identity.realm);
	CHECK_SPAN("host/a.example.edu@EXAMPLE.EDU", b.x.tried);
	CHECK_INT(AUTH_REFUSED, bed_auth64(&b, "GSSAPI", SPAN("bad")));
	CHECK_STR("a bad ticket", b.x.why);
	CHECK_INT(AUTH_TEMPORARY, bed_auth64(&b, "GSSAPI", SPAN("down")));
	CHECK_INT(AUTH_MALFORMED, bed_auth64(&b, "GSSAPI", SPAN("what?")));
	CHECK_INT(AUTH_CHALLENGE, bed_auth(&b, "GSSAPI", NULL));
	CHECK_SPAN("", b.x.challenge);
	b.done = false;
	NEED(auth_exchange_next(&b.x, &b.scope, span_of(bed_base64(&b, SPAN("silent"))), 1000) == 0);
	loop_clock_advance(b.loop, 2000);
	CHECK_INT(AUTH_TEMPORARY, bed_wait(&b));
	bed_close(&b);
}

TEST_MAIN(TEST(what_can_work_is_offered), TEST(mechanisms_are_refused_with_their_reason),
	  TEST(names_go_both_ways), TEST(plain_with_an_initial_response),
	  TEST(plain_after_an_empty_challenge), TEST(plain_acts_as_nobody_else),
	  TEST(what_is_not_plain_is_refused), TEST(a_long_line_is_told_so),
	  TEST(backends_are_asked_in_their_order), TEST(who_is_expired_or_locked_is_refused),
	  TEST(a_backend_in_trouble_is_temporary), TEST(a_deadline_is_temporary),
	  TEST(a_closing_scope_ends_it), TEST(a_name_that_may_not_be_tried_is_not),
	  TEST(spellings_of_a_name_are_one_account), TEST(tries_are_told_apart_without_their_secrets),
	  TEST(login_in_all_shapes), TEST(login_that_goes_wrong), TEST(scram_proves_both_sides),
	  TEST(scram_that_goes_wrong), TEST(unknown_users_have_a_stable_salt),
	  TEST(what_is_no_scram_is_malformed), TEST(a_certificate_says_who_it_is),
	  TEST(gssapi_takes_its_steps))
