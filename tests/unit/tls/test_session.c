#include "raw_client.h"
#include "tls/tls_ticket.h"

static struct cert ca, leaf;

static void set_up(void)
{
	certs_init();
	ca = cert_make((struct cert_spec){ .cn = "CA", .ca = true });
	leaf = cert_make((struct cert_spec){ .cn = "mx", .alt = "DNS:mx.example", .issuer = &ca });
	CERTS_WRITE("leaf.pem", CERT_OF(leaf), CERT_OF(ca), KEY_OF(leaf));
	CERTS_WRITE("ca.pem", CERT_OF(ca));
}

static void tear_down(void)
{
	cert_free(&leaf);
	cert_free(&ca);
	certs_deinit();
}

static struct tls_server *serving(uint32_t lifetime_s, enum tls_client_cert mode)
{
	const struct tls_cert one = { .cert = span_of(certs_path("leaf.pem")) };

	return serve(&(struct tls_server_config){ .certs = &one,
						  .ncerts = 1,
						  .security_level = -1,
						  .client_cert = mode,
						  .client_ca = span_of(mode ? certs_path("ca.pem") : NULL),
						  .session_lifetime_s = lifetime_s });
}

/* Connects with @session, which it takes, and returns the session to go on with. */
static SSL_SESSION *visit(SSL_CTX *ctx, struct tls_server *ts, SSL_SESSION *session, bool *resumed_r)
{
	struct bed b;
	struct raw c;

	NEED(raw_connect(&b, &c, ctx, ts, session));
	*resumed_r = SSL_session_reused(c.ssl) == 1;
	CHECK_INT(*resumed_r, tls_info(b.server.s)->resumed);
	CHECK_SPAN("mx.example", tls_info(b.server.s)->sni);
	SSL_SESSION_free(session);
	return raw_end(&b, &c);
}

/* The three ways there are. */
static const struct {
	const char *name;
	int version;
	unsigned long options;
	bool survives_refresh;
} ways[] = {
	{ "ticket of TLS 1.3", TLS1_3_VERSION, 0, true },
	{ "ticket of TLS 1.2", TLS1_2_VERSION, 0, true },
	{ "cache", TLS1_2_VERSION, SSL_OP_NO_TICKET, false },
};

static void touch_certificate(struct tls_server *ts)
{
	struct errtext e = { "" };

	CERTS_WRITE("leaf.pem", CERT_OF(leaf), CERT_OF(ca), KEY_OF(leaf));
	CHECK_INT(1, tls_server_refresh(ts, &e));
}

static void sessions_are_resumed(void)
{
	set_up();
	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		SSL_CTX *ctx = raw_context(ways[i].version, ways[i].options);
		struct tls_server *ts = serving(3600, TLS_CLIENT_CERT_NONE);
		bool resumed;

		SSL_SESSION *session = visit(ctx, ts, NULL, &resumed);
		CHECK(!resumed);
		for (unsigned times = 0; times < 3; times++) {
			session = visit(ctx, ts, session, &resumed);
			if (!resumed)
				FAIL("%s: not resumed, visit %u", ways[i].name, times);
		}
		touch_certificate(ts);
		session = visit(ctx, ts, session, &resumed);
		if (resumed != ways[i].survives_refresh)
			FAIL("%s: %sresumed after a refresh", ways[i].name, resumed ? "" : "not ");
		session = visit(ctx, ts, session, &resumed);
		CHECK(resumed);
		SSL_SESSION_free(session);
		tls_server_unref(&ts);
		SSL_CTX_free(ctx);
	}
	tear_down();
}

static void no_lifetime_no_sessions(void)
{
	set_up();
	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		SSL_CTX *ctx = raw_context(ways[i].version, ways[i].options);
		struct tls_server *ts = serving(0, TLS_CLIENT_CERT_NONE);
		bool resumed;

		SSL_SESSION *session = visit(ctx, ts, NULL, &resumed);
		CHECK(!SSL_SESSION_has_ticket(session));
		session = visit(ctx, ts, session, &resumed);
		CHECK(!resumed);
		SSL_SESSION_free(session);
		tls_server_unref(&ts);
		SSL_CTX_free(ctx);
	}
	tear_down();
}

static void another_server_does_not_know_them(void)
{
	set_up();
	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		SSL_CTX *ctx = raw_context(ways[i].version, ways[i].options);
		struct tls_server *one = serving(3600, TLS_CLIENT_CERT_NONE),
				  *two = serving(3600, TLS_CLIENT_CERT_NONE);
		bool resumed;

		SSL_SESSION *session = visit(ctx, one, NULL, &resumed);
		session = visit(ctx, two, session, &resumed);
		CHECK(!resumed);
		SSL_SESSION_free(session);
		tls_server_unref(&one);
		tls_server_unref(&two);
		SSL_CTX_free(ctx);
	}
	tear_down();
}

