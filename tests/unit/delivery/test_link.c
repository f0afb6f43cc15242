/* test_link.c - jobs on connections: what servers answer, where they fail, and what becomes of the job and the connection. */
#include "delivery_bed.h"

static void test_delivers(void)
{
	struct bed b;

	bed_start(&b);
	bed_mail(&b, 2);
	bed_until(&b, 2);
	CHECK_INT(QUEUE_DELIVERED, b.told[0].status);
	CHECK_INT(250, b.told[1].code);
	CHECK(strstr(b.told[0].remote, "[127.0.0.1]:") != NULL);
	CHECK_STR("Subject: x\r\n\r\nhello\r\n..dot\r\n.\r\n", buf_cstr(&b.sv.content));
	CHECK(strstr(buf_cstr(&b.sv.said), "EHLO relay.example.edu\nMAIL FROM:<a@example.edu> SIZE=") !=
	      NULL);
	/* The next one takes the same connection. */
	bed_mail(&b, 1);
	bed_until(&b, 3);
	CHECK_INT(1, b.sv.nconns);
	CHECK_INT(2, b.sv.messages);
	bed_end(&b);
	CHECK_INT(0, b.dest_failed);
}

static void test_refusals(void)
{
	static const struct {
		size_t at;
		const char *reply;
		enum queue_status status;
		int code;
		bool dest_failed;
	} cases[] = {
		{ offsetof(struct server, greeting), "554 5.7.1 no\r\n", QUEUE_DEFERRED, 554, true },
		{ offsetof(struct server, greeting), "421 later\r\n", QUEUE_DEFERRED, 421, true },
		{ offsetof(struct server, greeting), NULL, QUEUE_DEFERRED, 0, true },
		{ offsetof(struct server, greeting), "garbage\r\n", QUEUE_DEFERRED, 0, true },
		{ offsetof(struct server, ehlo), "421 later\r\n", QUEUE_DEFERRED, 421, true },
		{ offsetof(struct server, ehlo), NULL, QUEUE_DEFERRED, 0, true },
		{ offsetof(struct server, ehlo), "502 what\r\n", QUEUE_DELIVERED, 250, false },
		{ offsetof(struct server, mail), "550 5.1.8 bad sender\r\n", QUEUE_BOUNCED, 550, false },
		{ offsetof(struct server, mail), "451 later\r\n", QUEUE_DEFERRED, 451, false },
		{ offsetof(struct server, mail), "421 later\r\n", QUEUE_DEFERRED, 421, true },
		{ offsetof(struct server, mail), NULL, QUEUE_DEFERRED, 0, true },
		{ offsetof(struct server, rcpt), "550 5.1.1 nobody\r\n", QUEUE_BOUNCED, 550, false },
		{ offsetof(struct server, rcpt), "450 grey\r\n", QUEUE_DEFERRED, 450, false },
		/* It drops its replies with the connection: nothing was heard about the job. */
		{ offsetof(struct server, rcpt), NULL, QUEUE_DEFERRED, 0, true },
		{ offsetof(struct server, data), "554 no\r\n", QUEUE_BOUNCED, 554, false },
		{ offsetof(struct server, data), "451 no\r\n", QUEUE_DEFERRED, 451, false },
		{ offsetof(struct server, data), NULL, QUEUE_DEFERRED, 0, true },
		{ offsetof(struct server, end), "554 spam\r\n", QUEUE_BOUNCED, 554, false },
		{ offsetof(struct server, end), "451 full\r\n", QUEUE_DEFERRED, 451, false },
		{ offsetof(struct server, end), NULL, QUEUE_DEFERRED, 0, false },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct bed b;
		bed_start(&b);
		memcpy((char *)&b.sv + cases[i].at, &cases[i].reply, sizeof cases[i].reply);
		bed_mail(&b, 1);
		bed_until(&b, 1);
		if (b.told[0].status != cases[i].status || b.told[0].code != cases[i].code ||
		    (b.dest_failed > 0) != cases[i].dest_failed)
			printf("  case %zu: status %d code %d text %s failed %u\n", i, (int)b.told[0].status,
			       b.told[0].code, b.told[0].text, b.dest_failed);
		CHECK_INT(cases[i].status, b.told[0].status);
		CHECK_INT(cases[i].code, b.told[0].code);
		CHECK_INT(cases[i].dest_failed, b.dest_failed > 0);
		bed_end(&b);
	}
}

