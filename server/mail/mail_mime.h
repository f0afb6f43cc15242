/* mail/mail_mime.h - the little of MIME that a relay needs: what a body claims to be, parts, transfer
 * encodings.
 *
 * Pure.
 * Ownership: spans point into the input or live in the arena given.
 * Source:    RFC 2045 sections 5 and 6, RFC 2046 section 5.1, RFC 6152, RFC 6532.
 * Tests:     tests/unit/mail/test_mail_mime.c, tests/fuzz/fuzz_mail_dsn_parse.c
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/span.h"
#include "mail/mail_head.h"

#define MAIL_MIME_ENCODING_MAP(X)                                                                            \
	X(7BIT, "7bit")                                                                                      \
	X(8BIT, "8bit")                                                                                      \
	X(BINARY, "binary")                                                                                  \
	X(QUOTED_PRINTABLE, "quoted-printable")                                                              \
	X(BASE64, "base64")

enum mail_mime_encoding {
#define X(name, text) MAIL_MIME_##name,
	MAIL_MIME_ENCODING_MAP(X)
#undef X
		MAIL_MIME_ENCODING_UNKNOWN
};

const char *mail_mime_encoding_name(enum mail_mime_encoding e);

struct mail_mime_type {
	struct span type, subtype; /* "text", "plain" */
	struct span params;        /* what follows, from its first ";" */
};

/* Parses the body of a Content-Type field, which may be folded. Returns 0, or -ERR_SYNTAX and leaves *type_r
 * alone. */
int mail_mime_type_parse(struct span body, struct mail_mime_type *type_r);

/* Without case: is it type/subtype? */
bool mail_mime_type_is(const struct mail_mime_type *t, const char *type, const char *subtype);

/* The value of a parameter without its quotes; {NULL, 0} if there is none or @a is full. */
struct span mail_mime_param(struct arena *a, const struct mail_mime_type *t, struct span name);

/* What a head says about the body. */
struct mail_mime {
	struct mail_mime_type type;       /* text/plain if none can be read: RFC 2045 section 5.2 */
	enum mail_mime_encoding encoding; /* 7bit if there is none */
	bool eightbit;                    /* the body has to be sent with BODY=8BITMIME */
	bool utf8;                        /* the head has UTF-8: it has to be sent with SMTPUTF8 */
};

/* @eightbit: does the body have octets above 127? Whoever received it knows; a head that says "8bit" or
 * "binary" is believed too. */
struct mail_mime mail_mime_peek(const struct mail_head *h, bool eightbit);

/* Octets above 127 in names or values, and all of them UTF-8? Others are mistakes of the sender that SMTPUTF8
 * does not mend. */
bool mail_mime_head_is_utf8(const struct mail_head *h);

/* Cuts the next part off *rest, the body of a multipart or what is left of it: from behind a "--boundary"
 * line to the line end in front of the next. The text in front of the first boundary is passed over; a
 * missing last boundary is forgiven. Returns false when there is none any more. */
bool mail_mime_next_part(struct span *rest, struct span boundary, struct span *part_r);

/* Can @s be sent as it is: lines of at most 998 octets that end with CRLF, no NUL? The last one needs no
 * CRLF. */
bool mail_mime_lines_ok(struct span s);

/* Adds @s as quoted-printable; CRLF and LF are line ends. False if @out is full. */
bool mail_mime_write_qp(struct buf *out, struct span s);

/* Adds @s without its transfer encoding; what does not belong into it is passed over.
 * Returns 0, -ERR_UNSUPPORTED for MAIL_MIME_ENCODING_UNKNOWN, or -ERR_TOOBIG if @out is full. */
int mail_mime_decode(struct buf *out, enum mail_mime_encoding encoding, struct span s);
