/* The client's side of AUTH, mechanism by mechanism, against what the RFCs show and servers of a few lines. */
#include "auth/auth_client.h"

#include "auth/auth_scram.h"
#include "base/base64.h"
#include "base/check.h"
#include "https_server.h"

#define SECOND INT64_C(1000000)

static struct https_server server;

struct bench {
	struct loop *loop;
	struct scope scope;
	struct auth_services *services;
	struct auth_credential *credential;
	struct auth_client x;
	struct auth_client_channel channel;
	unsigned done;
};

static struct bench b;

static void on_done(struct op *op)
{
	(void)op;
	b.done++;
}

static void begin_with(const struct auth_credential_config *cfg)
{
	struct errtext e = { "" };

	b.done = 0;
	if (auth_credential_new(cfg, b.services, &b.credential, &e) < 0)
		FAIL("no credential: %s", e.s);
	auth_client_init(&b.x, b.credential, &b.channel, on_done);
}

static struct auth_credential_config config(const char *user, const char *password)
{
	setenv("POSTERN_SECRET_CLIENT", password, 1);
	return (struct auth_credential_config){ .name = SPAN("test"),
						.user = span_of(user),
						.password_variable = SPAN("POSTERN_SECRET_CLIENT") };
}

static void open_all(void)
{
	b.loop = loop_new();
	scope_init(&b.scope, b.loop, NULL);
	b.services = auth_services_new();
	b.channel = (struct auth_client_channel){
		.tls = true, .verified = true, .host = SPAN("mx.example.org"), .port = 587
	};
}

static void begin(const char *user, const char *password, const char *mechs)
{
	struct auth_credential_config cfg = config(user, password);
	struct span list = span_of(mechs);

	open_all();
	while (list.n) {
		enum auth_client_mech mech;
		NEED(auth_client_mech_parse(span_cut(&list, ' '), &mech) == 0);
		cfg.mechs |= UINT32_C(1) << mech;
	}
	begin_with(&cfg);
}

static void end(void)
{
	auth_client_deinit(&b.x);
	auth_credential_unref(&b.credential);
	auth_services_unref(&b.services);
	loop_free(&b.loop);
}

static int wait_for_it(void)
{
	while (!b.done)
		loop_run_once(b.loop, true);
	b.done = 0;
	return b.x.op.status;
}

static int start(const char *offered)
{
	NEED(auth_client_start(&b.x, &b.scope, span_of(offered), 10 * SECOND) == 0);
	CHECK_INT(0, b.done); /* never from inside */
	return wait_for_it();
}

static int next(const char *challenge)
{
	NEED(auth_client_next(&b.x, &b.scope, span_of(challenge), 10 * SECOND) == 0);
	CHECK_INT(0, b.done);
	return wait_for_it();
}

static void plain(void)
{
	/* The how-to's own line. */
	begin("supercoolusername", "supercoolpassword", "");
	CHECK_INT(0, start("LOGIN PLAIN"));
	CHECK_INT(AUTH_CLIENT_SEND, b.x.result);
	CHECK_STR("PLAIN", b.x.mech);
	CHECK(b.x.has_response);
	CHECK_SPAN("AHN1cGVyY29vbHVzZXJuYW1lAHN1cGVyY29vbHBhc3N3b3Jk", b.x.response);
	CHECK_INT(0, auth_client_accepted(&b.x));
	end();

	begin("user", "pass", "");
	CHECK_INT(0, start("plain"));
	CHECK_INT(0, next("")); /* there is nothing more to say */
	CHECK_INT(AUTH_CLIENT_FAILED, b.x.result);
	CHECK(b.x.abort);
	CHECK(strstr(b.x.why, "asks for more") != NULL);
	end();

	/* A line of AUTH has 512 octets at most: the response is for the challenge then. */
	char password[400];
	memset(password, 'x', sizeof password - 1);
	password[sizeof password - 1] = 0;
	begin("user", password, "");
	CHECK_INT(0, start("PLAIN"));
	CHECK_INT(AUTH_CLIENT_SEND, b.x.result);
	CHECK(!b.x.has_response);
	CHECK_INT(0, b.x.response.n);
	CHECK_INT(0, next("b2s="));
	CHECK(b.x.has_response);
	CHECK_INT(BASE64_LEN(1 + 4 + 1 + 399), b.x.response.n);
	end();

	struct auth_credential_config cfg = config("user", "pass");
	cfg.authzid = SPAN("other");
	open_all();
	begin_with(&cfg);
	CHECK_INT(0, start("PLAIN"));
	CHECK_SPAN("b3RoZXIAdXNlcgBwYXNz", b.x.response);
	end();
}

