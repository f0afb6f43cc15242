#include "spool/envelope.h"

#include "base/err.h"
#include "test.h"

static struct envelope sample(struct envelope_rcpt *rcpt)
{
	struct envelope env = {
		.flags = ENVELOPE_SMTPUTF8 | ENVELOPE_RET_HDRS,
		.arrived_at_us = 1700000000123456,
		.deliver_by_us = -5,
		.sender = SPAN("Lab.7@devices.example"),
		.envid = SPAN("QQ+2B314159"),
		.session = SPAN("k3m9x2p7wq4z"),
		.device = SPAN("copier-14"),
		.listener = SPAN("relay"),
		.helo = SPAN("copier"),
		.client_name = SPAN("copier14.example"),
		.protocol = SPAN("ESMTP"),
		.vars = SPAN("{\"ticket\":7}"),
		.hold_reason = SPAN("first mail of a new device"),
		.message_id = SPAN("<1@copier>"),
		.subject = SPAN("scan"),
		.rcpt = rcpt,
		.nrcpt = 2,
	};

	rcpt[0] = (struct envelope_rcpt){ .address = SPAN("\"a@b\"@dest.example"),
					  .domain = SPAN("dest.example"),
					  .orcpt = SPAN("rfc822;a+40b@dest.example"),
					  .route = SPAN("[192.0.2.9]:2525"),
					  .notify = NOTIFY_FAILURE | NOTIFY_DELAY };
	rcpt[1] = (struct envelope_rcpt){ .address = SPAN("postmaster") };
	CHECK(ip_parse(SPAN("2001:db8::25"), &env.client));
	return env;
}

static void what_is_written_is_read(void)
{
	struct envelope_rcpt rcpt[2];
	const struct envelope in = sample(rcpt);
	struct envelope out;
	struct buf b = BUF_INIT(ENVELOPE_OCTETS_MAX);
	struct arena *a = arena_new(4096);

	NEED(envelope_encode(&in, &b));
	NEED(envelope_decode(buf_span(&b), a, &out) == 0);
	CHECK_INT(in.flags, out.flags);
	CHECK_INT(in.arrived_at_us, out.arrived_at_us);
	CHECK_INT(in.deliver_by_us, out.deliver_by_us);
	CHECK(span_eq(in.sender, out.sender));
	CHECK(span_eq(in.envid, out.envid));
	CHECK(span_eq(in.session, out.session));
	CHECK(span_eq(in.device, out.device));
	CHECK(span_eq(in.listener, out.listener));
	CHECK(span_eq(in.helo, out.helo));
	CHECK(span_eq(in.client_name, out.client_name));
	CHECK(span_eq(in.protocol, out.protocol));
	CHECK(span_eq(in.vars, out.vars));
	CHECK(span_eq(in.hold_reason, out.hold_reason));
	CHECK(span_eq(in.message_id, out.message_id));
	CHECK(span_eq(in.subject, out.subject));
	CHECK(ip_eq(&in.client, &out.client));
	CHECK_INT(2, out.nrcpt);
	for (unsigned i = 0; i < 2; i++) {
		CHECK(span_eq(in.rcpt[i].address, out.rcpt[i].address));
		CHECK(span_eq(in.rcpt[i].domain, out.rcpt[i].domain));
		CHECK(span_eq(in.rcpt[i].orcpt, out.rcpt[i].orcpt));
		CHECK(span_eq(in.rcpt[i].route, out.rcpt[i].route));
		CHECK_INT(in.rcpt[i].notify, out.rcpt[i].notify);
	}
	arena_free(&a);
	buf_free(&b);
}

/* What is on disks must never change its meaning: these octets are those of schema/spool-v1.md. */
static void the_octets_are_those_of_the_format(void)
{
	struct envelope_rcpt rcpt = { .address = SPAN("a@b"), .notify = NOTIFY_NEVER };
	const struct envelope env = {
		.flags = ENVELOPE_8BITMIME, .sender = SPAN("s@t"), .rcpt = &rcpt, .nrcpt = 1
	};
	static const char want[] = "\x01\x04\0\0\x02\0\0\0"
				   "\x04\x03\0\0s@t"
				   "\x20\x0c\0\0"
				   "\x01\x03\0\0a@b"
				   "\x04\x01\0\0\x01";
	struct buf b = BUF_INIT(1000);

	NEED(envelope_encode(&env, &b));
	CHECK_INT(sizeof want - 1, b.n);
	CHECK(b.n == sizeof want - 1 && memcmp(b.p, want, b.n) == 0);
	buf_free(&b);
}

