#include "tls_bed.h"

static struct cert leaf;
static struct tls_server *ts;
static struct tls_client *tc;
static const struct tls_connect any = { .verify = TLS_VERIFY_NONE };

static void set_up(void)
{
	certs_init();
	leaf = cert_make((struct cert_spec){ .cn = "mx", .alt = "DNS:mx.example" });
	const char *file = CERTS_WRITE("leaf.pem", CERT_OF(leaf), KEY_OF(leaf));
	ts = serve_pair(file, NULL);
	tc = connecting(file);
}

static void tear_down(void)
{
	tls_server_unref(&ts);
	tls_client_unref(&tc);
	cert_free(&leaf);
	certs_deinit();
}

/* A ClientHello as the wire has it: @version in record and message, the cipher suites, and an extension or none. */
static void hello(struct buf *out, unsigned version, const uint8_t *suites, size_t n, struct span extensions)
{
	struct buf body = BUF_INIT(4096);

	buf_add_char(&body, 3);
	buf_add_char(&body, (char)version);
	for (unsigned i = 0; i < 32; i++)
		buf_add_char(&body, (char)i); /* random */
	buf_add_char(&body, 0);               /* no session */
	buf_add_char(&body, (char)(n >> 8));
	buf_add_char(&body, (char)n);
	buf_add(&body, suites, n);
	buf_add(&body, "\1\0", 2); /* no compression */
	if (extensions.n) {
		buf_add_char(&body, (char)(extensions.n >> 8));
		buf_add_char(&body, (char)extensions.n);
		buf_add_span(&body, extensions);
	}
	buf_add(out, "\x16\x03\x01", 3);
	buf_add_char(out, (char)((body.n + 4) >> 8));
	buf_add_char(out, (char)(body.n + 4));
	buf_add(out, "\1\0", 2);
	buf_add_char(out, (char)(body.n >> 8));
	buf_add_char(out, (char)body.n);
	buf_add_span(out, buf_span(&body));
	buf_free(&body);
}

/* What the server makes of these octets. */
static void give(struct bed *b, struct span octets, bool then_end)
{
	bed_memory(b);
	b->stuck = true;
	memory_stream_send(&b->wire_server, octets);
	bed_accept(b, ts);
	if (then_end)
		memory_stream_send_eof(&b->wire_server);
	for (unsigned i = 0; i < 20; i++)
		bed_turn(b);
}

static void an_old_client_is_told_of_by_name(void)
{
	/* What Stanford's example of 2010 has, and its friends. */
	static const uint8_t suites[] = {
		0, 4, 0, 5, 0, 10, 0, 255, 0xc0, 0x11, 0x7a, 0x7a, 0xee, 0xee, 0, 9
	};
	struct buf octets = BUF_INIT(4096);
	struct bed b;

	set_up();
	hello(&octets, 1, suites, sizeof suites, (struct span){ 0 });
	give(&b, buf_span(&octets), false);
	CHECK_INT(1, b.server.done);
	CHECK_INT(-ERR_UNSUPPORTED, b.server.status);
	CHECK_INT(TLS_FAULT_NOTHING_SHARED, b.server.h.fault);
	CHECK_STR("TLSv1.0; RC4-MD5, RC4-SHA, DES-CBC3-SHA, ECDHE-RSA-RC4-SHA, 0xeeee, DES-CBC-SHA",
		  b.server.h.offered);
	CHECK_STR(
		"unsupported protocol; the client offered TLSv1.0; RC4-MD5, RC4-SHA, DES-CBC3-SHA, ECDHE-RSA-RC4-SHA, "
		"0xeeee, DES-CBC-SHA",
		b.server.h.why);
	/* It was told: a fatal alert, protocol_version. */
	CHECK(b.wire_server.output.n == 7 &&
	      memcmp(b.wire_server.output.p, "\x15\x03\x01\x00\x02\x02\x46", 7) == 0);
	bed_end(&b);
	buf_reset(&octets);
	hello(&octets, 3, suites, sizeof suites, SPAN("\x00\x2b\x00\x05\x04\x4a\x4a\x03\x03"));
	give(&b, buf_span(&octets), false);
	CHECK_INT(-ERR_UNSUPPORTED, b.server.status);
	CHECK_STR("TLSv1.2; RC4-MD5, RC4-SHA, DES-CBC3-SHA, ECDHE-RSA-RC4-SHA, 0xeeee, DES-CBC-SHA",
		  b.server.h.offered);
	CHECK(strstr(b.server.h.why, "no shared cipher; the client offered TLSv1.2; RC4-MD5") ==
	      b.server.h.why);
	bed_end(&b);
	buf_free(&octets);
	tear_down();
}