static void login(void)
{
	begin("user", "pass", "");
	CHECK_INT(0, start("LOGIN"));
	CHECK_STR("LOGIN", b.x.mech);
	CHECK(!b.x.has_response);
	CHECK_INT(0, next("VXNlcm5hbWU6"));
	CHECK_SPAN("dXNlcg==", b.x.response);
	CHECK_INT(0, next("VXNlciBOYW1lAA==")); /* whatever it asks */
	CHECK_SPAN("cGFzcw==", b.x.response);
	CHECK_INT(0, auth_client_accepted(&b.x));
	CHECK_INT(0, next("UGFzc3dvcmQ6"));
	CHECK_INT(AUTH_CLIENT_FAILED, b.x.result);
	end();

	begin("user", "pass", "");
	CHECK_INT(0, start("LOGIN"));
	CHECK_INT(0, next("no base64!"));
	CHECK_INT(AUTH_CLIENT_FAILED, b.x.result);
	CHECK(b.x.abort);
	CHECK_INT(false, b.x.permanent);
	end();
}

/* ---- SCRAM --------------------------------------------------------------------------------------------------------- */

static const uint8_t BINDING[] = "sixteen octets!!";
static const char *has_binding;

static int binding(void *arg, struct span type, uint8_t *out, size_t max)
{
	(void)arg;
	if (!has_binding || !span_eq(type, span_of(has_binding)) || max < 16)
		return -ERR_UNSUPPORTED;
	memcpy(out, BINDING, 16);
	return 16;
}

static struct span decoded(struct buf *to, struct span text)
{
	buf_reset(to);
	CHECK_INT(0, base64_decode(to, text));
	return buf_span(to);
}

static const char *encoded(struct buf *to, struct span octets)
{
	buf_reset(to);
	base64_encode(to, octets);
	return buf_cstr(to);
}

struct scram_server {
	struct auth_scram s;
	struct auth_scram_hello hello;
	uint8_t stored[AUTH_SCRAM_KEY], key[AUTH_SCRAM_KEY];
	struct buf in, out, text;
	uint32_t iterations;
};

static void scram_open(struct scram_server *v, const char *password, uint32_t iterations)
{
	uint8_t salted[AUTH_SCRAM_KEY];

	*v = (struct scram_server){ .iterations = iterations };
	v->in = v->out = v->text = BUF_INIT(8192);
	auth_scram_init(&v->s);
	if (iterations < 4096)
		iterations = 4096;
	CHECK_INT(0, auth_scram_salted(span_of(password), SPAN("salt and pepper!"), iterations, salted));
	CHECK_INT(0, auth_scram_keys(salted, v->stored, v->key));
}

static void scram_close(struct scram_server *v)
{
	auth_scram_deinit(&v->s);
	buf_free(&v->in);
	buf_free(&v->out);
	buf_free(&v->text);
}

/* The first message goes in, the challenge comes out. */
static const char *scram_challenge(struct scram_server *v)
{
	CHECK_INT(0, auth_scram_server_first(&v->s, decoded(&v->in, b.x.response), &v->hello));
	buf_reset(&v->out);
	CHECK_INT(0, auth_scram_server_challenge(&v->s, SPAN("theirs"), SPAN("salt and pepper!"),
						 v->iterations, &v->out));
	return encoded(&v->text, buf_span(&v->out));
}

static int scram_final(struct scram_server *v, struct span bound)
{
	buf_reset(&v->out);
	return auth_scram_server_final(&v->s, decoded(&v->in, b.x.response), bound, v->stored, v->key,
				       &v->out);
}

