#include "auth/auth_scram.h"
#include "base/base64.h"
#include "test.h"

/* RFC 7677 section 3. */
#define RFC_FIRST     "n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
#define RFC_NONCE     "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define RFC_CHALLENGE "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
#define RFC_WITHOUT   "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define RFC_FINAL     RFC_WITHOUT ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
#define RFC_VERIFY    "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="

struct bed {
	struct auth_scram server, client;
	struct auth_scram_hello hello;
	struct buf out, salt;
	uint8_t salted[AUTH_SCRAM_KEY], stored[AUTH_SCRAM_KEY], server_key[AUTH_SCRAM_KEY];
};

static void bed_open(struct bed *b, const char *password)
{
	*b = (struct bed){ .out = BUF_INIT(AUTH_SCRAM_MESSAGE_MAX), .salt = BUF_INIT(64) };
	auth_scram_init(&b->server);
	auth_scram_init(&b->client);
	NEED(base64_decode(&b->salt, SPAN("W22ZaJ0SNY7soEsUEjb6gQ==")) == 0);
	NEED(auth_scram_salted(span_of(password), buf_span(&b->salt), 4096, b->salted) == 0);
	NEED(auth_scram_keys(b->salted, b->stored, b->server_key) == 0);
}

static void bed_close(struct bed *b)
{
	auth_scram_deinit(&b->server);
	auth_scram_deinit(&b->client);
	buf_free(&b->out);
	buf_free(&b->salt);
}

static struct span said(struct bed *b)
{
	return buf_span(&b->out);
}

static int server_final(struct bed *b, const char *message, struct span binding)
{
	buf_reset(&b->out);
	return auth_scram_server_final(&b->server, span_of(message), binding, b->stored, b->server_key,
				       &b->out);
}

/* The server's side up to its challenge. */
static void challenged(struct bed *b, const char *first)
{
	NEED(auth_scram_server_first(&b->server, span_of(first), &b->hello) == 0);
	buf_reset(&b->out);
	NEED(auth_scram_server_challenge(&b->server, SPAN(RFC_NONCE), buf_span(&b->salt), 4096, &b->out) ==
	     0);
}

static void the_server_plays_the_dialogue_of_the_rfc(void)
{
	struct bed b;

	bed_open(&b, "pencil");
	challenged(&b, RFC_FIRST);
	CHECK_INT(AUTH_SCRAM_BINDING_NONE, b.hello.binding);
	CHECK_SPAN("user", b.hello.user);
	CHECK_SPAN("", b.hello.authzid);
	CHECK_SPAN(RFC_CHALLENGE, said(&b));
	CHECK_INT(0, server_final(&b, RFC_FINAL, SPAN("")));
	CHECK_SPAN(RFC_VERIFY, said(&b));
	bed_close(&b);
}

static void the_client_plays_the_dialogue_of_the_rfc(void)
{
	const struct auth_scram_hello hello = { .user = SPAN_INIT("user") };
	struct bed b;
	struct buf salt = BUF_INIT(64);
	struct span why = { NULL, 0 };
	uint32_t iterations = 0;

	bed_open(&b, "pencil");
	CHECK_INT(0, auth_scram_client_first(&b.client, &hello, SPAN("rOprNGfwEbeRWgbNEkqO"), &b.out));
	CHECK_SPAN(RFC_FIRST, said(&b));
	CHECK_INT(0, auth_scram_client_challenge(&b.client, SPAN(RFC_CHALLENGE), &salt, &iterations));
	CHECK_INT(4096, iterations);
	CHECK(span_eq(buf_span(&salt), buf_span(&b.salt)));
	buf_reset(&b.out);
	CHECK_INT(0, auth_scram_client_final(&b.client, b.salted, SPAN(""), &b.out));
	CHECK_SPAN(RFC_FINAL, said(&b));
	CHECK_INT(0, auth_scram_client_verify(&b.client, SPAN(RFC_VERIFY), &why));
	CHECK_INT(-ERR_DENIED,
		  auth_scram_client_verify(&b.client, SPAN("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G8="),
					   &why));
	CHECK_INT(-ERR_DENIED, auth_scram_client_verify(&b.client, SPAN("v="), &why));
	CHECK_INT(-ERR_DENIED, auth_scram_client_verify(&b.client, SPAN("e=invalid-proof"), &why));
	CHECK_SPAN("invalid-proof", why);
	CHECK_INT(-ERR_SYNTAX, auth_scram_client_verify(&b.client, SPAN("hello"), &why));
	buf_free(&salt);
	bed_close(&b);
}

