/* test_hooks.c - what policies decide at each hook and how it is told; and nothing passes that no policy accepted. */
#include "session_bed.h"

#define REJECT(...) ((struct verdict){ .kind = VERDICT_REJECT, .rule = SPAN("some-rule"), .text = SPAN("go away"), __VA_ARGS__ })
#define IS(k)       ((struct verdict){ .kind = VERDICT_##k, .rule = SPAN("some-rule"), .text = SPAN("some text") })

static void test_refusal_explains_itself(void)
{
	struct bed b;

	bed_init(&b);
	b.hook[HOOK_RCPT].verdict = REJECT(.code = 553, .enhanced = SPAN("5.1.8"));
	bed_ehlo(&b);
	SAY(&b, "MAIL FROM:<a@b.example>\r\n", "250 ");
	SAY(&b, "RCPT TO:<c@d.example>\r\n", "553 5.1.8 go away; rule some-rule; case ");
	HAS(buf_cstr(&b.got), "; https://help.example.edu/\r\n");
	const char *log = bed_log(&b);
	HAS(log, "some-rule");
	HAS(log, "c@d.example");
	HAS(log, "a@b.example");
	HAS(log, "copier.example.edu");
	CHECK_INT(1, b.observed[OBSERVER_REFUSED]);
	SAY(&b, "DATA\r\n", "554 5.5.1 no valid recipients");
	bed_end(&b);
}

static void test_rcpt_needs_accept(void)
{
	struct bed b;

	bed_init(&b);
	bed_ehlo(&b);
	SAY(&b, "MAIL FROM:<a@b.example>\r\n", "250 ");
	b.hook[HOOK_RCPT].verdict = (struct verdict){ 0 };
	SAY(&b, "RCPT TO:<c@d.example>\r\n", "550 5.7.1 no rule lets you send to this recipient; rule not-accepted");
	SAY(&b, "RCPT TO:<postmaster>\r\n", "550 5.7.1 ");
	b.hook[HOOK_RCPT].unwanted = true;
	SAY(&b, "RCPT TO:<c@d.example>\r\n", "451 4.3.5 no policy decides about recipients here");
	b.hook[HOOK_RCPT].unwanted = false;
	b.hook[HOOK_RCPT].verdict = (struct verdict){ .kind = VERDICT_DEFER, .broken = true };
	SAY(&b, "RCPT TO:<c@d.example>\r\n", "451 4.3.0 try again later; rule policy-failed");
	b.hook[HOOK_RCPT].verdict = IS(DISCARD); /* no verdict for this hook */
	SAY(&b, "RCPT TO:<c@d.example>\r\n", "550 5.7.1 ");
	bed_accept(&b);
	SAY(&b, "RCPT TO:<postmaster>\r\n", "250 2.1.5 ");
	b.hook[HOOK_RCPT].verdict = IS(DISCONNECT);
	SAY(&b, "RCPT TO:<c@d.example>\r\n", "421 4.7.1 some text; rule some-rule");
	CHECK(b.peer.ended);
	bed_end(&b);
}

/* By default connect, HELO and MAIL are refused at RCPT; "now", and the listener's refuse_now, at once. */
static void test_refused_early(void)
{
	static const enum hook_id early[] = { HOOK_CONNECT, HOOK_HELO, HOOK_MAIL };

	for (size_t i = 0; i < ARRAY_LEN(early); i++) {
		struct bed b;
		bed_init(&b);
		b.hook[early[i]].verdict = REJECT(.code = 550);
		bed_ehlo(&b);
		SAY(&b, "MAIL FROM:<a@b.example>\r\n", "250 ");
		SAY(&b, "RCPT TO:<c@d.example>\r\n", "550 5.7.1 go away; rule some-rule");
		b.hook[early[i]].verdict = (struct verdict){ 0 };
		if (early[i] == HOOK_HELO) { /* in a transaction, which it ends; what it decided stays */
			b.hook[HOOK_HELO].verdict = REJECT(.code = 551);
			SAY(&b, "EHLO again\r\n", "250-");
			SAY(&b, "EHLO again\r\n", "250-");
		} else {
			SAY(&b, "RSET\r\n", "250 ");
		}
		SAY(&b, "MAIL FROM:<a@b.example>\r\n", "250 ");
		SAY(&b, "RCPT TO:<c@d.example>\r\n", early[i] == HOOK_MAIL ? "250 " : "550 5.7.1 go away");
		bed_end(&b);
	}
}

/* A refusal of a HELO that was said within a transaction outlives that transaction's memory. */
static void test_helo_refused_in_transaction(void)
{
	struct bed b;

	bed_init(&b);
	bed_ehlo(&b);
	bed_envelope(&b);
	b.hook[HOOK_HELO].verdict = REJECT(.code = 550);
	SAY(&b, "EHLO other\r\n", "250-");
	b.hook[HOOK_HELO].verdict = (struct verdict){ 0 };
	SAY(&b, "EHLO third\r\n", "250-");
	SAY(&b, "MAIL FROM:<a@b.example>\r\n", "250 ");
	SAY(&b, "RCPT TO:<c@d.example>\r\n", "550 5.7.1 go away; rule some-rule");
	bed_end(&b);
}