static void scram(void)
{
	struct scram_server v;

	scram_open(&v, "pencil", 5000);
	begin("us,er", "pencil", "");
	for (int round = 0; round < 2; round++) { /* the second time the key is there already */
		CHECK_INT(0, start("PLAIN SCRAM-SHA-256 LOGIN"));
		CHECK_STR("SCRAM-SHA-256", b.x.mech);
		const char *challenge = scram_challenge(&v);
		CHECK_SPAN("us,er", v.hello.user);
		CHECK_INT(AUTH_SCRAM_BINDING_NONE, v.hello.binding);
		CHECK_INT(0, next(challenge));
		CHECK_INT(AUTH_CLIENT_SEND, b.x.result);
		CHECK_INT(0, scram_final(&v, SPAN("")));
		CHECK_INT(0, next(encoded(&v.text, buf_span(&v.out))));
		CHECK_INT(AUTH_CLIENT_SEND, b.x.result);
		CHECK(b.x.has_response);
		CHECK_SPAN("", b.x.response);
		CHECK_INT(0, auth_client_accepted(&b.x));
		auth_client_deinit(&b.x);
		auth_client_init(&b.x, b.credential, &b.channel, on_done);
	}
	end();
	scram_close(&v);
}

static void scram_plus(void)
{
	static const char *const types[] = { "tls-exporter", "tls-server-end-point" };
	struct scram_server v;

	for (size_t i = 0; i < 2; i++) {
		has_binding = types[i];
		scram_open(&v, "pencil", 4096);
		open_all();
		b.channel.binding = binding;
		const struct auth_credential_config cfg = config("user", "pencil");
		begin_with(&cfg);
		CHECK_INT(0, start("SCRAM-SHA-256 SCRAM-SHA-256-PLUS GSSAPI"));
		CHECK_STR("SCRAM-SHA-256-PLUS", b.x.mech);
		const char *challenge = scram_challenge(&v);
		CHECK_INT(AUTH_SCRAM_BINDING_USED, v.hello.binding);
		CHECK_SPAN(types[i], v.hello.binding_type);
		CHECK_INT(0, next(challenge));
		CHECK_INT(0, scram_final(&v, span_make(BINDING, 16)));
		end();
		scram_close(&v);
	}

	/* The server does not offer it: it learns that we could. */
	scram_open(&v, "pencil", 4096);
	open_all();
	b.channel.binding = binding;
	struct auth_credential_config cfg = config("user", "pencil");
	begin_with(&cfg);
	CHECK_INT(0, start("SCRAM-SHA-256"));
	(void)scram_challenge(&v);
	CHECK_INT(AUTH_SCRAM_BINDING_UNKNOWN, v.hello.binding);
	end();

	/* The operator does not want it: then we have none. */
	open_all();
	b.channel.binding = binding;
	cfg.mechs = UINT32_C(1) << AUTH_CLIENT_MECH_SCRAM_SHA_256;
	begin_with(&cfg);
	CHECK_INT(0, start("SCRAM-SHA-256 SCRAM-SHA-256-PLUS"));
	CHECK_STR("SCRAM-SHA-256", b.x.mech);
	(void)scram_challenge(&v);
	CHECK_INT(AUTH_SCRAM_BINDING_NONE, v.hello.binding);
	end();
	scram_close(&v);
	has_binding = NULL;
}