static void test_some_recipients(void)
{
	struct bed b;

	bed_start(&b);
	b.sv.rcpt2 = "550 5.1.1 nobody\r\n";
	b.sv.ehlo = "250 mx.example\r\n"; /* no PIPELINING */
	bed_mail(&b, 3);
	bed_until(&b, 3);
	CHECK_INT(QUEUE_DELIVERED, b.told[0].status);
	CHECK_INT(QUEUE_BOUNCED, b.told[1].status);
	CHECK_STR("5.1.1", b.told[2].enhanced);
	/* The connection is good for the next. */
	b.sv.rcpt2 = NULL;
	bed_mail(&b, 1);
	bed_until(&b, 4);
	CHECK_INT(1, b.sv.nconns);
	bed_end(&b);
}

/* The best MX is dead: the next one is tried; names that lead nowhere bounce or wait. */
static void test_mx(void)
{
	struct bed b;

	bed_start(&b);
	free((void *)(uintptr_t)b.dest.next_hop.p);
	b.dest.next_hop = SPAN("example.org");
	bed_mail(&b, 1);
	bed_until(&b, 1);
	CHECK_INT(QUEUE_DELIVERED, b.told[0].status);
	CHECK(strncmp(b.told[0].remote, "live.example.org[127.0.0.1]:", 28) == 0);
	b.sv.quit = "221 x\r\n";
	bed_spin(&b, 5);
	b.dest.next_hop.p = NULL;
	bed_end(&b);

	static const struct {
		const char *domain;
		enum queue_status status;
		const char *enhanced;
	} names[] = { { "gone.example", QUEUE_BOUNCED, "5.1.2" },
		      { "down.example", QUEUE_DEFERRED, "4.4.3" },
		      { "[127.0.0.1]", QUEUE_BOUNCED, "5.4.6" }, /* mail to ourselves, as a literal */
		      { "[nohost.example]:25", QUEUE_DEFERRED, "4.4.4" } };
	struct ip_set *ours = ip_set_new();
	struct ip_net net;
	NEED(ip_net_parse(SPAN("127.0.0.1/32"), &net));
	ip_set_add(ours, &net);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		bed_start(&b);
		b.cfg.self.addrs = ours;
		delivery_configure(b.d, &b.cfg, &(struct hooks){ NULL, NULL });
		free((void *)(uintptr_t)b.dest.next_hop.p);
		b.dest.next_hop = span_of(names[i].domain);
		bed_mail(&b, 1);
		bed_until(&b, 1);
		CHECK_INT(names[i].status, b.told[0].status);
		CHECK_STR(names[i].enhanced, b.told[0].enhanced);
		b.dest.next_hop.p = NULL;
		bed_end(&b);
	}
	ip_set_free(&ours);
}

static void fill(char *p, size_t n)
{
	memset(p, 'x', n);
	for (size_t i = 70; i + 2 <= n; i += 72)
		memcpy(p + i, "\r\n", 2);
	memcpy(p + n - 2, "\r\n", 2);
}

static void test_large(void)
{
	enum { OCTETS = 3 << 20 };
	char *body = mem_alloc(OCTETS);
	struct bed b;

	fill(body, OCTETS);
	for (int chunking = 0; chunking < 2; chunking++) {
		bed_start(&b);
		if (chunking)
			b.sv.ehlo = "250-mx\r\n250-PIPELINING\r\n250 CHUNKING\r\n";
		b.sv.slow = !chunking;
		bed_job(&b, 1, SPAN("Subject: x\r\n\r\n"), span_make(body, OCTETS), true);
		bed_until(&b, 1);
		CHECK_INT(QUEUE_DELIVERED, b.told[0].status);
		const size_t head = strlen("Subject: x\r\n\r\n");
		CHECK_INT(head + OCTETS + (chunking ? 0 : 3), b.sv.content.n);
		CHECK(b.sv.content.n >= head + OCTETS && memcmp(b.sv.content.p + head, body, OCTETS) == 0);
		bed_end(&b);
	}
	free(body);
}

