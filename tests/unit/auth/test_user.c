#include "auth/auth_scram.h"
#include "auth/auth_user.h"
#include "test.h"

static void a_password_is_known_again(void)
{
	struct auth_user u = { .name = SPAN_INIT("copier7") }, other = { .name = SPAN_INIT("copier8") };

	NEED(auth_user_set_password(&u, SPAN("a password")) == 0);
	CHECK_INT(1, auth_user_check_password(&u.hash, SPAN("a password")));
	CHECK_INT(0, auth_user_check_password(&u.hash, SPAN("a passworD")));
	CHECK_INT(0, auth_user_check_password(&u.hash, SPAN("")));
	NEED(auth_user_set_password(&other, SPAN("a password")) == 0);
	CHECK(memcmp(u.hash.hash, other.hash.hash, sizeof u.hash.hash) != 0); /* salted */
	CHECK(memcmp(u.scram.stored_key, other.scram.stored_key, sizeof u.scram.stored_key) != 0);
}

static void nobody_has_a_password(void)
{
	const struct auth_user_hash none = { 0 };

	CHECK_INT(0, auth_user_check_password(&none, SPAN("")));
	CHECK_INT(0, auth_user_check_password(&none, SPAN("x")));
}

static void the_verifier_is_of_the_password(void)
{
	struct auth_user u = { .name = SPAN_INIT("copier7") };
	uint8_t salted[AUTH_SCRAM_KEY], stored[AUTH_SCRAM_KEY], server[AUTH_SCRAM_KEY];

	NEED(auth_user_set_password(&u, SPAN("a password")) == 0);
	CHECK_INT(0, auth_scram_salted(SPAN("a password"), span_make(u.scram.salt, u.scram.nsalt),
				       u.scram.iterations, salted));
	CHECK_INT(0, auth_scram_keys(salted, stored, server));
	CHECK(memcmp(stored, u.scram.stored_key, sizeof stored) == 0);
	CHECK(memcmp(server, u.scram.server_key, sizeof server) == 0);
}

/* RFC 7914 section 12 has 64 octets of this; the first 32 are the same ones. */
#define RFC_HASH "scrypt:10:8:16:TmFDbDEyMzQ=:/bq+HJ00cgB4VucZDQHp/nxq18vII3gw53N2Y0s3MWI="

static void hashes_are_text_and_back(void)
{
	struct buf out = BUF_INIT(400);
	struct auth_user_hash h;
	struct auth_user u = { .name = SPAN_INIT("u") };
	struct auth_user_scram v;

	NEED(auth_user_hash_parse(SPAN(RFC_HASH), &h) == 0);
	CHECK_INT(10, h.log_n);
	CHECK_INT(8, h.r);
	CHECK_INT(16, h.p);
	CHECK_SPAN("NaCl1234", span_make(h.salt, h.nsalt));
	auth_user_hash_format(&h, &out);
	CHECK_SPAN(RFC_HASH, buf_span(&out));
	NEED(auth_user_set_password(&u, SPAN("x")) == 0);
	buf_reset(&out);
	auth_user_scram_format(&u.scram, &out);
	NEED(auth_user_scram_parse(buf_span(&out), &v) == 0);
	CHECK(memcmp(&v, &u.scram, sizeof v) == 0);
	buf_free(&out);
}