static void a_server_that_does_not_know_the_password(void)
{
	struct scram_server v;

	/* It lets everybody in and says nothing. */
	scram_open(&v, "pencil", 4096);
	begin("user", "pencil", "");
	CHECK_INT(0, start("SCRAM-SHA-256"));
	CHECK_INT(0, next(scram_challenge(&v)));
	CHECK_INT(-ERR_DENIED, auth_client_accepted(&b.x));
	CHECK(strstr(b.x.why, "without proving") != NULL);
	/* It makes a signature of something else. */
	CHECK_INT(0, next("dj1ub3RoaW5nIHRoYXQgd291bGQgZG8gaGVyZSBhdCBhbGw="));
	CHECK_INT(AUTH_CLIENT_FAILED, b.x.result);
	CHECK(b.x.abort);
	CHECK_INT(-ERR_DENIED, auth_client_accepted(&b.x));
	end();
	scram_close(&v);

	/* It says why it does not want us. */
	scram_open(&v, "pencil", 4096);
	begin("user", "pencil", "");
	CHECK_INT(0, start("SCRAM-SHA-256"));
	CHECK_INT(0, next(scram_challenge(&v)));
	CHECK_INT(0, next("ZT11bmtub3duLXVzZXI=")); /* e=unknown-user */
	CHECK_INT(AUTH_CLIENT_FAILED, b.x.result);
	CHECK(strstr(b.x.why, "unknown-user") != NULL);
	end();
	scram_close(&v);

	/* Too few iterations make a password cheap to guess. */
	scram_open(&v, "pencil", 10);
	begin("user", "pencil", "");
	CHECK_INT(0, start("SCRAM-SHA-256"));
	CHECK_INT(0, next(scram_challenge(&v)));
	CHECK_INT(AUTH_CLIENT_FAILED, b.x.result);
	CHECK(b.x.permanent);
	CHECK(strstr(b.x.why, "iterations") != NULL);
	end();
	scram_close(&v);
}

static void scram_is_given_up_while_a_key_is_derived(void)
{
	struct scram_server v;

	scram_open(&v, "pencil", 100000);
	begin("user", "pencil", "");
	CHECK_INT(0, start("SCRAM-SHA-256"));
	NEED(auth_client_next(&b.x, &b.scope, span_of(scram_challenge(&v)), 2000) == 0);
	CHECK_INT(-ERR_TIMEOUT, wait_for_it());
	CHECK_INT(AUTH_CLIENT_FAILED, b.x.result);
	CHECK(strstr(b.x.why, "deriving the key took too long") != NULL);
	end();
	scram_close(&v);
}

/* ---- tokens -------------------------------------------------------------------------------------------------------- */

static void begin_token(const char *name, int64_t deadline_us, uint32_t mechs)
{
	static char url[100], secret[100];
	struct auth_token *t;
	struct errtext e;

	open_all();
	snprintf(secret, sizeof secret, "%s/secret", server.dir);
	FILE *f = fopen(secret, "w");
	NEED(f != NULL);
	fputs("s", f);
	fclose(f);
	snprintf(url, sizeof url, "https://127.0.0.1:%u/%s", server.good, name);
	const struct auth_token_config cfg = { .url = span_of(url),
					       .client_id = SPAN("id"),
					       .secret_path = span_of(secret),
					       .ca_file = span_of(server.ca),
					       .deadline_us = deadline_us };
	NEED(auth_token_new(&cfg, b.services, &t, &e) == 0);
	const struct auth_credential_config credential = {
		.name = SPAN("test"), .user = SPAN("user@example.com"), .token = t, .mechs = mechs
	};
	begin_with(&credential);
	auth_token_unref(&t);
}

