/* test_endings.c - how sessions end: by the client, by a deadline, by us; at every point, with everything given back. */
#include <malloc.h>

#include "session_bed.h"

static bool is_before_dot(enum hook_id id)
{
	return id == HOOK_CONNECT || id == HOOK_HELO || id == HOOK_MAIL || id == HOOK_RCPT || id == HOOK_DATA;
}

/* The client goes at each point of a dialogue, while policy is asked and while it is not. */
static void test_leave_anywhere(void)
{
	static const char *const script[] = { "EHLO x\r\n", "MAIL FROM:<a@b.example>\r\n", "RCPT TO:<c@d.example>\r\n",
					      "DATA\r\n",   "Subject: x\r\n\r\n",          "body\r\n",
					      ".\r\n",      "QUIT\r\n" };

	for (int asked = -1; asked < HOOK_MAX_; asked++) {
		for (size_t n = 0; n <= ARRAY_LEN(script); n++) {
			for (int how = 0; how < 3; how++) {
				struct bed b;
				bed_init(&b);
				if (asked >= 0)
					b.hook[asked].waits = true;
				bed_connect(&b);
				bed_run(&b);
				for (size_t i = 0; i < n; i++)
					bed_say(&b, script[i]);
				if (how == 0)
					memory_stream_reset(&b.peer, -ERR_CLOSED);
				else if (how == 1)
					memory_stream_send_eof(&b.peer);
				else
					session_close_all(&b.env);
				bed_run(&b);
				if (b.asked && how == 1)
					bed_answer(&b); /* in vain: nobody is there to hear it */
				else if (b.asked) { /* all of a message is here: it is kept */
					CHECK(asked == HOOK_MESSAGE || asked == HOOK_ROUTE);
					bed_answer(&b);
				}
				bed_run(&b);
				/* Who sends all and then its end is served to the end. */
				const bool kept = n >= 7 && (how == 1 || asked < 0 || !is_before_dot((enum hook_id)asked));
				CHECK_INT(kept, b.store.n);
				bed_end(&b);
			}
		}
	}
}

/* Devices hang up behind the dot. */
static void test_hang_up_after_data(void)
{
	struct bed b;

	bed_init(&b);
	b.store.commit_waits = true;
	bed_ehlo(&b);
	bed_envelope(&b);
	SAY(&b, "DATA\r\n", "354 ");
	SAY(&b, "x\r\n.\r\nNOOP\r\n", "");
	memory_stream_reset(&b.peer, -ERR_CLOSED);
	bed_run(&b);
	CHECK(b.s != NULL);
	session_drain_all(&b.env);
	bed_run(&b);
	bed_committed(&b, 0);
	bed_run(&b);
	CHECK_INT(1, b.observed[OBSERVER_ACCEPTED]);
	CHECK_INT(1, b.store.n);
	bed_end(&b);
}

static void test_deadlines(void)
{
	struct bed b;

	bed_init(&b);
	bed_ehlo(&b);
	SAY(&b, "NO", "");
	bed_pass(&b, 299 * SECOND);
	SAY(&b, "OP", ""); /* dripping moves nothing */
	bed_pass(&b, 2 * SECOND);
	HEAR(&b, "silence", "421 4.4.2 relay.example.edu timeout exceeded\r\n");
	CHECK(b.peer.ended);
	bed_end(&b);

	bed_init(&b);
	bed_ehlo(&b);
	bed_envelope(&b);
	SAY(&b, "DATA\r\n", "354 ");
	for (int i = 0; i < 22 && b.s; i++) {
		bed_say(&b, "x");
		bed_pass(&b, 170 * SECOND);
	}
	SAY(&b, "x", "421 4.4.2 relay.example.edu timeout exceeded: the message comes too slowly");
	bed_end(&b);

	bed_init(&b);
	b.hook[HOOK_MAIL].waits = true;
	bed_ehlo(&b);
	SAY(&b, "MAIL FROM:<a@b.example>\r\n", "");
	bed_pass(&b, 1000 * SECOND); /* ours to answer */
	CHECK(b.s != NULL);
	bed_answer(&b);
	HEAR(&b, "verdict", "250 ");
	bed_end(&b);
}

static void test_drain(void)
{
	struct bed b;

	bed_init(&b);
	bed_ehlo(&b);
	session_drain_all(&b.env);
	HEAR(&b, "drain", "421 4.3.2 relay.example.edu is shutting down");
	CHECK(b.peer.ended);
	bed_end(&b);

	bed_init(&b);
	bed_ehlo(&b);
	bed_envelope(&b);
	session_drain_all(&b.env);
	HEAR(&b, "drain", "");
	SAY(&b, "DATA\r\n", "354 ");
	SAY(&b, "x\r\n.\r\n", "250 ");
	HAS(buf_cstr(&b.got), "\r\n421 4.3.2 ");
	CHECK_INT(1, b.store.n);
	bed_end(&b);
}

