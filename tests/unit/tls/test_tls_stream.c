#include "tls/tls_stream.h"

#include <time.h>

#include "tls_bed.h"

/* ---- what most of them need: a CA and one certificate ------------------------------------------------------ */

static struct cert ca, leaf;
static const char *ca_file, *leaf_file;
static struct tls_server *ts;
static struct tls_client *tc;

static void set_up(void)
{
	certs_init();
	ca = cert_make((struct cert_spec){ .cn = "Test CA", .ca = true });
	leaf = cert_make((struct cert_spec){ .cn = "mx", .alt = "DNS:mx.example", .issuer = &ca });
	ca_file = CERTS_WRITE("ca.pem", CERT_OF(ca));
	leaf_file = CERTS_WRITE("leaf.pem", CERT_OF(leaf), KEY_OF(leaf));
	ts = serve_pair(leaf_file, NULL);
	tc = connecting(ca_file);
}

static void tear_down(void)
{
	tls_server_unref(&ts);
	tls_client_unref(&tc);
	cert_free(&leaf);
	cert_free(&ca);
	certs_deinit();
}

static const struct span mx_name = SPAN_INIT("mx.example");

static struct tls_connect verified(void)
{
	return (struct tls_connect){
		.sni = mx_name, .verify = TLS_VERIFY_NAME, .names = &mx_name, .nnames = 1
	};
}

static void open_bed(struct bed *b, bool tcp)
{
	const struct tls_connect how = verified();

	(tcp ? bed_tcp : bed_memory)(b);
	bed_shake(b, ts, tc, &how);
	CHECK_STR("", b->server.h.why);
	CHECK_STR("", b->client.h.why);
	NEED(b->server.s && b->client.s);
}

static void fill(struct buf *text, size_t n)
{
	*text = BUF_INIT(n);
	for (size_t i = 0; i < n; i++)
		buf_add_char(text, (char)(i * 7 + i / 1000));
}

/* ---- the tests -------------------------------------------------------------------------------------------- */

static void check_dialogue(bool tcp)
{
	struct bed b;

	set_up();
	open_bed(&b, tcp);
	CHECK_INT(0, stream_write(b.server.s, SPAN("220 ready\r\n")));
	CHECK_INT(11, stream_pending(b.server.s));
	TURNS(&b, b.client.got.n == 11);
	CHECK_SPAN("220 ready\r\n", buf_span(&b.client.got));
	CHECK_INT(11, b.client.s->bytes_in);
	CHECK_INT(11, b.server.s->bytes_out);
	CHECK_INT(0, stream_write(b.client.s, SPAN("EHLO ")));
	CHECK_INT(0, stream_write_ref(b.client.s, SPAN("client\r\n"), end_released, &b.client));
	TURNS(&b, b.server.got.n == 13);
	CHECK_SPAN("EHLO client\r\n", buf_span(&b.server.got));
	CHECK_INT(1, b.client.released);
	CHECK_INT(1, b.server.readable); /* one record for what one turn wrote */
	stream_close(b.client.s, true);
	TURNS(&b, b.server.eof);
	CHECK(b.server.eof);
	CHECK(!tls_info(b.server.s)->truncated);
	stream_close(b.server.s, true);
	TURNS(&b, !b.server.s && !b.client.s);
	CHECK_INT(0, b.server.err);
	CHECK_INT(0, b.client.err);
	bed_end(&b);
	tear_down();
}

static void dialogue_over_memory(void)
{
	check_dialogue(false);
}

static void dialogue_over_tcp(void)
{
	check_dialogue(true);
}