/* The server goes while the body is being read from disk: the reader's memory stays until it has answered. */
static void test_lost_while_reading(void)
{
	enum { OCTETS = 1 << 20 };
	char *body = mem_alloc(OCTETS);
	struct bed b;

	fill(body, OCTETS);
	bed_start(&b);
	b.read_waits = true;
	bed_job(&b, 1, SPAN("Subject: x\r\n\r\n"), span_make(body, OCTETS), true);
	for (int i = 0; i < 2000 && !b.read; i++) {
		bed_ready(&b);
		bed_spin(&b, 1);
	}
	NEED(b.read != NULL);
	stream_write(b.sv.conn[0]->s, SPAN("554 5.7.1 I have seen enough\r\n"));
	bed_until(&b, 1);
	CHECK_INT(QUEUE_BOUNCED, b.told[0].status);
	bed_end(&b);

	bed_start(&b);
	b.read_waits = true;
	bed_job(&b, 1, SPAN("Subject: x\r\n\r\n"), span_make(body, OCTETS), true);
	b.read = NULL;
	for (int i = 0; i < 2000 && !b.read; i++) {
		bed_ready(&b);
		bed_spin(&b, 1);
	}
	NEED(b.read != NULL);
	stream_close(b.sv.conn[0]->s, false);
	bed_until(&b, 1);
	CHECK_INT(QUEUE_DEFERRED, b.told[0].status);
	bed_end(&b);
	free(body);
}

/* An idle connection that the server has closed does the next job no harm. */
static void test_idle_closed(void)
{
	struct bed b;

	bed_start(&b);
	bed_mail(&b, 1);
	bed_until(&b, 1);
	stream_write(b.sv.conn[0]->s, SPAN("421 idle for too long\r\n"));
	stream_close(b.sv.conn[0]->s, true);
	struct queue_job *j = bed_mail(&b, 1);
	j->load = true; /* it is read back meanwhile */
	b.load_busy = 2;
	bed_ready(&b);
	bed_spin(&b, 20);
	for (int i = 0; i < 3; i++) {
		loop_clock_advance(b.loop, SECOND);
		bed_spin(&b, 10);
	}
	bed_until(&b, 2);
	CHECK_INT(QUEUE_DELIVERED, b.told[1].status);
	CHECK_INT(2, b.sv.nconns);
	bed_end(&b);
}

/* No memory for the message now: the link waits and asks again, it does not spin. */
static void test_load_busy(void)
{
	struct bed b;

	bed_start(&b);
	bed_mail(&b, 1)->load = true;
	b.load_busy = 3;
	bed_ready(&b);
	bed_spin(&b, 50);
	CHECK_INT(2, b.load_busy);
	CHECK_INT(1, b.conns);
	for (int i = 0; i < 4; i++) {
		loop_clock_advance(b.loop, SECOND);
		bed_spin(&b, 5);
	}
	bed_until(&b, 1);
	CHECK_INT(QUEUE_DELIVERED, b.told[0].status);
	bed_end(&b);
}

/* links_max: an idle connection gives way, and the queue hears that there is room. */
static void test_links_max(void)
{
	struct bed b;

	bed_start(&b);
	b.cfg.links_max = 1;
	delivery_configure(b.d, &b.cfg, &(struct hooks){ NULL, NULL });
	bed_mail(&b, 1);
	bed_until(&b, 1);
	struct queue_dest other = b.dest;
	other.pool = NULL;
	bed_mail(&b, 1)->ready = false;
	b.ops.ready(b.ops.arg, &other);
	bed_spin(&b, 100);
	CHECK_INT(1, b.pokes);
	CHECK_INT(1, b.sv.closed);
	b.ops.dest_gone(b.ops.arg, &other);
	bed_end(&b);
}

static void test_per_connection(void)
{
	struct bed b;

	bed_start(&b);
	b.dest.limits.messages_per_connection_max = 1;
	bed_mail(&b, 1);
	bed_until(&b, 1);
	bed_spin(&b, 50);
	CHECK(strstr(buf_cstr(&b.sv.said), "QUIT\n") != NULL);
	CHECK_INT(0, b.conns);
	bed_end(&b);
}

/* Stopped at each point: the job is given back or its end is told, and nothing is left behind. */
static void test_stop_anywhere(void)
{
	for (int turns = 0; turns < 40; turns += 2) {
		struct bed b;
		bed_start(&b);
		bed_mail(&b, 1);
		bed_mail(&b, 1)->load = true;
		b.load_busy = 1;
		bed_ready(&b);
		for (int i = 0; i < turns; i++)
			loop_run_once(b.loop, false);
		bed_end(&b);
		for (unsigned i = 0; i < b.njobs; i++)
			CHECK(!b.job[i].out);
	}
}

TEST_MAIN(TEST(test_delivers), TEST(test_refusals), TEST(test_some_recipients), TEST(test_mx),
	  TEST(test_large), TEST(test_lost_while_reading), TEST(test_idle_closed), TEST(test_load_busy),
	  TEST(test_links_max), TEST(test_per_connection), TEST(test_stop_anywhere))
