/* test_link_auth.c - logging in to a server: when, with which credential, and what becomes of mail when that does not work. */
#include "delivery_bed.h"

#define EHLO_PLAIN "250-mx.example\r\n250-AUTH PLAIN LOGIN\r\n250 PIPELINING\r\n"
#define EHLO_LOGIN "250-mx.example\r\n250-AUTH LOGIN\r\n250 PIPELINING\r\n"

static struct auth_credential relay;

static void start(struct bed *b, const char *ehlo)
{
	bed_start(b);
	relay = (struct auth_credential){ .user = "relay" };
	bed_route->auth = &relay;
	bed_route->auth_unverified = true; /* these servers have no TLS; see test_link_tls.c */
	b->sv.ehlo = ehlo;
}

static void end(struct bed *b)
{
	bed_end(b);
	CHECK_INT(0, relay.alive); /* every exchange was wiped */
}

static bool seen(const struct buf *b, const char *what)
{
	return span_find(buf_span(b), span_of(what)) >= 0;
}

static void test_logs_in(void)
{
	struct bed b;

	start(&b, EHLO_PLAIN);
	bed_mail(&b, 1);
	bed_until(&b, 1);
	CHECK_INT(QUEUE_DELIVERED, b.told[0].status);
	CHECK(seen(&b.sv.said, "EHLO relay.example.edu\nAUTH PLAIN AHNlY3JldA==\nMAIL FROM"));
	bed_mail(&b, 1); /* once for a connection */
	bed_until(&b, 2);
	CHECK_INT(1, relay.started);
	CHECK_INT(1, relay.accepted);
	end(&b);

	start(&b, EHLO_LOGIN);
	b.sv.auth = "334 VXNlcm5hbWU6\r\n";
	bed_mail(&b, 1);
	bed_until(&b, 1);
	CHECK_INT(QUEUE_DELIVERED, b.told[0].status);
	CHECK(seen(&b.sv.said, "AUTH LOGIN\nc2VjcmV0\nMAIL FROM"));
	CHECK_INT(1, relay.stepped);
	end(&b);
}

/* The token comes late; meanwhile nothing is sent. */
static void test_waits_for_a_token(void)
{
	struct bed b;

	start(&b, EHLO_PLAIN);
	relay.later = true;
	bed_mail(&b, 1);
	for (int i = 0; i < 2000 && !relay.waits; i++) {
		bed_ready(&b);
		bed_spin(&b, 1);
	}
	NEED(relay.waits != NULL);
	loop_clock_advance(b.loop, 100 * SECOND);
	bed_spin(&b, 20);
	CHECK(!seen(&b.sv.said, "AUTH"));
	op_complete(relay.waits, 0);
	bed_until(&b, 1);
	CHECK_INT(QUEUE_DELIVERED, b.told[0].status);
	end(&b);

	/* It never comes. */
	start(&b, EHLO_PLAIN);
	relay.later = true;
	bed_mail(&b, 1);
	for (int i = 0; i < 2000 && !relay.waits; i++) {
		bed_ready(&b);
		bed_spin(&b, 1);
	}
	loop_clock_advance(b.loop, 200 * SECOND);
	bed_until(&b, 1);
	CHECK_INT(QUEUE_DEFERRED, b.told[0].status);
	CHECK_STR("no credential came in time", b.told[0].text);
	end(&b);

	/* The server goes meanwhile; what comes then is nobody's. */
	start(&b, EHLO_PLAIN);
	relay.later = true;
	bed_mail(&b, 1);
	for (int i = 0; i < 2000 && !relay.waits; i++) {
		bed_ready(&b);
		bed_spin(&b, 1);
	}
	stream_write(b.sv.conn[0]->s, SPAN("421 too slow\r\n"));
	bed_until(&b, 1);
	CHECK_INT(QUEUE_DEFERRED, b.told[0].status);
	CHECK_INT(421, b.told[0].code);
	end(&b);
}