static void a_wrong_password_nonce_or_binding_is_denied(void)
{
	static const char *const wrong[] = {
		RFC_WITHOUT ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVU=",
		"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k1,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
		"c=biws,r=rOprNGfwEbeRWgbNEkqO,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
		"c=eSws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
		/* An extension that the proof does not know of: it is a part of what is proved. */
		RFC_WITHOUT ",x=y,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
	};
	struct bed b;

	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		bed_open(&b, "pencil");
		challenged(&b, RFC_FIRST);
		CHECK_INT(-ERR_DENIED, server_final(&b, wrong[i], SPAN("")));
		CHECK_SPAN("", said(&b));
		bed_close(&b);
	}
	bed_open(&b, "pencils");
	challenged(&b, RFC_FIRST);
	CHECK_INT(-ERR_DENIED, server_final(&b, RFC_FINAL, SPAN("")));
	bed_close(&b);
}

static void the_header_of_the_first_message_is_read(void)
{
	struct bed b;

	bed_open(&b, "x");
	NEED(auth_scram_server_first(&b.server, SPAN("y,a=j=3Dd,n=a=2Cb=3Dc\xc3\xa9,r=x,z=ext"), &b.hello) ==
	     0);
	CHECK_INT(AUTH_SCRAM_BINDING_UNKNOWN, b.hello.binding);
	CHECK_SPAN("j=d", b.hello.authzid);
	CHECK_SPAN("a,b=c\xc3\xa9", b.hello.user);
	NEED(auth_scram_server_first(&b.server, SPAN("n,a=,n=u,r=x"), &b.hello) == 0);
	CHECK_SPAN("", b.hello.authzid);
	NEED(auth_scram_server_first(&b.server, SPAN("p=tls-exporter,,n=u,r=x"), &b.hello) == 0);
	CHECK_INT(AUTH_SCRAM_BINDING_USED, b.hello.binding);
	CHECK_SPAN("tls-exporter", b.hello.binding_type);
	bed_close(&b);
}

static void what_is_no_first_message_is_refused(void)
{
	static const char *const bad[] = { "",
					   "n",
					   "n,",
					   "n,,",
					   "n,,n=user",
					   "n,,r=x",
					   "x,,n=u,r=x",
					   "p=,,n=u,r=x",
					   "p=a b,,n=u,r=x",
					   "n,b=x,n=u,r=x",
					   "n,,n=,r=x",
					   "n,,n=a=b,r=x",
					   "n,,n=a=2c,r=x",
					   "n,,n=u,r=",
					   "n,,n=u,r=\x7f",
					   "n,,n=u,r=x,",
					   "n,,n=u,r=x,1=2",
					   "n,,n=u,r=x,y=",
					   "n,,n=u,r=x,m=y",
					   "n,,n=\xff,r=x",
					   "n,,n=a=",
					   "n,,n=a=2" };
	struct bed b;

	bed_open(&b, "x");
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (auth_scram_server_first(&b.server, span_of(bad[i]), &b.hello) != -ERR_SYNTAX)
			FAIL("\"%s\" was taken", bad[i]);
	CHECK_INT(-ERR_SYNTAX, auth_scram_server_first(&b.server, SPAN("n,,n=a\0b,r=x"), &b.hello));
	CHECK_INT(-ERR_UNSUPPORTED, auth_scram_server_first(&b.server, SPAN("n,,m=1,n=u,r=x"), &b.hello));
	bed_close(&b);
}

static void what_is_no_final_message_is_refused(void)
{
	static const char *const bad[] = { "",
					   ",p=",
					   RFC_WITHOUT,
					   RFC_WITHOUT ",p=",
					   RFC_WITHOUT ",p=AAAA",
					   RFC_WITHOUT ",p=****",
					   "r=x,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
					   "c=biws,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
					   RFC_FINAL ",x=y",
					   RFC_WITHOUT
					   ",m=y,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=" };
	struct bed b;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		bed_open(&b, "pencil");
		challenged(&b, RFC_FIRST);
		if (server_final(&b, bad[i], SPAN("")) != -ERR_SYNTAX)
			FAIL("\"%s\" was taken", bad[i]);
		bed_close(&b);
	}
}