static void info_says_how_it_is_protected(void)
{
	struct bed b;

	set_up();
	open_bed(&b, false);
	const struct tls_info *server = tls_info(b.server.s), *client = tls_info(b.client.s);
	NEED(server && client);
	CHECK_SPAN("TLSv1.3", server->version);
	CHECK_SPAN("TLS_AES_256_GCM_SHA384", server->cipher);
	CHECK_INT(256, server->bits);
	CHECK_INT(256, server->cipher_bits);
	CHECK_SPAN("mx.example", server->sni);
	CHECK(!server->cert_given && !server->resumed && !server->truncated);
	CHECK_SPAN("TLSv1.3", client->version);
	CHECK(client->cert_given && client->cert_ok && !client->dane);
	CHECK_SPAN("CN=mx", client->subject);
	CHECK_SPAN("CN=Test CA", client->issuer);
	CHECK_SPAN("mx", client->common_name);
	CHECK_SPAN("mx.example", client->dns_name);
	CHECK_SPAN("", client->email);
	CHECK_INT(64, client->fingerprint.n);
	const int64_t left_s = client->cert_until_s - (int64_t)time(NULL);
	CHECK(left_s > 3649 * CERT_DAY_S && left_s <= 3650 * CERT_DAY_S);
	bed_end(&b);
	tear_down();
}

static void other_streams_have_no_info(void)
{
	struct bed b;
	uint8_t out[TLS_BINDING_MAX];

	bed_memory(&b);
	CHECK(tls_info(b.lower_server) == NULL);
	CHECK_INT(-ERR_UNSUPPORTED,
		  tls_channel_binding(b.lower_server, SPAN("tls-exporter"), out, sizeof out));
	bed_end(&b);
}

static void octets_one_by_one(void)
{
	struct bed b;
	const struct tls_connect how = verified();

	set_up();
	bed_memory(&b);
	b.cut = 1;
	bed_shake(&b, ts, tc, &how);
	CHECK_INT(0, b.server.status);
	NEED(b.server.s && b.client.s);
	CHECK_INT(0, stream_write(b.client.s, SPAN("NOOP\r\n")));
	TURNS(&b, b.server.got.n == 6);
	CHECK_SPAN("NOOP\r\n", buf_span(&b.server.got));
	bed_end(&b);
	tear_down();
}

static void check_bulk(bool tcp)
{
	struct bed b;
	struct buf text;
	size_t at = 0, pieces = 0;

	set_up();
	fill(&text, 3 * 1024 * 1024 + 77);
	open_bed(&b, tcp);
	while (b.server.got.n < text.n) {
		if (at < text.n && stream_pending(b.client.s) <= STREAM_OUT_HIGH) {
			const struct span part = span_first(span_skip(buf_span(&text), at), 300000);
			if (pieces++ % 2)
				CHECK_INT(0, stream_write(b.client.s, part));
			else
				CHECK_INT(0, stream_write_ref(b.client.s, part, end_released, &b.client));
			at += part.n;
		}
		const size_t before = b.server.got.n;
		TURNS(&b, b.server.got.n > before ||
				  (at < text.n && stream_pending(b.client.s) <= STREAM_OUT_HIGH));
		if (b.server.got.n == before && at == text.n) {
			FAIL("stands still at %zu of %zu", before, text.n);
			break;
		}
	}
	CHECK(span_eq(buf_span(&text), buf_span(&b.server.got)));
	CHECK_INT((pieces + 1) / 2, b.client.released);
	CHECK(b.client.writable > 0);
	CHECK_INT(text.n, b.server.s->bytes_in);
	bed_end(&b);
	buf_free(&text);
	tear_down();
}

static void bulk_over_memory(void)
{
	check_bulk(false);
}

static void bulk_over_tcp(void)
{
	check_bulk(true);
}