static void xoauth2(void)
{
	struct buf text = BUF_INIT(8192);

	https_server_answer(&server, "x1", -1, "200\n",
			    "{\"access_token\":\"ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg\"}");
	begin_token("x1", 0, 0);
	CHECK_INT(0, start("LOGIN XOAUTH2"));
	CHECK_INT(AUTH_CLIENT_SEND, b.x.result);
	CHECK_STR("XOAUTH2", b.x.mech);
	CHECK_SPAN(
		"user=user@example.com\001auth=Bearer ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg\001\001",
		decoded(&text, b.x.response));
	/* The refusal comes in two parts; the first is to be answered with nothing. */
	CHECK_INT(
		0,
		next("eyJzdGF0dXMiOiI0MDAiLCJzY2hlbWVzIjoiQmVhcmVyIiwic2NvcGUiOiJodHRwczovL21haWwuZ29vZ2xlLmNvbS8ifQ=="));
	CHECK_INT(AUTH_CLIENT_SEND, b.x.result);
	CHECK(b.x.has_response);
	CHECK_SPAN("", b.x.response);
	auth_client_refused(&b.x, 535, SPAN("5.7.8 Username and Password not accepted"));
	CHECK(b.x.permanent);
	CHECK(strstr(b.x.why, "AUTH XOAUTH2 as user@example.com refused: 535 5.7.8") != NULL);
	CHECK(strstr(b.x.why, "status 400") != NULL);
	CHECK(strstr(b.x.why, "ya29") == NULL);
	end();

	/* The token that was refused is not used again. */
	const unsigned before = https_server_count(&server);
	begin_token("x1", 0, 0);
	CHECK_INT(0, start("XOAUTH2"));
	auth_client_refused(&b.x, 454, SPAN("4.7.0 later")); /* that is not about the token */
	CHECK(!b.x.permanent);
	auth_client_deinit(&b.x);
	auth_client_init(&b.x, b.credential, &b.channel, on_done);
	CHECK_INT(0, start("XOAUTH2"));
	CHECK_INT(before + 1, https_server_count(&server));
	auth_client_refused(&b.x, 535, SPAN("5.7.3 Authentication unsuccessful"));
	CHECK(strstr(b.x.why, "service principal") != NULL);
	auth_client_deinit(&b.x);
	auth_client_init(&b.x, b.credential, &b.channel, on_done);
	CHECK_INT(0, start("XOAUTH2"));
	CHECK_INT(before + 2, https_server_count(&server));
	end();
	buf_free(&text);
}

static void oauthbearer(void)
{
	struct buf text = BUF_INIT(8192);

	https_server_answer(&server, "x2", -1, "200\n",
			    "{\"access_token\":\"vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\"}");
	begin_token("x2", 0, 0);
	CHECK_INT(0, start("XOAUTH2 OAUTHBEARER"));
	CHECK_STR("OAUTHBEARER", b.x.mech);
	CHECK_SPAN("n,a=user@example.com,\001host=mx.example.org\001port=587\001auth=Bearer "
		   "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\001\001",
		   decoded(&text, b.x.response));
	CHECK_INT(0, next("eyJzdGF0dXMiOiJpbnZhbGlkX3Rva2VuIn0=")); /* RFC 7628 section 3.2.3 */
	CHECK_SPAN("AQ==", b.x.response);
	CHECK_INT(0, next("AQ=="));
	CHECK_INT(AUTH_CLIENT_FAILED, b.x.result);
	end();

	begin_token("x2", 0, UINT32_C(1) << AUTH_CLIENT_MECH_XOAUTH2);
	CHECK_INT(0, start("XOAUTH2 OAUTHBEARER"));
	CHECK_STR("XOAUTH2", b.x.mech);
	end();

	/* Tokens of real providers are long. */
	char json[3000] = "{\"access_token\":\"";
	memset(json + strlen(json), 'x', 2000);
	strcat(json, "\"}");
	https_server_answer(&server, "x3", -1, "200\n", json);
	begin_token("x3", 0, 0);
	CHECK_INT(0, start("XOAUTH2"));
	CHECK(!b.x.has_response);
	CHECK_INT(0, next(""));
	CHECK(b.x.has_response);
	CHECK(b.x.response.n > 2600);
	end();
	buf_free(&text);
}

static void tokens_that_cannot_be_had(void)
{
	https_server_answer(&server, "x4", -1, "401\n", "{\"error\":\"invalid_client\"}");
	begin_token("x4", 0, 0);
	CHECK_INT(0, start("XOAUTH2"));
	CHECK_INT(AUTH_CLIENT_FAILED, b.x.result);
	CHECK(!b.x.abort); /* nothing was said to the server yet */
	CHECK(b.x.permanent);
	CHECK(strstr(b.x.why, "AUTH XOAUTH2: token endpoint 127.0.0.1") != NULL);
	CHECK(strstr(b.x.why, "invalid_client") != NULL);
	end();

	https_server_answer(&server, "x5", -1, "200\nWait: 5\n", "");
	begin_token("x5", 0, 0);
	NEED(auth_client_start(&b.x, &b.scope, SPAN("XOAUTH2"), 100000) == 0);
	CHECK_INT(-ERR_TIMEOUT, wait_for_it());
	CHECK(strstr(b.x.why, "the token took too long") != NULL);
	end();

	begin_token("x5", 0, 0);
	NEED(auth_client_start(&b.x, &b.scope, SPAN("XOAUTH2"), SECOND) == 0);
	scope_cancel_all(&b.scope);
	CHECK_INT(-ERR_CANCELED, wait_for_it());
	end();
}