static void test_refused_now(void)
{
	struct bed b;

	bed_init(&b);
	b.hook[HOOK_CONNECT].verdict = REJECT(.now = true);
	bed_connect(&b);
	HEAR(&b, "connect", "554 5.7.1 go away; rule some-rule");
	SAY(&b, "EHLO x\r\n", "503 5.5.1 there is no service for you here"); /* RFC 5321 section 3.1 */
	SAY(&b, "QUIT\r\n", "221 ");
	CHECK(b.peer.ended);
	bed_end(&b);

	bed_init(&b);
	b.hook[HOOK_CONNECT].verdict = IS(DISCONNECT);
	bed_connect(&b);
	HEAR(&b, "connect", "421 4.7.1 some text");
	CHECK(b.peer.ended);
	bed_end(&b);

	bed_init(&b);
	b.hook[HOOK_HELO].verdict = REJECT(.now = true, .code = 501, .enhanced = SPAN("5.5.2"));
	bed_open(&b);
	SAY(&b, "EHLO a_b\r\n", "501 ");
	SAY(&b, "EHLO ab\r\n", "501 5.5.2 go away; rule some-rule");
	SAY(&b, "MAIL FROM:<a@b.example>\r\n", "503 5.5.1 say EHLO or HELO first");
	b.hook[HOOK_HELO].verdict = (struct verdict){ 0 };
	b.listener.refuse_now = true;
	SAY(&b, "EHLO ab\r\n", "250-");
	b.hook[HOOK_MAIL].verdict = REJECT(.code = 0);
	SAY(&b, "MAIL FROM:<a@b.example>\r\n", "550 5.7.1 go away");
	b.hook[HOOK_MAIL].verdict = (struct verdict){ .kind = VERDICT_DEFER, .broken = true };
	SAY(&b, "MAIL FROM:<a@b.example>\r\n", "451 4.3.0 ");
	b.hook[HOOK_MAIL].verdict = (struct verdict){ 0 };
	SAY(&b, "MAIL FROM:<a@b.example>\r\n", "250 ");
	bed_end(&b);
}

static void send_message(struct bed *b, const char *want)
{
	bed_envelope(b);
	SAY(b, "DATA\r\n", "354 ");
	SAY(b, "Subject: x\r\n\r\nx\r\n.\r\n", want);
}

static void test_message_verdicts(void)
{
	struct arena *a = arena_new(100000);
	struct envelope env;
	struct bed b;

	bed_init(&b);
	bed_ehlo(&b);
	b.hook[HOOK_MESSAGE].verdict = IS(DISCARD);
	send_message(&b, "250 2.0.0 Ok: queued as ");
	CHECK_INT(0, b.store.n);
	b.hook[HOOK_MESSAGE].verdict = IS(REJECT);
	send_message(&b, "554 5.7.1 some text; rule some-rule");
	b.hook[HOOK_MESSAGE].verdict = IS(DEFER);
	send_message(&b, "451 4.7.1 some text");
	CHECK_INT(0, b.store.n);
	b.hook[HOOK_MESSAGE].verdict = IS(HOLD);
	send_message(&b, "250 ");
	NEED(b.store.n == 1);
	CHECK_INT(0, envelope_decode(buf_span(&b.store.msg[0].meta), a, &env));
	CHECK(env.flags & ENVELOPE_HELD);
	CHECK_SPAN("some text", env.hold_reason);
	b.hook[HOOK_MESSAGE].verdict = IS(DISCONNECT);
	send_message(&b, "421 ");
	CHECK(b.peer.ended);
	CHECK_INT(0, b.store.open);
	arena_free(&a);
	bed_end(&b);
}

static void test_data_and_route(void)
{
	struct arena *a = arena_new(100000);
	struct envelope env;
	struct bed b;

	bed_init(&b);
	bed_ehlo(&b);
	bed_envelope(&b);
	b.hook[HOOK_DATA].verdict = IS(DEFER);
	SAY(&b, "DATA\r\n", "451 4.7.1 some text");
	b.hook[HOOK_DATA].verdict = (struct verdict){ 0 };
	SAY(&b, "RCPT TO:<c@example.org>\r\n", "250 ");
	SAY(&b, "RCPT TO:<d@example.net>\r\n", "250 ");
	b.hook[HOOK_ROUTE].verdict = (struct verdict){ .kind = VERDICT_ACCEPT, .route = SPAN("[mx.example]:26") };
	SAY(&b, "DATA\r\n", "354 ");
	SAY(&b, "x\r\n.\r\n", "250 ");
	CHECK_INT(2, b.hook[HOOK_ROUTE].asked); /* once a domain */
	NEED(b.store.n == 1);
	CHECK_INT(0, envelope_decode(buf_span(&b.store.msg[0].meta), a, &env));
	NEED(env.nrcpt == 3);
	for (int i = 0; i < 3; i++)
		CHECK_SPAN("[mx.example]:26", env.rcpt[i].route);
	CHECK(strstr(buf_cstr(&b.store.msg[0].octets), "\tfor <") == NULL);
	b.hook[HOOK_ROUTE].verdict = IS(REJECT);
	send_message(&b, "550 5.7.1 some text");
	CHECK_INT(1, b.store.n);
	arena_free(&a);
	bed_end(&b);
}

TEST_MAIN(TEST(test_refusal_explains_itself), TEST(test_rcpt_needs_accept), TEST(test_refused_early),
	  TEST(test_helo_refused_in_transaction), TEST(test_refused_now), TEST(test_message_verdicts), TEST(test_data_and_route))
