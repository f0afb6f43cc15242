/* mail/mail_head_scan.h - finds where the header section of a message ends, while the message arrives in
 * pieces.
 *
 * The header section ends after its first blank line; a message whose blank line is missing has its header
 * section end in front of the first line that is neither a field nor the continuation of one. One line in
 * front of the first field may be the "From " line of an mbox file. Lines end with CRLF or with a bare LF.
 * Every octet is looked at once.
 *
 * mail_head_parse() uses this too: what the receiver of a stream takes for the body and what the parser does
 * is the same.
 *
 * Pure; a scan is a value.  Source: RFC 5322 sections 2.1, 2.2, 3.6.8, 4.5.
 * Tests: tests/unit/mail/test_mail_head_scan.c, tests/fuzz/fuzz_mail_head.c
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

enum mail_head_end {
	MAIL_HEAD_END_NONE,  /* not seen yet; after the whole message: there is neither blank line nor body */
	MAIL_HEAD_END_BLANK, /* a blank line, which belongs to the header section */
	MAIL_HEAD_END_JUNK,  /* a line that cannot be a field: it is the first line of the body */
};

struct mail_head_scan {
	uint64_t octets;      /* looked at so far */
	uint64_t line_octets; /* where the current line begins; final: length of the header section */
	enum mail_head_end end;
	uint8_t state;        /* of the current line, see the .c */
	uint8_t mbox_matched; /* octets of the "From " that the first line began with */
	bool in_field;        /* a continuation line is possible */
	bool first_line;
};

#define MAIL_HEAD_SCAN_INIT ((struct mail_head_scan){ .first_line = true })

/* Looks at the next piece of the message. Returns true once the end is known: then s->end says how the header
 * section ended and s->line_octets how long it is, counted from the first octet of the message. Pieces after
 * that are ignored. */
bool mail_head_scan_feed(struct mail_head_scan *s, struct span chunk);

/* The message has ended. A last line without line end that is no field is junk: then true, as above. */
bool mail_head_scan_finish(struct mail_head_scan *s);