static void what_is_no_hash_is_refused(void)
{
#define KEY "/bq+HJ00cgB4VucZDQHp/nxq18vII3gw53N2Y0s3MWI="
	static const struct {
		const char *text;
		int want;
	} cases[] = {
		{ "", -ERR_SYNTAX },
		{ "bcrypt:10:8:16:TmFDbDEyMzQ=:" KEY, -ERR_SYNTAX },
		{ "scrypt:10:8:16:TmFDbDEyMzQ=", -ERR_SYNTAX },
		{ "scrypt:10:8:16:TmFDbDEyMzQ=:" KEY ":", -ERR_SYNTAX },
		{ "scrypt:10:8:16:TmFDbA==:" KEY, -ERR_SYNTAX },             /* too short a salt */
		{ "scrypt:10:8:16:TmFDbDEyMzQ=:TmFDbDEyMzQ=", -ERR_SYNTAX }, /* and hash */
		{ "scrypt:0:8:16:TmFDbDEyMzQ=:" KEY, -ERR_SYNTAX },
		{ "scrypt:10:0:16:TmFDbDEyMzQ=:" KEY, -ERR_SYNTAX },
		{ "scrypt:10:8:0:TmFDbDEyMzQ=:" KEY, -ERR_SYNTAX },
		{ "scrypt:-1:8:1:TmFDbDEyMzQ=:" KEY, -ERR_SYNTAX },
		{ "scrypt:64:8:1:TmFDbDEyMzQ=:" KEY, -ERR_SYNTAX },
		{ "scrypt:63:8:1:TmFDbDEyMzQ=:" KEY, -ERR_TOOBIG },
		{ "scrypt:17:8:1:TmFDbDEyMzQ=:" KEY, -ERR_TOOBIG },
		{ "scrypt:16:8:1:TmFDbDEyMzQ=:" KEY, 0 },
		{ "scrypt:10:8:17:TmFDbDEyMzQ=:" KEY, -ERR_TOOBIG },
	};
	static const struct {
		const char *text;
		int want;
	} verifiers[] = {
		{ "", -ERR_SYNTAX },
		{ "4096:TmFDbDEyMzQ=:" KEY ":" KEY, 0 },
		{ "4096:TmFDbDEyMzQ=:" KEY, -ERR_SYNTAX },
		{ "4096:TmFDbDEyMzQ=:" KEY ":" KEY ":", -ERR_SYNTAX },
		{ "4095:TmFDbDEyMzQ=:" KEY ":" KEY, -ERR_TOOBIG },
		{ "4294967295:TmFDbDEyMzQ=:" KEY ":" KEY, -ERR_TOOBIG },
		{ "x:TmFDbDEyMzQ=:" KEY ":" KEY, -ERR_SYNTAX },
	};
	struct auth_user_hash h = { .log_n = 77 };
	struct auth_user_scram v = { 0 };

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const int err = auth_user_hash_parse(span_of(cases[i].text), &h);
		if (err != cases[i].want)
			FAIL("\"%s\": %s", cases[i].text, err_name(err));
	}
	CHECK_INT(16, h.log_n);
	for (size_t i = 0; i < sizeof verifiers / sizeof *verifiers; i++) {
		const int err = auth_user_scram_parse(span_of(verifiers[i].text), &v);
		if (err != verifiers[i].want)
			FAIL("\"%s\": %s", verifiers[i].text, err_name(err));
	}
}

static void names_are_prepared_ones(void)
{
	char text[300];

	CHECK(auth_user_is_name(SPAN("copier7")));
	CHECK(auth_user_is_name(SPAN("smtp-relay/scan.example.edu@EXAMPLE.EDU")));
	CHECK(auth_user_is_name(SPAN("B\xc3\xbcro 7")));
	CHECK(!auth_user_is_name(SPAN("")));
	CHECK(!auth_user_is_name(SPAN("a\tb")));
	CHECK(!auth_user_is_name(SPAN("a\xc2\xa0"
				      "b")));
	memset(text, 'a', sizeof text);
	CHECK(auth_user_is_name(span_make(text, AUTH_USER_MAX - 1)));
	CHECK(!auth_user_is_name(span_make(text, AUTH_USER_MAX)));
}

TEST_MAIN(TEST(a_password_is_known_again), TEST(nobody_has_a_password), TEST(the_verifier_is_of_the_password),
	  TEST(hashes_are_text_and_back), TEST(what_is_no_hash_is_refused), TEST(names_are_prepared_ones))