static void a_long_offer_is_cut(void)
{
	uint8_t suites[400];
	struct buf octets = BUF_INIT(4096);
	struct bed b;

	set_up();
	for (unsigned i = 0; i < sizeof suites; i++)
		suites[i] = i % 2 ? (uint8_t)i : 0xee;
	hello(&octets, 3, suites, sizeof suites, (struct span){ 0 });
	give(&b, buf_span(&octets), false);
	CHECK_INT(-ERR_UNSUPPORTED, b.server.status);
	const struct span offered = span_of(b.server.h.offered);
	CHECK(offered.n < TLS_WHY_MAX && span_starts(offered, SPAN("TLSv1.2; 0xee01, 0xee03, ")));
	CHECK(span_ends(offered, SPAN(", ...")));
	bed_end(&b);
	buf_free(&octets);
	tear_down();
}

static void what_is_not_tls_is_called_so(void)
{
	static const struct {
		const char *octets;
		const char *why;
	} cases[] = {
		{ "EHLO client.example\r\n", "what the peer sent is not TLS: wrong version number" },
		{ "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "what the peer sent is not TLS: http request" },
	};

	set_up();
	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		struct bed b;
		give(&b, span_of(cases[i].octets), false);
		CHECK_INT(1, b.server.done);
		CHECK_INT(-ERR_IO, b.server.status);
		CHECK_INT(TLS_FAULT_NOT_TLS, b.server.h.fault);
		CHECK_STR(cases[i].why, b.server.h.why);
		CHECK_STR("", b.server.h.offered);
		bed_end(&b);
	}
	tear_down();
}

static void a_peer_that_goes_away(void)
{
	struct bed b;

	set_up();
	give(&b, SPAN("\x16\x03\x01"), true);
	CHECK_INT(-ERR_CLOSED, b.server.status);
	CHECK_INT(TLS_FAULT_CLOSED, b.server.h.fault);
	CHECK_STR("the peer closed the connection during the handshake", b.server.h.why);
	bed_end(&b);

	bed_memory(&b);
	bed_accept(&b, ts);
	memory_stream_reset(&b.wire_server, -ERR_IO);
	bed_turns(&b, 3);
	CHECK_INT(1, b.server.done);
	CHECK_INT(-ERR_IO, b.server.status);
	CHECK_STR("the connection was lost during the handshake: input/output error", b.server.h.why);
	bed_end(&b);
	tear_down();
}

static void the_deadline_and_a_cancel(void)
{
	struct bed b;

	set_up();
	bed_memory(&b);
	b.stuck = true;
	bed_accept(&b, ts);
	bed_connect(&b, tc, &any);
	bed_turns(&b, 3);
	CHECK_INT(0, b.server.done);
	loop_clock_advance(b.l, SECONDS(31));
	bed_turns(&b, 3);
	CHECK_INT(-ERR_TIMEOUT, b.server.status);
	CHECK_STR("the handshake took too long", b.server.h.why);
	CHECK_INT(-ERR_TIMEOUT, b.client.status);
	bed_end(&b);

	bed_memory(&b);
	bed_accept(&b, ts);
	op_cancel(&b.server.h.op);
	CHECK_INT(0, b.server.done);
	bed_turns(&b, 2);
	CHECK_INT(1, b.server.done);
	CHECK_INT(-ERR_CANCELED, b.server.status);
	bed_end(&b);

	bed_memory(&b);
	bed_connect(&b, tc, &any);
	scope_close(&b.client.scope);
	bed_turns(&b, 2);
	CHECK_INT(1, b.client.done);
	CHECK_INT(-ERR_CANCELED, b.client.status);
	/* Into a closed scope nothing starts, and the stream stays ours. */
	CHECK_INT(-ERR_CANCELED,
		  tls_accept_start(&b.server.h, &b.client.scope, b.lower_server, ts, SECONDS(1)));
	bed_end(&b);
	tear_down();
}

