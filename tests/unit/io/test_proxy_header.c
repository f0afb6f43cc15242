#include "io/proxy_header.h"

#include "base/check.h"
#include "test.h"

#define V2 "\r\n\r\n\0\r\nQUIT\n"

static void check_endpoint(const char *addr, unsigned port, const struct ip_endpoint *e)
{
	CHECK_STR(addr, ip_format(&e->addr).s);
	CHECK_INT(port, e->port);
}

static void check_known(struct span in, int want, const char *from, unsigned from_port, const char *to,
			unsigned to_port)
{
	struct proxy_header h = { 0 };

	CHECK_INT(want, proxy_header_parse(in, &h));
	CHECK(h.known);
	check_endpoint(from, from_port, &h.source);
	check_endpoint(to, to_port, &h.destination);
}

static void check_unknown(struct span in, int want)
{
	struct proxy_header h = { .known = true };

	CHECK_INT(want, proxy_header_parse(in, &h));
	CHECK(!h.known);
}

/* An error leaves the result alone. */
static void check_error(int want, struct span in)
{
	struct proxy_header h = { .source.port = 4711 };

	const int got = proxy_header_parse(in, &h);
	if (got != want)
		printf("  in \"%.*s\":\n", SPAN_ARG(in));
	CHECK_INT(want, got);
	CHECK_INT(4711, h.source.port);
}

static void version_1(void)
{
	check_known(SPAN("PROXY TCP4 192.0.2.7 198.51.100.25 49152 25\r\nEHLO"), 45, "192.0.2.7", 49152,
		    "198.51.100.25", 25);
	check_known(SPAN("PROXY TCP6 2001:db8::7 2001:db8::25 65535 0\r\n"), 45, "2001:db8::7", 65535,
		    "2001:db8::25", 0);
	check_known(SPAN("PROXY TCP6 ::ffff:192.0.2.7 2001:db8::25 1 25\r\n"), 47, "192.0.2.7", 1,
		    "2001:db8::25", 25);
	check_unknown(SPAN("PROXY UNKNOWN\r\n"), 15);
	check_unknown(SPAN("PROXY UNKNOWN ffff:f...f:ffff whatever 1\r\n"), 42);
}

static void version_1_errors(void)
{
	static const char *const bad[] = {
		"PROXY TCP4 192.0.2.7 198.51.100.25 49152 25\n",
		"PROXY TCP4 192.0.2.7 198.51.100.25 49152\r\n",
		"PROXY TCP4 192.0.2.7 198.51.100.25 49152 25 26\r\n",
		"PROXY TCP4 192.0.2.7 198.51.100.25 49152 25 \r\n",
		"PROXY TCP4  192.0.2.7 198.51.100.25 49152 25\r\n",
		"PROXY TCP4 192.0.2.7 198.51.100.25 65536 25\r\n",
		"PROXY TCP4 192.0.2.7 198.51.100.25 -1 25\r\n",
		"PROXY TCP4 192.0.2.7 198.51.100.25 000001 25\r\n",
		"PROXY TCP4 192.0.2.256 198.51.100.25 1 25\r\n",
		"PROXY TCP4 2001:db8::7 2001:db8::25 1 25\r\n",
		"PROXY TCP6 192.0.2.7 198.51.100.25 1 25\r\n",
		"PROXY UDP4 192.0.2.7 198.51.100.25 1 25\r\n",
		"PROXY \r\n",
		"PROXY\r\n",
		"PROXYTCP4",
		"proxy TCP4 192.0.2.7 198.51.100.25 1 25\r\n",
		"EHLO client.example\r\n",
		"\r\n\r\nEHLO",
		" ",
	};
	struct buf line = BUF_INIT(200);

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		check_error(-ERR_SYNTAX, span_of(bad[i]));
	/* Section 2.1: 107 octets with the CRLF are the most there can be. */
	buf_add_str(&line, "PROXY UNKNOWN ");
	while (line.n < 105)
		buf_add_char(&line, 'f');
	buf_add_str(&line, "\r\n");
	check_unknown(buf_span(&line), 107);
	buf_insert(&line, 20, SPAN("f"));
	check_error(-ERR_SYNTAX, buf_span(&line));
	check_error(-ERR_SYNTAX, span_first(buf_span(&line), 107));
	check_error(-ERR_AGAIN, span_first(buf_span(&line), 106));
	buf_free(&line);
}