static void test_refused(void)
{
	static const struct {
		const char *reply;
		int code;
		const char *enhanced;
		bool alarm;
	} rows[] = { { "535 5.7.8 no\r\n", 535, "4.7.8", true },
		     { "534 5.7.9 too weak\r\n", 534, "4.7.8", true },
		     { "454 4.7.0 not now\r\n", 454, "4.7.0", false },
		     { NULL, 0, "4.4.1", false } };

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct bed b;
		start(&b, EHLO_PLAIN);
		b.sv.auth = rows[i].reply;
		bed_mail(&b, 2);
		bed_until(&b, 2);
		for (int k = 0; k < 2; k++) { /* never returned at once: the sender can do nothing about it */
			CHECK_INT(QUEUE_DEFERRED, b.told[k].status);
			CHECK_INT(rows[i].code, b.told[k].code);
			CHECK_STR(rows[i].enhanced, b.told[k].enhanced);
		}
		CHECK_INT(1, b.dest_failed);
		CHECK_INT(rows[i].code ? 1 : 0, relay.refused);
		CHECK(!seen(&b.sv.said, "MAIL"));
		log_flush(&b.log);
		CHECK_INT(rows[i].alarm, seen(&b.lines, "upstream_auth_failed"));
		CHECK(!seen(&b.lines, "AHNlY3JldA=="));
		if (rows[i].alarm)
			CHECK(seen(&b.lines, "\"user\":\"relay\"") && seen(&b.lines, "\"mech\":\"PLAIN\""));
		end(&b);
	}
}

/* What we cannot do ourselves. */
static void test_gives_up(void)
{
	struct bed b;

	start(&b, EHLO_PLAIN);
	relay.fails = true;
	bed_mail(&b, 1);
	bed_until(&b, 1);
	CHECK_INT(QUEUE_DEFERRED, b.told[0].status);
	CHECK_STR("the token endpoint says no", b.told[0].text);
	log_flush(&b.log);
	CHECK(seen(&b.lines, "upstream_auth_failed"));
	end(&b);

	start(&b, "250-mx.example\r\n250 PIPELINING\r\n");
	bed_mail(&b, 1);
	bed_until(&b, 1);
	CHECK_INT(QUEUE_DEFERRED, b.told[0].status);
	CHECK_INT(0, relay.started);
	CHECK(!seen(&b.sv.said, "MAIL"));
	end(&b);

	start(&b, EHLO_PLAIN); /* SCRAM: a server that does not know the password either */
	relay.proof_fails = true;
	bed_mail(&b, 1);
	bed_until(&b, 1);
	CHECK_INT(QUEUE_DEFERRED, b.told[0].status);
	CHECK_STR("the server did not prove itself", b.told[0].text);
	CHECK(!seen(&b.sv.said, "MAIL"));
	end(&b);
}

/* A server that is not known: without the operator's word it gets neither password nor mail. */
static void test_unverified(void)
{
	struct bed b;

	start(&b, EHLO_PLAIN);
	bed_route->auth_unverified = false;
	bed_mail(&b, 1);
	bed_until(&b, 1);
	CHECK_INT(QUEUE_DEFERRED, b.told[0].status);
	CHECK_STR("4.7.4", b.told[0].enhanced);
	CHECK_INT(0, relay.started);
	CHECK(!seen(&b.sv.said, "AUTH") && !seen(&b.sv.said, "MAIL"));
	end(&b);
}

/* Each sender's domain has its own; who has none gets the route's. */
static void test_by_sender(void)
{
	static struct auth_credential other;
	static const struct route_login logins[] = { { SPAN_INIT("a.example"), &other } };
	static const struct {
		const char *variant;
		struct auth_credential *used, *unused;
	} rows[] = { { "as a.example", &other, &relay }, { "", &relay, &other } };

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct bed b;
		start(&b, EHLO_PLAIN);
		other = (struct auth_credential){ .user = "other" };
		bed_route->by_sender = logins;
		bed_route->nby_sender = 1;
		b.dest.variant = span_of(rows[i].variant);
		bed_mail(&b, 1);
		bed_until(&b, 1);
		CHECK_INT(QUEUE_DELIVERED, b.told[0].status);
		CHECK_INT(1, rows[i].used->started);
		CHECK_INT(0, rows[i].unused->started);
		end(&b);
		CHECK_INT(0, other.alive);
	}
}

static void test_stop_anywhere(void)
{
	for (int turns = 0; turns < 40; turns += 2) {
		struct bed b;
		start(&b, EHLO_LOGIN);
		b.sv.auth = "334 VXNlcm5hbWU6\r\n";
		relay.later = turns % 4 == 0;
		bed_mail(&b, 1);
		bed_ready(&b);
		for (int i = 0; i < turns; i++)
			loop_run_once(b.loop, false);
		delivery_stop(b.d, SECOND);
		for (int i = 0; i < 20 && delivery_stats(b.d).busy; i++) {
			loop_clock_advance(b.loop, SECOND);
			bed_spin(&b, 2);
		}
		end(&b);
		CHECK(!b.job[0].out);
	}
}

TEST_MAIN(TEST(test_logs_in), TEST(test_waits_for_a_token), TEST(test_refused), TEST(test_gives_up),
	  TEST(test_unverified), TEST(test_by_sender), TEST(test_stop_anywhere))