static void a_paused_owner_is_not_called_and_nothing_piles_up(void)
{
	struct bed b;
	struct buf text;

	set_up();
	fill(&text, 900 * 1024);
	open_bed(&b, true);
	b.server.paused = true;
	stream_want_input(b.server.s, false);
	CHECK_INT(0, stream_write(b.client.s, buf_span(&text)));
	bed_turns(&b, 50);
	CHECK_INT(0, b.server.readable);
	CHECK_INT(0, b.server.s->bytes_in);
	b.server.paused = false;
	b.server.leave = true; /* listens, but takes nothing: input stops by itself */
	stream_want_input(b.server.s, true);
	bed_turns(&b, 100);
	CHECK(b.server.readable > 0);
	CHECK_INT(64 * 1024, stream_input(b.server.s).n);
	const unsigned readable = b.server.readable;
	bed_turns(&b, 20);
	CHECK_INT(readable, b.server.readable);
	b.server.leave = false;
	stream_want_input(b.server.s, true);
	TURNS(&b, b.server.got.n == text.n);
	CHECK(span_eq(buf_span(&text), buf_span(&b.server.got)));
	CHECK_INT(0, stream_input(b.server.s).n);
	bed_end(&b);
	buf_free(&text);
	tear_down();
}

static void half_a_line_waits_without_calls(void)
{
	struct bed b;

	set_up();
	open_bed(&b, false);
	b.server.leave = true; /* and asks for input whenever it returns */
	CHECK_INT(0, stream_write(b.client.s, SPAN("EH")));
	bed_turns(&b, 20);
	CHECK_INT(1, b.server.readable);
	CHECK_INT(0, stream_write(b.client.s, SPAN("LO")));
	bed_turns(&b, 20);
	CHECK_INT(2, b.server.readable);
	CHECK_SPAN("EHLO", stream_input(b.server.s));
	b.server.leave = false;
	b.server.consume_max = 1;
	stream_want_input(b.server.s, true);
	bed_turns(&b, 20);
	CHECK_SPAN("EHLO", buf_span(&b.server.got));
	CHECK_INT(6, b.server.readable);
	bed_end(&b);
	tear_down();
}

static void stalled_peer_makes_output_wait(void)
{
	static char text[STREAM_OUT_HIGH];
	struct bed b;

	set_up();
	open_bed(&b, false);
	memory_stream_stall(&b.wire_server, true);
	CHECK_INT(0, stream_write(b.server.s, span_make(text, sizeof text)));
	CHECK_INT(0, stream_write_ref(b.server.s, SPAN("x"), end_released, &b.server));
	bed_turns(&b, 10);
	CHECK(stream_pending(b.server.s) > sizeof text);
	CHECK(stream_pending(b.server.s) < sizeof text + 4096); /* what TLS adds */
	CHECK_INT(0, b.server.released);
	CHECK_INT(-ERR_TOOBIG, stream_write(b.server.s, span_make(text, STREAM_OUT_MAX)));
	CHECK_INT(0, b.server.writable);
	memory_stream_stall(&b.wire_server, false);
	TURNS(&b, b.client.got.n == sizeof text + 1);
	bed_turns(&b, 2);
	CHECK_INT(sizeof text + 1, b.client.got.n);
	CHECK_INT(1, b.server.writable);
	CHECK_INT(1, b.server.released);
	CHECK_INT(0, stream_pending(b.server.s));
	bed_end(&b);
	tear_down();
}

static void graceful_close_sends_first_and_is_bounded(void)
{
	struct bed b;

	set_up();
	open_bed(&b, false);
	CHECK_INT(0, stream_write(b.server.s, SPAN("221 bye\r\n")));
	stream_close(b.server.s, true);
	CHECK_INT(-ERR_CLOSED, stream_write(b.server.s, SPAN("x")));
	CHECK_INT(0, b.server.closed);
	TURNS(&b, b.client.eof);
	CHECK_SPAN("221 bye\r\n", buf_span(&b.client.got));
	CHECK(!tls_info(b.client.s)->truncated);
	CHECK_INT(1, b.server.closed);
	CHECK_INT(0, b.server.err);
	bed_end(&b);

	static char text[500 * 1000];
	open_bed(&b, false);
	memory_stream_stall(&b.wire_server, true);
	CHECK_INT(0, stream_write_ref(b.server.s, span_make(text, sizeof text), end_released, &b.server));
	stream_close(b.server.s, true);
	bed_turns(&b, 5);
	CHECK_INT(0, b.server.closed);
	loop_clock_advance(b.l, SECONDS(6));
	bed_turns(&b, 5);
	CHECK_INT(1, b.server.closed);
	CHECK_INT(-ERR_TIMEOUT, b.server.err);
	CHECK_INT(1, b.server.released);
	bed_end(&b);
	tear_down();
}