static void version_2(void)
{
	static const char tcp4[] = V2 "\x21\x11\0\x0c\xc0\0\2\7\xc6\x33\x64\x19\xc0\0\0\x19";
	static const char tcp4_tlv[] =
		V2 "\x21\x11\0\x13\xc0\0\2\7\xc6\x33\x64\x19\xc0\0\0\x19\x04\0\4abcdEHLO";
	static const char tcp6[] = V2 "\x21\x21\0\x24"
				      "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\7"
				      "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc6\x33\x64\x19\0\1\2\3";
	static const char local[] = V2 "\x20\0\0\0EHLO";
	static const char local_full[] = V2 "\x20\x11\0\x0c\xc0\0\2\7\xc6\x33\x64\x19\xc0\0\0\x19";
	static const char unspecified[] = V2 "\x21\0\0\3abc";

	check_known(span_make(tcp4, sizeof tcp4 - 1), 28, "192.0.2.7", 49152, "198.51.100.25", 25);
	check_known(span_make(tcp4_tlv, sizeof tcp4_tlv - 1), 35, "192.0.2.7", 49152, "198.51.100.25", 25);
	check_known(span_make(tcp6, sizeof tcp6 - 1), 52, "2001:db8::7", 1, "198.51.100.25", 515);
	check_unknown(span_make(local, sizeof local - 1), 16);
	check_unknown(span_make(local_full, sizeof local_full - 1), 28);
	check_unknown(span_make(unspecified, sizeof unspecified - 1), 19);
}

static void version_2_errors(void)
{
	check_error(-ERR_SYNTAX, SPAN(V2 "\x11\x11\0\0")); /* version 1 in binary */
	check_error(-ERR_SYNTAX, SPAN(V2 "\x22\x11\0\0")); /* no such command */
	check_error(-ERR_SYNTAX, SPAN(V2 "\x21\x11\0\x0b"
					 "\xc0\0\2\7\xc6\x33\x64\x19\xc0\0\0")); /* too short */
	check_error(-ERR_SYNTAX, SPAN(V2 "\x21\x21\0\x0c\xc0\0\2\7\xc6\x33\x64\x19\xc0\0\0\x19"));
	check_error(-ERR_UNSUPPORTED, SPAN(V2 "\x21\x12\0\x0c\xc0\0\2\7\xc6\x33\x64\x19\xc0\0\0\x19"));
	check_error(-ERR_UNSUPPORTED, SPAN(V2 "\x21\x31\0\0"));
	check_error(-ERR_UNSUPPORTED, SPAN(V2 "\x21\x41\0\0"));
	check_error(-ERR_AGAIN, SPAN(V2 "\x21\x11\x10\x00")); /* 4096: allowed */
	check_error(-ERR_TOOBIG, SPAN(V2 "\x21\x11\x10\x01"));
}

static void every_beginning_of_a_header_asks_for_more(void)
{
	static const char v1[] = "PROXY TCP4 192.0.2.7 198.51.100.25 49152 25\r\n";
	static const char v2[] = V2 "\x21\x11\0\x0c\xc0\0\2\7\xc6\x33\x64\x19\xc0\0\0\x19";

	for (size_t n = 0; n < sizeof v1 - 1; n++)
		check_error(-ERR_AGAIN, span_make(v1, n));
	for (size_t n = 0; n < sizeof v2 - 1; n++)
		check_error(-ERR_AGAIN, span_make(v2, n));
}

TEST_MAIN(TEST(version_1), TEST(version_1_errors), TEST(version_2), TEST(version_2_errors),
	  TEST(every_beginning_of_a_header_asks_for_more))
