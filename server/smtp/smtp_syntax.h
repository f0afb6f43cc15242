/* smtp/smtp_syntax.h - which departures from the grammar a parser of this directory may forgive.
 *
 * One set of bits serves the parsers of lines, commands, paths and names, so that a client's profile is one
 * word. A stranger gets 0. What a parser forgave it reports in the `tolerated` member of its result: the
 * operator can see which devices still need which kindness.
 *
 * Threads: pure.  Tests: tests/unit/smtp/test_path.c, test_cmd.c, test_ehlo.c
 */
#pragma once

/* name, bit, word in configuration and log */
#define SMTP_LAX_MAP(X)                                                                                      \
	X(SPACE, 0, "space")       /* white space before a verb, doubled, after "FROM:", inside <> */        \
	X(BRACKETS, 1, "brackets") /* MAIL FROM:a@b.example */                                               \
	X(TRAILING_DOT, 2, "trailing-dot") /* <a@b.example.>; the dot is dropped */                          \
	X(UNDERSCORE, 3, "underscore")     /* <a@my_host.example> */                                         \
	X(UNQUALIFIED, 4, "unqualified")   /* <root> */                                                      \
	X(DOTS, 5, "dots")                 /* <a..b@c.example>, <a.@c.example>; quoted when it goes out */   \
	X(LONG, 6, "long")                 /* local part up to 255 octets, path up to 1024 */                \
	X(LITERAL, 7, "literal")           /* [2001:db8::1] without its "IPv6:" */                           \
	X(HELO, 8, "helo")                 /* any printable HELO name or none, words after it */             \
	X(ARGUMENT, 9, "argument")         /* DATA, RSET, QUIT, STARTTLS with an argument; it is ignored */

enum smtp_lax {
#define X(name, bit, word) SMTP_LAX_##name = 1 << (bit),
	SMTP_LAX_MAP(X)
#undef X
		SMTP_LAX_ALL = (1 << 10) - 1,
};

/* What the context permits, in the same word: these are not departures. */
enum smtp_allow {
	SMTP_ALLOW_NULL = 1 << 16,       /* "<>" is a path: MAIL FROM */
	SMTP_ALLOW_POSTMASTER = 1 << 17, /* "<postmaster>" without a domain: RCPT TO */
	SMTP_ALLOW_UTF8 = 1 << 18,       /* RFC 6531: the server offered SMTPUTF8 */
};

/* The word of one bit of enum smtp_lax; "" for anything else. */
const char *smtp_lax_name(unsigned bit);
