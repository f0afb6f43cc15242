/* smtp/smtp_data.h - message bodies on the wire: the end of DATA, dot stuffing, line endings (RFC 5321
 * sections 2.3.8, 4.1.1.4 and 4.5.2; RFC 3030 for BDAT).
 *
 * The end of DATA is CRLF "." CRLF and nothing else: not with a bare LF, not with a bare CR, in no mode.
 * Whoever lets another sequence end a message lets the sender of one message forge the next. And nothing bare
 * ever leaves: a message that has bare CRs or LFs is either refused by its receiver (REFUSE) or its lines are
 * made whole here (NORMALISE).
 *
 * Both coders are iterators without copying: a call takes octets off *in and hands out one run of the result,
 * which points into the input or to constant text. They work octet by octet only around what is special, so
 * any cutting of the input into chunks gives the same result.
 *
 *   while ((ev = smtp_data_decode(&d, &in, &run)) == SMTP_DATA_RUN)
 *           keep(run);
 *
 * Pure: no I/O, no clock, no allocation.
 * Ownership: runs are valid as long as the input.
 * Threads: one coder, one thread.
 * Tests: tests/unit/smtp/test_data.c, tests/fuzz/fuzz_smtp_data.c
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

/* Longest line of text without its ending; RFC 5321 section 4.5.3.1.6 counts 1000 with it. */
enum { SMTP_DATA_LINE_MAX = 998 };

enum smtp_data_mode {
	/* Bare CR and LF pass and are reported; the message must be refused. */
	SMTP_DATA_REFUSE,
	/* A bare LF, a run of bare CRs, and CRs before a CRLF become one CRLF; they are reported, too. */
	SMTP_DATA_NORMALISE,
	/* BODY=BINARYMIME: any octets are right; only for BDAT. */
	SMTP_DATA_BINARY,
};

enum smtp_data_event {
	SMTP_DATA_MORE, /* all of *in is taken */
	SMTP_DATA_RUN,  /* *run_r is the next piece of the message, not empty: call again */
	SMTP_DATA_END,  /* the message is complete; *in begins with what follows it */
};

enum smtp_data_flags {
	SMTP_DATA_BARE_LF = 1 << 0,
	SMTP_DATA_BARE_CR = 1 << 1,
	SMTP_DATA_NUL = 1 << 2,
	SMTP_DATA_8BIT = 1 << 3,
	SMTP_DATA_LONG_LINE = 1 << 4, /* over SMTP_DATA_LINE_MAX */
	SMTP_DATA_OPEN_END = 1 << 5,  /* BDAT: the last line has no ending (after smtp_data_finish()) */
};

struct smtp_data_decoder {
	unsigned flags;  /* enum smtp_data_flags, of the message so far */
	uint64_t octets; /* handed out so far */
	uint64_t bare_lfs, bare_crs, long_lines;
	uint64_t line_octets_most; /* the longest line, without ending */
	enum smtp_data_mode mode;
	bool dots;            /* DATA: dots are taken off, and end the message */
	unsigned char at;     /* where in a line; enum place in smtp_data.c */
	uint64_t line_octets; /* of the line so far */
};

/* For the body that follows a 354. */
void smtp_data_decoder_init(struct smtp_data_decoder *d, enum smtp_data_mode mode);
/* For a body in BDAT chunks: dots are nothing special, there is no end in the octets; see smtp_data_finish().
 * Line endings may be split between chunks, for the message is their concatenation. */
void smtp_data_decoder_init_bdat(struct smtp_data_decoder *d, enum smtp_data_mode mode);

enum smtp_data_event smtp_data_decode(struct smtp_data_decoder *d, struct span *in, struct span *run_r);

/* BDAT: after the last octet. A CR held back comes out (SMTP_DATA_RUN), then the event is SMTP_DATA_END. */
enum smtp_data_event smtp_data_finish(struct smtp_data_decoder *d, struct span *run_r);

/* ---- sending
 * -------------------------------------------------------------------------------------------------- */

struct smtp_data_encoder {
	char last[2]; /* the last two octets that went in; CRLF at the start of the body */
	bool stuffed; /* the "." for the dot at the start of *in has been handed out */
};

void smtp_data_encoder_init(struct smtp_data_encoder *e);

/* SMTP_DATA_RUN or SMTP_DATA_MORE. A dot at the start of a line is doubled, after a bare CR or LF as well:
 * the next server may take these for line ends. */
enum smtp_data_event smtp_data_encode(struct smtp_data_encoder *e, struct span *in, struct span *run_r);

/* What ends the body: ".\r\n", with a line ending before it if the body has none at its end. An empty body is
 * ".\r\n". */
struct span smtp_data_encode_end(const struct smtp_data_encoder *e);