static void a_client_takes_no_challenge_that_harms_it(void)
{
	static const struct {
		const char *challenge;
		int want;
	} cases[] = {
		{ "r=ownX,s=W22Z,i=4096", 0 },
		{ "r=ownX,s=W22Z,i=4096,x=y", 0 },
		{ "r=own,s=W22Z,i=4096", -ERR_DENIED },
		{ "r=othX,s=W22Z,i=4096", -ERR_DENIED },
		{ "r=ownX,s=W22Z,i=4095", -ERR_UNSUPPORTED },
		{ "r=ownX,s=W22Z,i=2000001", -ERR_UNSUPPORTED },
		{ "r=ownX,s=W22Z,i=4294967296", -ERR_SYNTAX },
		{ "r=ownX,s=W22Z,i=04096", -ERR_SYNTAX },
		{ "r=ownX,s=W22Z,i=", -ERR_SYNTAX },
		{ "r=ownX,s=W2,i=4096", -ERR_SYNTAX },
		{ "r=ownX,i=4096", -ERR_SYNTAX },
		{ "m=x,r=ownX,s=W22Z,i=4096", -ERR_UNSUPPORTED },
		{ "", -ERR_SYNTAX },
	};
	const struct auth_scram_hello hello = { .user = SPAN_INIT("u") };

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct buf salt = BUF_INIT(64);
		uint32_t iterations;
		struct bed b;

		bed_open(&b, "x");
		CHECK_INT(0, auth_scram_client_first(&b.client, &hello, SPAN("own"), &b.out));
		if (auth_scram_client_challenge(&b.client, span_of(cases[i].challenge), &salt, &iterations) !=
		    cases[i].want)
			FAIL("\"%s\" was not answered with %s", cases[i].challenge, err_name(cases[i].want));
		buf_free(&salt);
		bed_close(&b);
	}
}

/* Both sides against each other, over a channel that each binds to. */
static int talk(struct bed *b, const struct auth_scram_hello *hello, struct span client_binding,
		struct span server_binding)
{
	char nonce[AUTH_SCRAM_NONCE];
	struct buf text = BUF_INIT(AUTH_SCRAM_MESSAGE_MAX), salt = BUF_INIT(64);
	struct span why;
	uint32_t iterations;

	auth_scram_nonce(nonce);
	NEED(auth_scram_client_first(&b->client, hello, span_make(nonce, sizeof nonce), &text) == 0);
	NEED(auth_scram_server_first(&b->server, buf_span(&text), &b->hello) == 0);
	CHECK(span_eq(hello->user, b->hello.user));
	CHECK(span_eq(hello->authzid, b->hello.authzid));
	CHECK_INT(hello->binding, b->hello.binding);
	buf_reset(&text);
	auth_scram_nonce(nonce);
	NEED(auth_scram_server_challenge(&b->server, span_make(nonce, sizeof nonce), buf_span(&b->salt), 4096,
					 &text) == 0);
	NEED(auth_scram_client_challenge(&b->client, buf_span(&text), &salt, &iterations) == 0);
	buf_reset(&text);
	NEED(auth_scram_client_final(&b->client, b->salted, client_binding, &text) == 0);
	const int err = auth_scram_server_final(&b->server, buf_span(&text), server_binding, b->stored,
						b->server_key, &b->out);
	if (err == 0)
		CHECK_INT(0, auth_scram_client_verify(&b->client, said(b), &why));
	buf_free(&text);
	buf_free(&salt);
	return err;
}

static void a_bound_dialogue_fails_on_another_channel(void)
{
	const struct auth_scram_hello hello = { .binding = AUTH_SCRAM_BINDING_USED,
						.binding_type = SPAN_INIT("tls-exporter"),
						.authzid = SPAN_INIT("=,"),
						.user = SPAN_INIT("scan,er=1") };
	struct bed b;

	bed_open(&b, "pencil");
	CHECK_INT(0, talk(&b, &hello, SPAN("\0\1\2channel"), SPAN("\0\1\2channel")));
	bed_close(&b);
	bed_open(&b, "pencil");
	CHECK_INT(-ERR_DENIED, talk(&b, &hello, SPAN("their channel"), SPAN("our channel")));
	bed_close(&b);
}

static void long_messages_are_refused(void)
{
	struct bed b;
	char text[AUTH_SCRAM_MESSAGE_MAX + 1];

	memset(text, 'a', sizeof text);
	memcpy(text, "n,,n=", 5);
	memcpy(text + sizeof text - 4, ",r=x", 4);
	bed_open(&b, "x");
	CHECK_INT(-ERR_TOOBIG, auth_scram_server_first(&b.server, span_make(text, sizeof text), &b.hello));
	bed_close(&b);
}

TEST_MAIN(TEST(the_server_plays_the_dialogue_of_the_rfc), TEST(the_client_plays_the_dialogue_of_the_rfc),
	  TEST(a_wrong_password_nonce_or_binding_is_denied), TEST(the_header_of_the_first_message_is_read),
	  TEST(what_is_no_first_message_is_refused), TEST(what_is_no_final_message_is_refused),
	  TEST(a_client_takes_no_challenge_that_harms_it), TEST(a_bound_dialogue_fails_on_another_channel),
	  TEST(long_messages_are_refused))