static void a_cut_is_never_taken_for_the_whole(void)
{
	struct envelope_rcpt rcpt[2];
	const struct envelope in = sample(rcpt);
	struct buf b = BUF_INIT(ENVELOPE_OCTETS_MAX);
	struct arena *a = arena_new(4096);

	NEED(envelope_encode(&in, &b));
	for (size_t n = 0; n < b.n; n++) {
		struct envelope out = { .nrcpt = 77 };
		arena_reset(a);
		const int err = envelope_decode(span_first(buf_span(&b), n), a, &out);
		CHECK(err == -ERR_CORRUPT ? out.nrcpt == 77 : err == 0 && out.nrcpt < 2);
	}
	arena_free(&a);
	buf_free(&b);
}

static void unknown_fields_are_skipped_and_doubled_ones_refused(void)
{
	static const struct {
		const char *name;
		struct span in;
		int want;
	} cases[] = {
		{ "nothing at all", SPAN_INIT(""), 0 },
		{ "unknown field", SPAN_INIT("\xc8\x02\0\0xy\x04\x01\0\0s"), 0 },
		{ "unknown field of a recipient", SPAN_INIT("\x20\x0a\0\0\x01\x01\0\0a\xc8\x01\0\0x"), 0 },
		{ "tag 0", SPAN_INIT("\0\x01\0\0x"), -ERR_CORRUPT },
		{ "sender twice", SPAN_INIT("\x04\x01\0\0s\x04\x01\0\0s"), -ERR_CORRUPT },
		{ "flags of 3 octets", SPAN_INIT("\x01\x03\0\0abc"), -ERR_CORRUPT },
		{ "time of 4 octets", SPAN_INIT("\x02\x04\0\0abcd"), -ERR_CORRUPT },
		{ "address of 5 octets", SPAN_INIT("\x0c\x05\0\0abcde"), -ERR_CORRUPT },
		{ "length over the end", SPAN_INIT("\x04\xff\xff\xffs"), -ERR_CORRUPT },
		{ "recipient without address", SPAN_INIT("\x20\x05\0\0\x04\x01\0\0\x01"), -ERR_CORRUPT },
	};
	struct arena *a = arena_new(4096);

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct envelope out;
		const int got = envelope_decode(cases[i].in, a, &out);
		if (got != cases[i].want)
			printf("%s:\n", cases[i].name);
		CHECK_INT(cases[i].want, got);
	}
	arena_free(&a);
}

static void what_is_too_much_is_refused(void)
{
	static struct envelope_rcpt many[ENVELOPE_RCPT_MAX + 1];
	struct envelope env = { .rcpt = many, .nrcpt = ENVELOPE_RCPT_MAX };
	struct envelope out;
	struct buf b = BUF_INIT(2 * ENVELOPE_OCTETS_MAX), small = BUF_INIT(20);
	struct arena *tiny = arena_new(1000), *roomy = arena_new(4 * 1024 * 1024);

	for (unsigned i = 0; i <= ENVELOPE_RCPT_MAX; i++)
		many[i].address = SPAN("someone@dest.example");
	CHECK(!envelope_encode(&env, &small));
	NEED(envelope_encode(&env, &b));
	CHECK_INT(-ERR_TOOBIG, envelope_decode(buf_span(&b), tiny, &out));
	CHECK_INT(0, envelope_decode(buf_span(&b), roomy, &out));
	CHECK_INT(ENVELOPE_RCPT_MAX, out.nrcpt);

	buf_add(&b, "\x20\x05\0\0\x01\x01\0\0a", 9); /* one recipient more */
	CHECK_INT(-ERR_CORRUPT, envelope_decode(buf_span(&b), roomy, &out));
	env.nrcpt++;
	buf_reset(&b);
	CHECK(!envelope_encode(&env, &b));
	buf_free(&b);
	buf_free(&small);
	arena_free(&tiny);
	arena_free(&roomy);
}

TEST_MAIN(TEST(what_is_written_is_read), TEST(the_octets_are_those_of_the_format),
	  TEST(a_cut_is_never_taken_for_the_whole), TEST(unknown_fields_are_skipped_and_doubled_ones_refused),
	  TEST(what_is_too_much_is_refused))
