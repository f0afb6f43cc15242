/* mail/mail_head.h - the header section of one message, as a list of fields that can be edited.
 *
 * Fields that nobody edits keep their octets: a signature over them stays valid. Only two things are changed
 * when such a field is written: a bare LF becomes CRLF and a bare CR becomes a space, since neither may be
 * sent (RFC 5321 section 2.3.8).
 *
 * Broken messages are taken as they are. Where the blank line is missing, the first line that is no field
 * begins the body (mail_head_scan.h), and the blank line is written. The "From " line of an mbox file in
 * front of the fields is not written: behind a Received field it would end the header section for the next
 * reader.
 *
 * New fields go through mail_fold.h: no value, whatever it holds, becomes more than one field.
 *
 * Ownership: a head, its fields and all spans that come out of it live in the arena, or point into the octets
 *            that were parsed: both must outlive the head. There is nothing to free.
 * Threads:   one at a time.  Units: octets.
 * Errors:    -ERR_TOOBIG over a maximum or the arena is full; others as said below.
 * Source:    RFC 5322 sections 2.2, 3.6, 4.5.
 * Tests:     tests/unit/mail/test_mail_head.c, tests/fuzz/fuzz_mail_head.c
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/list.h"
#include "base/span.h"
#include "mail/mail_head_scan.h"

enum { MAIL_HEAD_FIELDS_MAX = 2000, MAIL_FIELD_OCTETS_MAX = 64 * 1024 /* of one new field */ };

/* What was seen while parsing. */
#define MAIL_HEAD_ODDITY_MAP(X)                                                                              \
	X(BARE_LF, 0, "a line ends without CR")                                                              \
	X(BARE_CR, 1, "a CR without LF")                                                                     \
	X(NUL, 2, "a NUL octet")                                                                             \
	X(8BIT, 3, "octets above 127")                                                                       \
	X(LONG_LINE, 4, "a line over 998 octets")                                                            \
	X(NAME_SPACE, 5, "white space in front of a colon")                                                  \
	X(MBOX_LINE, 6, "an mbox line in front of the header")                                               \
	X(NO_BLANK, 7, "no blank line between header and body")

enum mail_head_oddity {
#define X(name, bit, text) MAIL_HEAD_##name = 1 << (bit),
	MAIL_HEAD_ODDITY_MAP(X)
#undef X
};

struct mail_field {
	struct list link; /* in mail_head.fields */
	struct span raw;  /* all of it, with its line ends; the last may be missing */
	struct span name; /* as written, without white space behind it */
	struct span body; /* behind the colon, as written, without the last line end; may be folded */
	bool built;       /* by us: raw is well-formed */
};

struct mail_head {
	struct arena *arena;
	struct list fields; /* of struct mail_field, in the order of the message */
	size_t count;
	unsigned oddities; /* enum mail_head_oddity */
	enum mail_head_end end;
	bool edited;
	struct span mbox_line; /* with its line end; usually empty */
};

/* An empty head to build on. NULL if the arena is full. */
struct mail_head *mail_head_new(struct arena *a);

/* Parses the header section at the start of @in: a message, or what mail_head_scan_feed() found of one. The
 * arena needs room for a struct mail_field for each field.
 *
 * Returns the number of octets of the header section, its blank line included: the body begins there. Or
 *   -ERR_TOOBIG  it is longer than @octets_max, has more than MAIL_HEAD_FIELDS_MAX fields, or @a is full
 * On error *head_r is untouched. */
int mail_head_parse(struct arena *a, struct span in, size_t octets_max, struct mail_head **head_r);

/* The words for one oddity, or for the lowest of several. */
const char *mail_head_oddity_text(unsigned oddities);

/* From the first (@after NULL) to the last field, then NULL. The field in hand may be removed if the next one
 * was asked for before. */
struct mail_field *mail_head_next(const struct mail_head *h, const struct mail_field *after);

/* Field number @nth of this name, from the top: 0 is the first. Negative counts from the bottom: -1 is the
 * last. NULL if there is none. Names are compared without case. */
struct mail_field *mail_head_find(const struct mail_head *h, struct span name, int nth);
size_t mail_head_count(const struct mail_head *h, struct span name);

/* The value unfolded and trimmed. A folded one is copied to @a; {NULL, 0} if it does not fit. Octets inside
 * lines are as sent. */
struct span mail_field_value(struct arena *a, const struct mail_field *f);
/* The same for the first field of this name; {NULL, 0} if there is none. */
struct span mail_head_value(const struct mail_head *h, struct span name);

/* Adds a field at the top or at the bottom. @flags: enum mail_fold_flags.
 * Returns 0, -ERR_INVAL if @name is not a name, or -ERR_TOOBIG. */
int mail_head_prepend(struct mail_head *h, struct span name, struct span value, unsigned flags);
int mail_head_append(struct mail_head *h, struct span name, struct span value, unsigned flags);

/* A field that was built elsewhere: with name, colon and CRLFs. The octets are not copied.
 * -ERR_INVAL unless it is exactly one field in lines of at most 998 octets that end with CRLF, none of them
 * empty, and without other control characters than tab. */
int mail_head_prepend_raw(struct mail_head *h, struct span raw);

/* Gives @f another value, keeping name and place; or other octets, as mail_head_prepend_raw(). Errors as
 * above. */
int mail_head_replace(struct mail_head *h, struct mail_field *f, struct span value, unsigned flags);
int mail_head_replace_raw(struct mail_head *h, struct mail_field *f, struct span raw);

void mail_head_remove(struct mail_head *h, struct mail_field *f);
/* Returns how many there were. */
size_t mail_head_remove_all(struct mail_head *h, struct span name);

/* Adds the fields and the blank line. Returns 0, or -ERR_TOOBIG if @out is full. */
int mail_head_write(const struct mail_head *h, struct buf *out);
/* Adds one field with proper line ends, without a blank line. False if @out is full. */
bool mail_field_copy(struct buf *out, const struct mail_field *f);