/* Who was verified against a CA that is not ours any more has to be verified again. */
static void sessions_end_with_the_ca_of_clients(void)
{
	set_up();
	struct cert other = cert_make((struct cert_spec){ .cn = "other CA", .ca = true });
	for (size_t i = 0; i < 2; i++) {
		SSL_CTX *ctx = raw_context(ways[i].version, ways[i].options);
		struct errtext e = { "" };
		struct bed b;
		struct raw c;
		bool resumed;

		CERTS_WRITE("ca.pem", CERT_OF(ca));
		struct tls_server *ts = serving(3600, TLS_CLIENT_CERT_ASK);
		CHECK_INT(1, SSL_CTX_use_certificate(ctx, leaf.x));
		CHECK_INT(1, SSL_CTX_use_PrivateKey(ctx, leaf.key));
		SSL_SESSION *session = visit(ctx, ts, NULL, &resumed);
		NEED(raw_connect(&b, &c, ctx, ts, session));
		CHECK(tls_info(b.server.s)->resumed && tls_info(b.server.s)->cert_given &&
		      tls_info(b.server.s)->cert_ok);
		CHECK_SPAN("mx", tls_info(b.server.s)->common_name);
		SSL_SESSION_free(session);
		session = raw_end(&b, &c);
		CERTS_WRITE("ca.pem", CERT_OF(other));
		CHECK_INT(1, tls_server_refresh(ts, &e));
		NEED(raw_connect(&b, &c, ctx, ts, session));
		CHECK(!tls_info(b.server.s)->resumed && tls_info(b.server.s)->cert_given &&
		      !tls_info(b.server.s)->cert_ok);
		SSL_SESSION_free(session);
		SSL_SESSION_free(raw_end(&b, &c));
		tls_server_unref(&ts);
		SSL_CTX_free(ctx);
	}
	cert_free(&other);
	tear_down();
}

/* ---- the keys of tickets ----------------------------------------------------------------------------------- */

/* A handshake between two plain ends, the server with @t. */
static SSL_SESSION *shake(SSL_CTX *server_ctx, SSL_CTX *client_ctx, SSL_SESSION *session, bool *resumed_r)
{
	SSL *server = SSL_new(server_ctx), *client = SSL_new(client_ctx);
	BIO *a, *z;
	char octet;

	NEED(BIO_new_bio_pair(&a, 0, &z, 0) == 1);
	SSL_set_bio(server, a, a);
	SSL_set_bio(client, z, z);
	SSL_set_accept_state(server);
	SSL_set_connect_state(client);
	if (session)
		SSL_set_session(client, session);
	for (unsigned i = 0; i < 10; i++) {
		SSL_do_handshake(client);
		SSL_do_handshake(server);
	}
	CHECK(SSL_is_init_finished(server) && SSL_is_init_finished(client));
	SSL_read(client, &octet, 1); /* tickets */
	*resumed_r = SSL_session_reused(server) == 1;
	SSL_SESSION_free(session);
	SSL_shutdown(client);
	session = SSL_get1_session(client);
	SSL_free(server);
	SSL_free(client);
	return session;
}

static void keys_turn_and_the_older_one_is_read_once_more(void)
{
	struct tls_tickets t;
	bool resumed;

	set_up();
	for (size_t i = 0; i < 2; i++) {
		SSL_CTX *client = raw_context(ways[i].version, 0), *server = SSL_CTX_new(TLS_server_method());
		unsigned char first[TLS_TICKET_NAME_OCTETS];

		NEED(tls_tickets_init(&t, 1000) == 0);
		tls_tickets_attach(&t, server);
		SSL_CTX_use_certificate(server, leaf.x);
		SSL_CTX_use_PrivateKey(server, leaf.key);
		memcpy(first, t.keys[0].name, sizeof first);
		SSL_SESSION *session = shake(server, client, NULL, &resumed);
		CHECK_INT(0, memcmp(first, t.keys[0].name, sizeof first));
		SSL_SESSION *old = session;
		SSL_SESSION_up_ref(old);

		t.keys[0].made_s -= 1000; /* as old as a ticket may become */
		session = shake(server, client, session, &resumed);
		CHECK(resumed);
		CHECK_INT(0, memcmp(first, t.keys[1].name, sizeof first));
		CHECK(memcmp(first, t.keys[0].name, sizeof first) != 0);
		session = shake(server, client, session, &resumed); /* it was renewed */
		CHECK(resumed);

		t.keys[0].made_s -= 1000;
		t.keys[1].made_s -= 1000;
		session = shake(server, client, session, &resumed);
		CHECK(resumed);
		SSL_SESSION_free(session);
		session = shake(server, client, old, &resumed);
		CHECK(!resumed);

		/* Long nobody came: the older key has had its time, though nothing turned it. */
		t.keys[0].made_s -= 5000;
		t.keys[1].made_s -= 5000;
		session = shake(server, client, session, &resumed);
		CHECK(!resumed);
		SSL_SESSION_free(session);
		SSL_CTX_free(client);
		SSL_CTX_free(server);
		tls_tickets_deinit(&t);
	}
	tear_down();
}

