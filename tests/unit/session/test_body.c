/* test_body.c - the content of DATA and BDAT: what is kept, what is refused and when, and waiting for room. */
#include "session_bed.h"

static void begin(struct bed *b)
{
	bed_init(b);
	bed_ehlo(b);
	bed_envelope(b);
	SAY(b, "DATA\r\n", "354 ");
}

/* What stands behind our Received field. */
static struct span content(const struct bed *b, unsigned i)
{
	const struct span all = buf_span(&b->store.msg[i].octets);
	const char *for_line = strstr(all.p, "\tfor <");
	const char *end = for_line ? strstr(for_line, "\r\n") : NULL;

	return end ? span_skip(all, (size_t)(end + 2 - all.p)) : (struct span){ NULL, 0 };
}

static void test_shapes(void)
{
	static const struct {
		const char *say, *kept;
	} shapes[] = {
		{ ".\r\n", "\r\n" },
		{ "\r\n.\r\n", "\r\n" },
		{ "\r\nbody only\r\n.\r\n", "\r\nbody only\r\n" },
		{ "no header here\r\n.\r\n", "\r\nno header here\r\n" },
		{ "Subject: x\r\n.\r\n", "Subject: x\r\n\r\n" },
		{ "Subject: x\r\nno blank line\r\n.\r\n", "Subject: x\r\n\r\nno blank line\r\n" },
		{ "Return-Path: <x@y>\r\nSubject: x\r\n\r\n..\r\n...\r\n.\r\n", "Subject: x\r\n\r\n.\r\n..\r\n" },
	};

	for (size_t i = 0; i < ARRAY_LEN(shapes); i++) {
		struct bed b;
		begin(&b);
		SAY(&b, shapes[i].say, "250 2.0.0 Ok: queued as ");
		NEED(b.store.n == 1);
		buf_cstr(&b.store.msg[0].octets);
		CHECK_SPAN(shapes[i].kept, content(&b, 0));
		SAY(&b, "NOOP\r\n", "250 ");
		bed_end(&b);
	}
}

/* Nothing but CRLF.CRLF ends a message, and a message with bare CR or LF is not taken from a stranger. */
static void test_smuggling(void)
{
	static const char *const ends[] = { "\n.\n", "\n.\r\n", "\r.\r", "\r\n.\n", "\r\n.\r", "\r.\r\n", "\r\r\n.\r\r\n" };

	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		struct bed b;
		begin(&b);
		SAY(&b, "Subject: x\r\n\r\nhi", "");
		SAY(&b, ends[i], "");
		SAY(&b, "MAIL FROM:<forged@b.example>\r\nRCPT TO:<x@y.example>\r\nDATA\r\nforged\r\n", "");
		SAY(&b, "\r\n.\r\n", "550 5.5.2 the message has a CR or LF that is not part of a CRLF; rule bare-newline");
		CHECK_INT(0, b.store.n);
		SAY(&b, "NOOP\r\n", "250 2.0.0 Ok\r\n");
		bed_end(&b);
	}
}

static void test_refused_content(void)
{
	struct bed b;
	char line[3100];

	begin(&b);
	CHECK(strncmp(bed_say_span(&b, SPAN("a\0b\r\n.\r\n")), "550 5.6.0 the message has a NUL octet", 37) == 0);
	bed_envelope(&b);
	SAY(&b, "DATA\r\n", "354 ");
	memset(line, 'x', sizeof line);
	memcpy(line + 3000, "\r\n.\r\n", 6);
	SAY(&b, line, "554 5.6.0 a line of the message is too long");
	bed_envelope(&b);
	SAY(&b, "DATA\r\n", "354 ");
	for (int i = 0; i < 40; i++)
		bed_say(&b, "Received: from x by y\r\n");
	SAY(&b, ".\r\n", "554 5.4.6 too many hops");
	bed_envelope(&b);
	SAY(&b, "DATA\r\n", "354 ");
	for (int i = 0; i < 3; i++)
		bed_say(&b, "Received: from x by relay.example.edu (Postern) with SMTP id 1; date\r\n");
	SAY(&b, ".\r\n", "554 5.4.6 too many hops");
	CHECK_INT(0, b.store.n);
	CHECK_INT(0, b.store.open);
	bed_end(&b);
}

static void send_many(struct bed *b, const char *line, size_t octets)
{
	char block[8192];
	size_t n = 0;

	while (n + strlen(line) < sizeof block) {
		memcpy(block + n, line, strlen(line));
		n += strlen(line);
	}
	for (size_t sent = 0; sent < octets; sent += n) {
		memory_stream_send(&b->peer, span_make(block, n));
		bed_run(b);
	}
}