/* The connection breaks in the very turn in which the handshake is over: `done` comes first, then `closed`. */
static void broken_before_its_owner_was_told(void)
{
	struct bed b;

	set_up();
	bed_memory(&b);
	bed_accept(&b, ts);
	bed_connect(&b, tc, &any);
	for (unsigned i = 0; i < 100 && !b.server.h.stream_r; i++)
		bed_turn(&b);
	bed_end(&b);

	for (unsigned turns = 0; turns < 12; turns++) {
		bed_memory(&b);
		bed_accept(&b, ts);
		bed_connect(&b, tc, &any);
		bed_turns(&b, turns);
		memory_stream_reset(&b.wire_server, -ERR_IO);
		memory_stream_reset(&b.wire_client, -ERR_IO);
		bed_turns(&b, 4);
		CHECK_INT(1, b.server.done);
		CHECK_INT(b.server.status == 0, b.server.closed);
		CHECK_INT(b.client.status == 0, b.client.closed);
		bed_end(&b);
	}
	tear_down();
}

/* The lower stream is full when the handshake begins (replies that the peer did not read), and breaks: what it gives back must not
 * wake who is gone. */
static void full_below_and_then_broken(void)
{
	static char replies[STREAM_OUT_HIGH + 1];
	struct bed b;

	set_up();
	bed_memory(&b);
	bed_connect(&b, tc, &any);
	bed_turns(&b, 3);
	memory_stream_stall(&b.wire_server, true);
	CHECK_INT(0, stream_write(b.lower_server, span_make(replies, sizeof replies)));
	bed_accept(&b, ts);
	bed_turns(&b, 3);
	CHECK_INT(0, b.server.done);
	memory_stream_reset(&b.wire_server, -ERR_IO);
	bed_turns(&b, 3);
	CHECK_INT(1, b.server.done);
	CHECK_INT(-ERR_IO, b.server.status);
	bed_end(&b);
	tear_down();
}

/* The same, but it gets through: the peer throws the replies away and shakes hands. */
static void full_below_and_then_read(void)
{
	static char replies[STREAM_OUT_HIGH + 1];
	struct bed b;

	set_up();
	bed_memory(&b);
	bed_connect(&b, tc, &any);
	bed_turns(&b, 3);
	memory_stream_stall(&b.wire_server, true);
	CHECK_INT(0, stream_write(b.lower_server, span_make(replies, sizeof replies)));
	bed_accept(&b, ts);
	bed_turns(&b, 3);
	b.stuck = true;
	memory_stream_stall(&b.wire_server, false);
	bed_turns(&b, 5);
	CHECK(b.wire_server.output.n > sizeof replies);
	buf_consume(&b.wire_server.output, sizeof replies);
	b.stuck = false;
	TURNS(&b, b.server.done && b.client.done);
	CHECK_INT(0, b.server.status);
	CHECK_INT(0, b.client.status);
	bed_end(&b);
	tear_down();
}

static void drop_when_done(struct op *op)
{
	struct end *e = container_of(container_of(op, struct tls_handshake, op), struct end, h);

	e->done++;
	if (op->status == 0)
		stream_close(e->h.stream_r, false); /* nobody wants it any more: it frees itself */
}

static void a_stream_that_nobody_takes(void)
{
	struct bed b;

	set_up();
	bed_memory(&b);
	b.server.h.op.done = drop_when_done;
	bed_accept(&b, ts);
	bed_connect(&b, tc, &any);
	TURNS(&b, b.client.closed || b.client.eof);
	CHECK_INT(1, b.server.done);
	CHECK(b.client.eof);
	bed_end(&b);
	tear_down();
}

static void what_comes_with_the_handshake_stays(void)
{
	struct bed b;

	set_up();
	bed_memory(&b);
	bed_connect(&b, tc, &any);
	bed_turns(&b, 3);
	bed_accept(&b, ts); /* the ClientHello is there already */
	TURNS(&b, b.client.done);
	/* TLS 1.3: our Finished and this arrive at the server at once */
	CHECK_INT(0, stream_write(b.client.s, SPAN("EHLO early\r\n")));
	TURNS(&b, b.server.got.n == 12);
	CHECK_INT(1, b.server.done);
	CHECK_SPAN("EHLO early\r\n", buf_span(&b.server.got));
	bed_end(&b);
	tear_down();
}