/* ---- channel bindings --------------------------------------------------------------------------------------- */

static int binding(const struct stream *s, const char *type, uint8_t *out)
{
	return tls_channel_binding(s, span_of(type), out, TLS_BINDING_MAX);
}

static void both_ends_have_the_same_bindings(void)
{
	static const struct tls_connect any = { .verify = TLS_VERIFY_NONE };
	static const char *const types[] = { "tls-exporter", "tls-unique", "tls-server-end-point",
					     "tls-other" };
	static const int octets[2][4] = { { 32, -ERR_UNSUPPORTED, 32, -ERR_UNSUPPORTED },
					  { 32, 12, 32, -ERR_UNSUPPORTED } };

	set_up();
	for (unsigned old = 0; old < 2; old++) {
		const struct tls_cert one = { .cert = span_of(certs_path("leaf.pem")) };
		struct tls_server *ts =
			serve(&(struct tls_server_config){ .certs = &one,
							   .ncerts = 1,
							   .max = old ? TLS_VERSION_1_2 : TLS_VERSION_DEFAULT,
							   .security_level = -1 });
		struct tls_client *tc = connecting(NULL);
		struct bed b;

		bed_memory(&b);
		bed_shake(&b, ts, tc, &any);
		NEED(b.server.s && b.client.s);
		for (unsigned i = 0; i < 4; i++) {
			uint8_t server[TLS_BINDING_MAX] = { 0 }, client[TLS_BINDING_MAX] = { 1 };
			CHECK_INT(octets[old][i], binding(b.server.s, types[i], server));
			CHECK_INT(octets[old][i], binding(b.client.s, types[i], client));
			if (octets[old][i] > 0)
				CHECK_INT(0, memcmp(server, client, (size_t)octets[old][i]));
			CHECK_INT(octets[old][i] > 0 ? -ERR_TOOBIG : octets[old][i],
				  tls_channel_binding(b.server.s, span_of(types[i]), server, 11));
		}
		bed_end(&b);
		tls_server_unref(&ts);
		tls_client_unref(&tc);
	}
	tear_down();
}

static void bindings_of_resumed_sessions(void)
{
	unsigned char want[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	set_up();
	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		SSL_CTX *ctx = raw_context(ways[i].version, ways[i].options);
		struct tls_server *ts = serving(3600, TLS_CLIENT_CERT_NONE);
		uint8_t got[TLS_BINDING_MAX], finished[64];
		struct bed b;
		struct raw c;
		bool resumed;

		SSL_SESSION *session = visit(ctx, ts, NULL, &resumed);
		NEED(X509_digest(leaf.x, EVP_sha256(), want, &n) == 1);
		if (ways[i].survives_refresh) { /* with another certificate */
			struct cert next = cert_make((struct cert_spec){ .cn = "next", .issuer = &ca });
			struct errtext e = { "" };
			CERTS_WRITE("leaf.pem", CERT_OF(next), CERT_OF(ca), KEY_OF(next));
			CHECK_INT(1, tls_server_refresh(ts, &e));
			cert_free(&next);
		}
		NEED(raw_connect(&b, &c, ctx, ts, session));
		CHECK(tls_info(b.server.s)->resumed);
		SSL_SESSION_free(session);
		/* The certificate that the client knows is the one of the first visit. */
		const int end_point = binding(b.server.s, "tls-server-end-point", got);
		CHECK_INT(ways[i].options ? -ERR_UNSUPPORTED : (int)n, end_point);
		if (end_point > 0)
			CHECK_INT(0, memcmp(want, got, n));
		if (ways[i].version == TLS1_2_VERSION) {
			const size_t unique_n = SSL_get_peer_finished(c.ssl, finished, sizeof finished);
			CHECK_INT(unique_n, binding(b.server.s, "tls-unique", got));
			CHECK_INT(0, memcmp(finished, got, unique_n));
		}
		CHECK_INT(32, binding(b.server.s, "tls-exporter", got));
		CHECK_INT(1, SSL_export_keying_material(c.ssl, finished, 32, "EXPORTER-Channel-Binding", 24,
							NULL, 0, 1));
		CHECK_INT(0, memcmp(finished, got, 32));
		SSL_SESSION_free(raw_end(&b, &c));
		tls_server_unref(&ts);
		SSL_CTX_free(ctx);
		CERTS_WRITE("leaf.pem", CERT_OF(leaf), CERT_OF(ca), KEY_OF(leaf));
	}
	tear_down();
}

TEST_MAIN(TEST(sessions_are_resumed), TEST(no_lifetime_no_sessions), TEST(another_server_does_not_know_them),
	  TEST(sessions_end_with_the_ca_of_clients), TEST(keys_turn_and_the_older_one_is_read_once_more),
	  TEST(both_ends_have_the_same_bindings), TEST(bindings_of_resumed_sessions))