static void test_limits(void)
{
	struct bed b;

	begin(&b);
	bed_say(&b, "Subject: x\r\n\r\n");
	send_many(&b, "0123456789\r\n", 3 * 1024 * 1024);
	CHECK_INT(0, b.store.open); /* given up at once */
	SAY(&b, ".\r\n", "552 5.3.4 message exceeds the size limit; rule message-size");
	bed_envelope(&b);
	SAY(&b, "DATA\r\n", "354 ");
	send_many(&b, "X-Header: 0123456789\r\n", 80 * 1024);
	SAY(&b, ".\r\n", "552 5.3.4 the header section is too large; rule header-size");
	/* A section that just fits, with a body behind it in the same piece. */
	bed_envelope(&b);
	SAY(&b, "DATA\r\n", "354 ");
	send_many(&b, "X-Header: 0123456789 0123456789 0123456789 0123456789\r\n", 50 * 1024);
	bed_say(&b, "\r\n");
	send_many(&b, "body\r\n", 200 * 1024);
	SAY(&b, ".\r\n", "250 ");
	CHECK_INT(1, b.store.n);
	CHECK(b.store.msg[0].octets.n > 250 * 1024);
	/* No header section at all: what is gathered until that is known is body. */
	bed_envelope(&b);
	SAY(&b, "DATA\r\n", "354 ");
	send_many(&b, "just text\r\n", 200 * 1024);
	SAY(&b, ".\r\n", "250 ");
	bed_end(&b);
}

static void test_room(void)
{
	struct bed b;
	unsigned waits = 0;

	begin(&b);
	b.store.again_after = 100000;
	bed_say(&b, "Subject: x\r\n\r\n");
	for (int i = 0; i < 64; i++) {
		char block[16384];
		memset(block, 'a', sizeof block);
		for (size_t k = 62; k < sizeof block; k += 64)
			memcpy(block + k, "\r\n", 2);
		memory_stream_send(&b.peer, span_make(block, sizeof block));
	}
	memory_stream_send(&b.peer, SPAN(".\r\nNOOP\r\n"));
	bed_run(&b);
	while (b.store.waiting_room) {
		waits++;
		bed_room(&b);
		bed_run(&b);
	}
	CHECK(waits > 0);
	HEAR(&b, "a megabyte", "250 2.0.0 Ok: queued as ");
	HAS(buf_cstr(&b.got), "\r\n250 2.0.0 Ok\r\n");
	CHECK_INT(64 * 16384, content(&b, 0).n - strlen("Subject: x\r\n\r\n"));

	/* Room that never comes: the message fails at last, and the reply comes at its end. */
	bed_envelope(&b);
	SAY(&b, "DATA\r\n", "354 ");
	b.store.again_after = 1;
	SAY(&b, "\r\nx\r\nx\r\n", "");
	NEED(b.store.waiting_room != NULL);
	bed_pass(&b, 181 * SECOND);
	CHECK(b.store.waiting_room == NULL);
	SAY(&b, "more\r\n.\r\n", "452 4.3.1 insufficient system storage");
	CHECK_INT(0, b.store.open);

	/* The client goes while we wait for room. */
	bed_envelope(&b);
	SAY(&b, "DATA\r\n", "354 ");
	SAY(&b, "\r\nx\r\nx\r\n", "");
	NEED(b.store.waiting_room != NULL);
	bed_close(&b);
	CHECK_INT(0, b.store.open);
	bed_end(&b);
}

static void test_store_fails(void)
{
	struct bed b;

	bed_init(&b);
	bed_ehlo(&b);
	bed_envelope(&b);
	b.store.begin_error = -ERR_NOSPACE;
	SAY(&b, "DATA\r\n", "452 4.3.1 insufficient system storage; try again later; rule storage");
	b.store.begin_error = 0;
	SAY(&b, "DATA\r\n", "354 "); /* the transaction is still there */
	b.store.body_error = -ERR_IO;
	SAY(&b, "\r\nx\r\n.\r\n", "452 4.3.1 ");
	b.store.body_error = 0;
	bed_envelope(&b);
	SAY(&b, "DATA\r\n", "354 ");
	b.store.commit_status = -ERR_IO;
	SAY(&b, "\r\nx\r\n.\r\n", "452 4.3.1 ");
	bed_envelope(&b);
	SAY(&b, "DATA\r\n", "354 ");
	b.store.commit_error = -ERR_TOOBIG;
	SAY(&b, "\r\nx\r\n.\r\n", "452 4.3.1 ");
	CHECK_INT(0, b.observed[OBSERVER_ACCEPTED]);
	bed_end(&b);
}

