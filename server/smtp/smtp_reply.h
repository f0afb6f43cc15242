/* smtp/smtp_reply.h - replies: codes, writing them as a server, reading them as a client (RFC 5321 section
 * 4.2, RFC 2034).
 *
 * Pure: no I/O, no clock.  Threads: one writer, one thread.
 * Ownership: a parser owns the text of its reply; it is valid until the next call.
 * Tests: tests/unit/smtp/test_reply.c, tests/fuzz/fuzz_smtp_reply.c
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/span.h"

enum {
	SMTP_REPLY_LINE_MAX = 512,     /* with code and CRLF; RFC 5321 section 4.5.3.1.5 */
	SMTP_REPLY_LINES_MAX = 256,    /* of one reply that we read */
	SMTP_REPLY_OCTETS_MAX = 65536, /* of one reply that we read, all in all */
	SMTP_REPLY_TEXT_MAX = 8192,    /* of it that is kept, unless the caller wants less */
};

enum smtp_reply_class {
	SMTP_REPLY_NONE = 0,
	SMTP_REPLY_OK = 2,
	SMTP_REPLY_MORE = 3, /* go on: 354, 334 */
	SMTP_REPLY_TEMP = 4,
	SMTP_REPLY_PERM = 5,
};

/* RFC 5321 section 4.3.2: the first digit is what counts. NONE for anything outside 200..599. */
static inline enum smtp_reply_class smtp_reply_class(unsigned code)
{
	return code >= 200 && code <= 599 ? (enum smtp_reply_class)(code / 100) : SMTP_REPLY_NONE;
}

/* An enhanced status code (RFC 3463); class 0 is "none". */
struct smtp_enhanced {
	uint8_t class;
	uint16_t subject, detail;
};

#define SMTP_ENHANCED(class, subject, detail) ((struct smtp_enhanced){ (class), (subject), (detail) })

/* Reads "5.7.1" at the start of @s; after it comes white space or the end.
 * Returns the octets consumed, without the space, or -ERR_SYNTAX. */
int smtp_enhanced_parse(struct span s, struct smtp_enhanced *e_r);

struct smtp_enhanced_text {
	char s[16]; /* "5.7.1"; "" for none */
};
struct smtp_enhanced_text smtp_enhanced_format(struct smtp_enhanced e);

/* ---- the server's side
 * ---------------------------------------------------------------------------------------- */

enum smtp_reply_flags {
	SMTP_REPLY_UTF8 = 1 << 0, /* text may hold UTF-8: only where RFC 6531 section 3.7.4 permits it */
};

/* Appends a whole reply. @text may have several lines ("\n"); long ones are broken at a space, so that none
 * goes over SMTP_REPLY_LINE_MAX. What would end the line or is not printable is replaced: no text can forge
 * another reply. Every line carries @enhanced, whose class is made to agree with @code; 3xx replies carry
 * none (RFC 2034 section 4). False, with nothing added, if @out is full. */
bool smtp_reply_add(struct buf *out, unsigned code, struct smtp_enhanced enhanced, struct span text,
		    unsigned flags);

/* ---- the client's side
 * ---------------------------------------------------------------------------------------- */

enum smtp_reply_notes {
	SMTP_REPLY_BARE_LF = 1 << 0,   /* a line ended by LF alone */
	SMTP_REPLY_TRUNCATED = 1 << 1, /* text over the maximum was dropped */
	SMTP_REPLY_CONTROL = 1 << 2,   /* control characters were replaced by "?" */
};

struct smtp_reply {
	unsigned code; /* 200..599 */
	struct smtp_enhanced
		enhanced; /* of the first line that has one; its class may disagree with the code */
	struct span text; /* all lines without their codes, joined by "\n"; enhanced codes are left in */
	unsigned lines;
	unsigned notes; /* enum smtp_reply_notes */
};

struct smtp_reply_parser {
	struct smtp_reply reply;
	struct buf text;
	size_t octets;      /* of the reply so far, all counted */
	unsigned line_code; /* digits of the current line */
	unsigned char at;   /* enum position in smtp_reply.c */
	bool last;          /* the current line is the last one */
	size_t line_start;  /* where its text begins in @text */
};

/* At most @text_max octets of text are kept of each reply. */
void smtp_reply_parser_init(struct smtp_reply_parser *p, size_t text_max);
void smtp_reply_parser_deinit(struct smtp_reply_parser *p);

/* Reads on from *in, taking off it what was read.
 * Returns 1: a reply is complete in p->reply, valid until the next call; *in begins with what follows it
 *         0: all of *in was taken and more is needed
 *        -ERR_SYNTAX: this is no SMTP reply, or its lines do not have one code; -ERR_TOOBIG: it does not end.
 * After an error the connection is of no more use. *why_r is a constant phrase. */
int smtp_reply_parse(struct smtp_reply_parser *p, struct span *in, const char **why_r);

/* Is a reply begun and not complete? */
bool smtp_reply_parser_is_midway(const struct smtp_reply_parser *p);