static void a_cut_connection_is_told_from_an_end(void)
{
	struct bed b;

	set_up();
	open_bed(&b, false);
	CHECK_INT(0, stream_write(b.client.s, SPAN("DATA\r\n")));
	bed_turns(&b, 5);
	memory_stream_send_eof(&b.wire_server);
	TURNS(&b, b.server.eof);
	CHECK(b.server.eof);
	CHECK(tls_info(b.server.s)->truncated);
	/* We may still answer. */
	CHECK_INT(0, stream_write(b.server.s, SPAN("421 so\r\n")));
	TURNS(&b, b.client.got.n == 8);
	CHECK_SPAN("421 so\r\n", buf_span(&b.client.got));
	bed_end(&b);

	open_bed(&b, false);
	memory_stream_reset(&b.wire_server, -ERR_IO);
	TURNS(&b, b.server.closed);
	CHECK_INT(-ERR_IO, b.server.err);
	bed_end(&b);
	tear_down();
}

static void a_broken_record_breaks_the_stream(void)
{
	struct bed b;

	set_up();
	open_bed(&b, false);
	memory_stream_send(&b.wire_server, SPAN("\x17\x03\x03\x00\x20"
						"01234567890123456789012345678901"));
	TURNS(&b, b.server.closed);
	CHECK_INT(1, b.server.closed);
	CHECK_INT(-ERR_IO, b.server.err);
	CHECK_STR("decryption failed or bad record mac", b.server.broken);
	CHECK_INT(0, b.server.readable);
	TURNS(&b, b.client.closed || b.client.eof); /* the alert came */
	CHECK(b.client.closed == 1 && b.client.err == -ERR_IO);
	bed_end(&b);
	tear_down();
}

static void close_within_readable(void)
{
	struct bed b;

	set_up();
	open_bed(&b, false);
	b.server.close_on_readable = true;
	CHECK_INT(0, stream_write(b.client.s, SPAN("one")));
	bed_turns(&b, 3);
	CHECK_INT(0, stream_write(b.client.s, SPAN("two")));
	TURNS(&b, b.server.closed);
	CHECK_INT(1, b.server.readable);
	CHECK_SPAN("one", buf_span(&b.server.got));
	bed_end(&b);
	tear_down();
}

static void deadline_comes_once(void)
{
	struct bed b;

	set_up();
	open_bed(&b, false);
	stream_set_deadline(b.server.s, SECONDS(300));
	loop_clock_advance(b.l, SECONDS(300));
	bed_turns(&b, 3);
	CHECK_INT(1, b.server.deadline);
	stream_set_deadline(b.server.s, SECONDS(300));
	stream_set_deadline(b.server.s, 0);
	loop_clock_advance(b.l, SECONDS(300));
	bed_turns(&b, 3);
	CHECK_INT(1, b.server.deadline);
	CHECK_INT(0, b.server.closed);
	bed_end(&b);
	tear_down();
}

TEST_MAIN(TEST(dialogue_over_memory), TEST(dialogue_over_tcp), TEST(info_says_how_it_is_protected),
	  TEST(other_streams_have_no_info), TEST(octets_one_by_one), TEST(bulk_over_memory),
	  TEST(bulk_over_tcp), TEST(a_paused_owner_is_not_called_and_nothing_piles_up),
	  TEST(half_a_line_waits_without_calls), TEST(stalled_peer_makes_output_wait),
	  TEST(graceful_close_sends_first_and_is_bounded), TEST(a_cut_connection_is_told_from_an_end),
	  TEST(a_broken_record_breaks_the_stream), TEST(close_within_readable), TEST(deadline_comes_once))