static void test_bdat(void)
{
	struct bed b;

	bed_init(&b);
	bed_ehlo(&b);
	SAY(&b, "BDAT 5\r\nabcde", "503 5.5.1 say MAIL first");
	bed_envelope(&b);
	SAY(&b, "BDAT 13\r\nSubject: x\r\n\r", "250 2.0.0 13 octets received\r\n");
	SAY(&b, "DATA\r\n", "503 "); /* RFC 3030 section 2 */
	SAY(&b, "RCPT TO:<c@d.example>\r\n", "503 ");
	SAY(&b, "NOOP\r\n", "250 ");
	SAY(&b, "BDAT 3\r\n\nhi", "250 2.0.0 16 octets received\r\n");
	SAY(&b, "BDAT 0 LAST\r\n", "250 2.0.0 Ok: queued as ");
	buf_cstr(&b.store.msg[0].octets);
	CHECK_SPAN("Subject: x\r\n\r\nhi", content(&b, 0));
	CHECK_INT(1, b.hook[HOOK_DATA].asked);
	SAY(&b, "BDAT 4 LAST\r\nabcd", "503 ");
	/* RSET in the middle. */
	bed_envelope(&b);
	SAY(&b, "BDAT 1\r\nx", "250 ");
	SAY(&b, "RSET\r\n", "250 ");
	CHECK_INT(0, b.store.open);
	/* Without all recipients. */
	SAY(&b, "MAIL FROM:<a@b.example>\r\n", "250 ");
	b.hook[HOOK_RCPT].verdict = (struct verdict){ .kind = VERDICT_REJECT, .rule = SPAN("no") };
	SAY(&b, "RCPT TO:<c@d.example>\r\nBDAT 4 LAST\r\nQUITNOOP\r\n", "550 5.7.1 ");
	HAS(buf_cstr(&b.got), "\r\n554 5.5.1 no valid recipients");
	HAS(buf_cstr(&b.got), "\r\n250 2.0.0 Ok\r\n");
	/* Nobody knows what follows on the wire. */
	SAY(&b, "BDAT\r\n", "501 5.5.4 chunk size missing");
	CHECK(b.peer.ended);
	bed_end(&b);
}

/* A message of which a chunk was refused is over: the chunks behind it in the pipeline must not become a message. */
static void test_bdat_refused(void)
{
	struct bed b;

	bed_init(&b);
	bed_ehlo(&b);
	bed_envelope(&b);
	b.hook[HOOK_DATA].verdict = (struct verdict){ .kind = VERDICT_DEFER, .rule = SPAN("slow") };
	SAY(&b, "BDAT 4\r\nabcd", "451 ");
	b.hook[HOOK_DATA].verdict = (struct verdict){ 0 };
	SAY(&b, "BDAT 4 LAST\r\nefgh", "503 5.5.1 say MAIL first");
	bed_envelope(&b);
	b.store.begin_error = -ERR_NOSPACE;
	SAY(&b, "BDAT 4\r\nabcd", "452 ");
	b.store.begin_error = 0;
	SAY(&b, "BDAT 4 LAST\r\nefgh", "503 ");
	bed_envelope(&b);
	SAY(&b, "BDAT 3000000\r\n", "");
	send_many(&b, "x\r\n", 2990000);
	CHECK_INT(0, b.got.n);
	char rest[20000];
	memset(rest, ' ', sizeof rest);
	rest[sizeof rest - 1] = 0;
	bed_say(&b, rest);
	HAS(buf_cstr(&b.got), "552 5.3.4 ");
	CHECK_INT(0, b.store.n);
	bed_end(&b);
}

static void test_binary(void)
{
	struct bed b;
	char octets[6000];

	memset(octets, 'x', sizeof octets);
	octets[100] = '\0', octets[200] = '\n', octets[300] = '\r';
	bed_init(&b);
	bed_ehlo(&b);
	SAY(&b, "MAIL FROM:<a@b.example> BODY=BINARYMIME\r\nRCPT TO:<c@d.example>\r\nDATA\r\n", "250 ");
	HAS(buf_cstr(&b.got), "503 5.5.1 a BINARYMIME message needs BDAT");
	SAY(&b, "BDAT 14\r\nSubject: x\r\n\r\n", "250 ");
	SAY(&b, "BDAT 6000 LAST\r\n", "");
	bed_say_span(&b, span_make(octets, sizeof octets));
	HAS(buf_cstr(&b.got), "250 2.0.0 Ok: queued");
	CHECK_INT(14 + 6000, content(&b, 0).n);
	bed_end(&b);
}

TEST_MAIN(TEST(test_shapes), TEST(test_smuggling), TEST(test_refused_content), TEST(test_limits), TEST(test_room),
	  TEST(test_store_fails), TEST(test_bdat), TEST(test_bdat_refused), TEST(test_binary))