/* ---- choosing, refusing --------------------------------------------------------------------------------------------- */

static void where_credentials_do_not_go(void)
{
	begin("user", "pass", "");
	b.x.channel.verified = false;
	CHECK_INT(0, start("PLAIN"));
	CHECK_INT(AUTH_CLIENT_FAILED, b.x.result);
	CHECK(!b.x.abort && b.x.permanent);
	CHECK(strstr(b.x.why, "was not verified") != NULL);
	CHECK_SPAN("", b.x.response);
	end();

	begin("user", "pass", "");
	b.x.channel.verified = b.x.channel.tls = false;
	CHECK_INT(0, start("SCRAM-SHA-256"));
	CHECK_INT(AUTH_CLIENT_FAILED, b.x.result);
	CHECK(strstr(b.x.why, "there is no TLS") != NULL);
	end();

	struct auth_credential_config cfg = config("user", "pass");
	cfg.allow_unverified = true;
	open_all();
	b.channel.verified = false;
	begin_with(&cfg);
	CHECK_INT(0, start("PLAIN"));
	CHECK_INT(AUTH_CLIENT_SEND, b.x.result);
	end();
}

static void nothing_in_common(void)
{
	begin("user", "pass", "");
	CHECK_INT(0, start(""));
	CHECK_INT(AUTH_CLIENT_FAILED, b.x.result);
	CHECK(strstr(b.x.why, "offers no AUTH") != NULL);
	end();
	begin("user", "pass", "SCRAM-SHA-256 LOGIN");
	CHECK_INT(0, start("PLAIN XOAUTH2\x01 CRAM-MD5"));
	CHECK_INT(AUTH_CLIENT_FAILED, b.x.result);
	CHECK_STR(
		"no mechanism in common: the server offers PLAIN XOAUTH2  CRAM-MD5, we can do SCRAM-SHA-256 LOGIN",
		b.x.why);
	end();
	begin("user", "pass\xf0\x9f\x94\x91", "SCRAM-SHA-256"); /* what SASLprep does not have */
	CHECK_INT(0, start("SCRAM-SHA-256"));
	CHECK_INT(AUTH_CLIENT_FAILED, b.x.result);
	CHECK(strstr(b.x.why, "characters that SCRAM cannot have") != NULL);
	end();
}

static void refusals_hold_no_password(void)
{
	begin("user", "sesame7", "");
	CHECK_INT(0, start("PLAIN"));
	auth_client_refused(&b.x, 535, SPAN("5.7.8 not sesame7, sorry"));
	CHECK(strstr(b.x.why, "sesame7") == NULL);
	CHECK(strstr(b.x.why, "AUTH PLAIN failed, and the server's words") != NULL);
	auth_client_refused(
		&b.x, 535, SPAN("5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled"));
	CHECK(strstr(b.x.why, "SMTP AUTH is switched off") != NULL);
	end();
}

static void set_up(void)
{
	https_server_start(&server);
}

static void tear_down(void)
{
	https_server_stop(&server);
}

TEST_MAIN(TEST(set_up), TEST(plain), TEST(login), TEST(scram), TEST(scram_plus),
	  TEST(a_server_that_does_not_know_the_password), TEST(scram_is_given_up_while_a_key_is_derived),
	  TEST(xoauth2), TEST(oauthbearer), TEST(tokens_that_cannot_be_had),
	  TEST(where_credentials_do_not_go), TEST(nothing_in_common), TEST(refusals_hold_no_password),
	  TEST(tear_down))