static void a_peer_that_sends_without_end(void)
{
	/* A ClientHello that says it has 65,793 octets, one in each record: 300,000 of them on the wire. */
	struct buf octets = BUF_INIT(1024 * 1024);
	struct bed b;

	set_up();
	for (unsigned i = 0; i < 50000; i++)
		buf_add(&octets, "\x16\x03\x01\x00\x01\x01", 6); /* one octet in each record */
	give(&b, buf_span(&octets), false);
	CHECK_INT(1, b.server.done);
	CHECK_INT(-ERR_IO, b.server.status);
	CHECK_STR("more than a handshake needs was sent", b.server.h.why);
	bed_end(&b);
	buf_free(&octets);
	tear_down();
}

static const struct tls_cert *pair_of(const char *file)
{
	static struct tls_cert pair;

	pair = (struct tls_cert){ .cert = span_of(file) };
	return &pair;
}

/* ---- versions --------------------------------------------------------------------------------------------- */

struct match {
	enum tls_version server_min, server_max, client_min;
	int server_level, client_level;
	const char *version; /* NULL: fails */
	const char *why;
};

static void versions_meet_or_not(void)
{
	static const struct match cases[] = {
		{ TLS_VERSION_DEFAULT, TLS_VERSION_DEFAULT, TLS_VERSION_DEFAULT, -1, -1, "TLSv1.3", NULL },
		{ TLS_VERSION_DEFAULT, TLS_VERSION_1_2, TLS_VERSION_DEFAULT, -1, -1, "TLSv1.2", NULL },
		{ TLS_VERSION_1_0, TLS_VERSION_1_0, TLS_VERSION_1_0, 0, 0, "TLSv1", NULL },
		{ TLS_VERSION_1_0, TLS_VERSION_1_1, TLS_VERSION_1_0, 0, 0, "TLSv1.1", NULL },
		{ TLS_VERSION_1_0, TLS_VERSION_DEFAULT, TLS_VERSION_DEFAULT, 0, -1, "TLSv1.3", NULL },
		{ TLS_VERSION_1_0, TLS_VERSION_1_1, TLS_VERSION_DEFAULT, 0, -1, NULL,
		  "unsupported protocol" },
		{ TLS_VERSION_DEFAULT, TLS_VERSION_1_2, TLS_VERSION_1_3, -1, -1, NULL,
		  "unsupported protocol" },
	};

	set_up();
	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		const struct match *m = &cases[i];
		const struct tls_server_config sc = { .certs = pair_of(certs_path("leaf.pem")),
						      .ncerts = 1,
						      .min = m->server_min,
						      .max = m->server_max,
						      .security_level = m->server_level };
		const struct tls_client_config cc = { .min = m->client_min,
						      .security_level = m->client_level };
		struct tls_server *server = serve(&sc);
		struct tls_client *client = NULL;
		struct errtext e = { "" };
		struct bed b;

		NEED(tls_client_new(&cc, &client, &e) == 0);
		bed_memory(&b);
		bed_shake(&b, server, client, &any);
		if (m->version && b.server.s && b.client.s) {
			CHECK_SPAN(m->version, tls_info(b.server.s)->version);
			CHECK_SPAN(m->version, tls_info(b.client.s)->version);
			CHECK_INT(0, stream_write(b.client.s, SPAN("NOOP\r\n")));
			TURNS(&b, b.server.got.n == 6);
			CHECK_SPAN("NOOP\r\n", buf_span(&b.server.got));
		} else if (m->version) {
			FAIL("case %u: %s; %s", i, b.server.h.why, b.client.h.why);
		} else {
			CHECK_INT(-ERR_UNSUPPORTED, b.server.status);
			CHECK(strstr(b.server.h.why, m->why) == b.server.h.why);
			CHECK_INT(-ERR_REFUSED, b.client.status);
			CHECK(strstr(b.client.h.why, "the peer refused: ") == b.client.h.why);
		}
		bed_end(&b);
		tls_server_unref(&server);
		tls_client_unref(&client);
	}
	tear_down();
}

TEST_MAIN(TEST(an_old_client_is_told_of_by_name), TEST(a_long_offer_is_cut),
	  TEST(what_is_not_tls_is_called_so), TEST(a_peer_that_goes_away), TEST(the_deadline_and_a_cancel),
	  TEST(broken_before_its_owner_was_told), TEST(full_below_and_then_broken),
	  TEST(full_below_and_then_read), TEST(a_stream_that_nobody_takes),
	  TEST(what_comes_with_the_handshake_stays), TEST(a_peer_that_sends_without_end),
	  TEST(versions_meet_or_not))
