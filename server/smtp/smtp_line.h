/* smtp/smtp_line.h - where a command line ends (RFC 5321 sections 2.3.8 and 4.5.3.1.4).
 *
 * The caller keeps the unread octets and offers all of them each time; the reader remembers how far it has
 * looked, so a line that arrives octet by octet is still searched only once. The line is cut at LF whatever
 * stands before it; how it really ended, and what does not belong into a command, is told in flags: strangers
 * are refused, profiles forgiven.
 *
 * Pure: no I/O, no clock.
 * Ownership: the line points into the caller's input.
 * Threads: one reader, one thread.
 * Tests: tests/unit/smtp/test_line.c, tests/fuzz/fuzz_smtp_line.c
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"

/* Longest lines, in octets with their ending. Which one applies to a command: smtp_cmd_octets_max(). */
enum {
	SMTP_LINE_COMMAND_MAX = 512,   /* RFC 5321 section 4.5.3.1.4 */
	SMTP_LINE_ENVELOPE_MAX = 2048, /* MAIL, RCPT: 1036 (RFC 3461 section 5.4) and what others add */
	SMTP_LINE_AUTH_MAX = 12288,    /* RFC 4954 section 4 */
};

enum smtp_line_flags {
	SMTP_LINE_BARE_LF = 1 << 0, /* ended by LF alone */
	SMTP_LINE_BARE_CR = 1 << 1, /* a CR that is not part of its CRLF */
	SMTP_LINE_NUL = 1 << 2,
	SMTP_LINE_8BIT = 1 << 3,
};

struct smtp_line {
	struct span text; /* without the ending: CRLF, or the bare LF */
	unsigned flags;
};

struct smtp_line_reader {
	size_t scanned; /* octets at the start of the unread input that hold no LF */
	bool skipping;  /* the line is over its limit: its rest goes through smtp_line_skip() */
};

#define SMTP_LINE_READER_INIT ((struct smtp_line_reader){ 0 })

/* Takes one line off the start of @in, which begins with everything that it began with after the last
 * -ERR_AGAIN.
 *
 * Returns the octets consumed, ending included (> 0), or
 *   -ERR_AGAIN   no ending yet: call again with more
 *   -ERR_TOOBIG  no ending within @octets_max: nothing is consumed, the reader is skipping */
int smtp_line_next(struct smtp_line_reader *r, struct span in, size_t octets_max, struct smtp_line *line_r);

/* While skipping: how many octets at the start of @in belong to the over-long line and can be thrown away at
 * once. When the line has ended the reader is no longer skipping. */
size_t smtp_line_skip(struct smtp_line_reader *r, struct span in);
