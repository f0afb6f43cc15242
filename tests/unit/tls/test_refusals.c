/* What a client can try that no mail program does, and what it gets for it. */
#include "raw_client.h"

static struct cert ca, leaf, rsa;
static struct tls_server *ts;

static void set_up(void)
{
	struct tls_cert files[2];

	certs_init();
	ca = cert_make((struct cert_spec){ .cn = "CA", .ca = true });
	leaf = cert_make((struct cert_spec){ .cn = "mx", .alt = "DNS:mx.example", .issuer = &ca });
	rsa = cert_make(
		(struct cert_spec){ .cn = "mx", .alt = "DNS:mx.example", .issuer = &ca, .key = "rsa" });
	files[0] = (struct tls_cert){ .cert = span_of(CERTS_WRITE("leaf.pem", CERT_OF(leaf), KEY_OF(leaf))) };
	files[1] = (struct tls_cert){ .cert = span_of(CERTS_WRITE("rsa.pem", CERT_OF(rsa), KEY_OF(rsa))) };
	/* The weakest that can be asked for. */
	ts = serve(&(struct tls_server_config){ .certs = files,
						.ncerts = 2,
						.min = TLS_VERSION_1_0,
						.security_level = 0,
						.session_lifetime_s = 60 });
}

static void tear_down(void)
{
	tls_server_unref(&ts);
	cert_free(&rsa);
	cert_free(&leaf);
	cert_free(&ca);
	certs_deinit();
}

static void what_is_never_agreed_on(void)
{
	static const struct {
		int version;
		const char *ciphers, *groups;
		bool goes;
	} cases[] = {
		{ TLS1_3_VERSION, NULL, "X25519", true },
		{ TLS1_3_VERSION, NULL, "P-384", true },
		/* Finite fields: the client's part is cheap and ours is not. */
		{ TLS1_3_VERSION, NULL, "ffdhe2048", false },
		{ TLS1_3_VERSION, NULL, "ffdhe8192", false },
		{ TLS1_2_VERSION, "DHE-RSA-AES128-GCM-SHA256", NULL, false },
		{ TLS1_2_VERSION, "ECDHE-ECDSA-AES128-GCM-SHA256", NULL, true },
		{ TLS1_VERSION, "AES128-SHA", NULL, true }, /* an old device's best */
		{ TLS1_2_VERSION, "aNULL", NULL, false },
		{ TLS1_2_VERSION, "eNULL", NULL, false },
		{ TLS1_2_VERSION, "CAMELLIA", NULL, false },
	};

	set_up();
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		SSL_CTX *ctx = raw_context(cases[i].version, 0);
		struct bed b;
		struct raw c;

		SSL_CTX_set_security_level(ctx, 0);
		if (cases[i].ciphers)
			CHECK_INT(1, SSL_CTX_set_cipher_list(ctx, cases[i].ciphers));
		if (cases[i].groups)
			CHECK_INT(1, SSL_CTX_set1_groups_list(ctx, cases[i].groups));
		if (raw_connect(&b, &c, ctx, ts, NULL) != cases[i].goes)
			FAIL("case %zu: expected %s: %s", i, cases[i].goes ? "it goes" : "a refusal",
			     b.server.h.why);
		if (!cases[i].goes) {
			if (b.server.status != -ERR_UNSUPPORTED || !b.server.h.offered[0])
				FAIL("case %zu: %d, %s, offered %s", i, b.server.status, b.server.h.why,
				     b.server.h.offered);
		}
		SSL_free(c.ssl);
		bed_end(&b);
		SSL_CTX_free(ctx);
	}
	tear_down();
}

static void renegotiation_is_refused(void)
{
	struct bed b;
	struct raw c;

	set_up();
	SSL_CTX *ctx = raw_context(TLS1_2_VERSION, 0);
	NEED(raw_connect(&b, &c, ctx, ts, NULL));
	CHECK_INT(1, SSL_renegotiate(c.ssl));
	CHECK(SSL_do_handshake(c.ssl) < 0);
	for (unsigned i = 0; i < 5; i++)
		raw_turn(&b, &c);
	CHECK(!SSL_is_init_finished(c.ssl));
	CHECK_INT(0, b.server.got.n);
	/* The server did not mind, or it hung up; it did not shake hands again. */
	CHECK(b.server.closed || b.server.s);
	SSL_free(c.ssl);
	bed_end(&b);
	SSL_CTX_free(ctx);
	tear_down();
}

static void early_data_is_not_taken(void)
{
	struct bed b;
	struct raw c;

	set_up();
	SSL_CTX *ctx = raw_context(TLS1_3_VERSION, 0);
	NEED(raw_connect(&b, &c, ctx, ts, NULL));
	SSL_SESSION *session = raw_end(&b, &c);
	CHECK_INT(0, SSL_SESSION_get_max_early_data(session));
	SSL_SESSION_free(session);
	SSL_CTX_free(ctx);
	tear_down();
}

/* RFC 8446 section 4.6.3: each is to be answered with one of ours. Who asks and does not read makes no heap of them. */
static void key_updates_without_end(void)
{
	static const unsigned UPDATES = 12000;
	struct bed b;
	struct raw c;
	char piece[16384];
	int n;

	set_up();
	SSL_CTX *ctx = raw_context(TLS1_3_VERSION, 0);
	NEED(raw_connect(&b, &c, ctx, ts, NULL));
	memory_stream_stall(&b.wire_server, true);
	for (unsigned i = 0; i < UPDATES; i++) {
		CHECK_INT(1, SSL_key_update(c.ssl, SSL_KEY_UPDATE_REQUESTED));
		CHECK_INT(1, SSL_do_handshake(c.ssl));
		if (i % 256 == 0)
			while ((n = BIO_read(c.out, piece, sizeof piece)) > 0) {
				memory_stream_send(&b.wire_server, span_make(piece, (size_t)n));
				loop_run_once(b.l, false);
			}
	}
	CHECK_INT(6, SSL_write(c.ssl, "NOOP\r\n", 6));
	while ((n = BIO_read(c.out, piece, sizeof piece)) > 0)
		memory_stream_send(&b.wire_server, span_make(piece, (size_t)n));
	for (unsigned i = 0; i < 10; i++)
		loop_run_once(b.l, false);
	NEED(b.server.s != NULL);
	CHECK(stream_pending(b.server.s) > STREAM_OUT_LOW);
	CHECK(stream_pending(b.server.s) <= STREAM_OUT_HIGH + 4096);
	CHECK_INT(0, b.server.got.n);
	memory_stream_stall(&b.wire_server, false);
	for (unsigned i = 0; i < 20; i++)
		loop_run_once(b.l, false);
	CHECK_SPAN("NOOP\r\n", buf_span(&b.server.got));
	SSL_free(c.ssl);
	bed_end(&b);
	SSL_CTX_free(ctx);
	tear_down();
}

TEST_MAIN(TEST(what_is_never_agreed_on), TEST(renegotiation_is_refused), TEST(early_data_is_not_taken),
	  TEST(key_updates_without_end))