static void test_early_talker(void)
{
	struct bed b;

	bed_init(&b);
	b.listener.greet_delay_us = 2 * SECOND;
	b.listener.refuse_early_talkers = true;
	bed_connect(&b);
	SAY(&b, "EHLO x\r\n", "554 5.5.0 you spoke before the greeting; rule early-talker");
	CHECK(b.peer.ended);
	bed_end(&b);

	bed_init(&b);
	b.listener.greet_delay_us = 2 * SECOND;
	bed_connect(&b);
	SAY(&b, "EHLO x\r\n", "");
	bed_pass(&b, 3 * SECOND);
	HEAR(&b, "delay", "220 relay.example.edu ESMTP Postern\r\n250-");
	bed_end(&b);
}

static void test_proxy(void)
{
	struct ip_set *set = ip_set_new();
	struct ip_net net;
	struct bed b;

	NEED(ip_net_parse(SPAN("192.0.2.0/24"), &net));
	ip_set_add(set, &net);
	bed_init(&b);
	b.listener.proxy_from = set;
	bed_connect(&b);
	HEAR(&b, "connect", "");
	SAY(&b, "PROXY TCP4 198.51.100.9 192.0.2.1 1000 25\r\n", "220 ");
	SAY(&b, "EHLO x\r\n", "250-relay.example.edu Hello x [198.51.100.9]");
	bed_end(&b);

	bed_init(&b);
	b.listener.proxy_from = set;
	bed_connect(&b);
	SAY(&b, "EHLO x\r\n", "");
	CHECK(b.peer.ended);
	bed_end(&b);

	bed_init(&b);
	b.listener.proxy_from = set;
	bed_connect(&b);
	SAY(&b, "PROXY", "");
	bed_pass(&b, 3 * SECOND);
	SAY(&b, " TCP4", "");
	bed_pass(&b, 3 * SECOND);
	HEAR(&b, "no end", "");
	CHECK(b.peer.ended);
	bed_end(&b);
	ip_set_free(&set);
}

static void test_client_limits(void)
{
	struct clients *clients = clients_new();
	struct clients_total total = { 0 };
	struct memory_peer first;
	struct bed b;

	bed_init(&b);
	b.env.clients = clients;
	b.setup.total = &total;
	b.listener.clients.per_client_max = 1;
	bed_open(&b);
	first = b.peer;
	(void)first;
	struct memory_peer second;
	struct stream *stream = memory_stream_new(b.loop, &second);
	NEED(ip_parse(SPAN("192.0.2.7"), &stream->peer.addr));
	struct session *s = b.s;
	b.s = NULL; /* the second may go without the first */
	session_start(&b.env, &b.setup, stream);
	bed_run(&b);
	CHECK(strncmp(buf_cstr(&second.output), "421 4.7.0 too many connections from your address", 47) == 0);
	CHECK(second.ended);
	memory_stream_peer_deinit(&second);
	b.s = s;
	b.gone = b.released = b.conn_gone = b.observed[OBSERVER_SESSION_CLOSED] = 0;
	bed_end(&b);
	clients_free(&clients);
}

/* What an idle session costs, its stream of TCP's size included. Under a sanitizer the numbers mean nothing. */
static void test_memory(void)
{
	enum { N = 1000, TCP_STREAM_OCTETS = 448 };
	struct memory_peer *peers = mem_alloc_array(N, sizeof *peers);
	struct bed b;

	bed_init(&b);
	bed_ehlo(&b); /* what is allocated once is there now */
	for (int i = 0; i < N; i++) {
		struct stream *stream = memory_stream_new(b.loop, &peers[i]);
		NEED(ip_parse(SPAN("192.0.2.9"), &stream->peer.addr));
		peers[i].arg = stream;
	}
	struct session *s = b.s;
	b.s = NULL;
	const size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
	for (int i = 0; i < N; i++) {
		session_start(&b.env, &b.setup, peers[i].arg);
		bed_run(&b);
		memory_stream_send(&peers[i], SPAN("EHLO copier.example.edu\r\n"));
		bed_run(&b);
		buf_free(&peers[i].output);
	}
	log_flush(&b.log);
	const size_t after = mallinfo2().uordblks + mallinfo2().hblkhd;
	const size_t each = (after - before) / N + TCP_STREAM_OCTETS;
	printf("  an idle session after EHLO: %zu octets\n", each);
#ifndef __SANITIZE_ADDRESS__
	CHECK(each <= 6 * 1024);
#endif
	b.s = NULL;
	for (int i = 0; i < N; i++)
		memory_stream_peer_deinit(&peers[i]);
	bed_run(&b);
	free(peers);
	CHECK_INT(1, b.env.count);
	b.s = s;
	b.gone = b.released = b.conn_gone = b.observed[OBSERVER_SESSION_CLOSED] = 0;
	bed_end(&b);
}

TEST_MAIN(TEST(test_leave_anywhere), TEST(test_hang_up_after_data), TEST(test_deadlines), TEST(test_drain),
	  TEST(test_early_talker), TEST(test_proxy), TEST(test_client_limits), TEST(test_memory))
