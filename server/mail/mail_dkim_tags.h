/* mail/mail_dkim_tags.h - the tag=value lists of DKIM: signatures and key records.
 *
 * Pure.  Ownership: spans into the text that was parsed, or into the arena given.
 * Errors: -ERR_SYNTAX; -ERR_TOOBIG for more tags than MAIL_DKIM_TAGS_MAX.
 * Source: RFC 6376 section 3.2; RFC 8616 section 5 (octets above 127 may stand in values).
 * Tests:  tests/unit/mail/test_mail_dkim_tags.c, tests/fuzz/fuzz_mail_dkim_tags.c
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/span.h"

enum { MAIL_DKIM_TAGS_MAX = 40 };

struct mail_dkim_tag {
	struct span name;
	struct span value; /* without white space at its ends; inside, folds and all, as written */
};

struct mail_dkim_tags {
	size_t n;
	struct mail_dkim_tag v[MAIL_DKIM_TAGS_MAX];
};

/* The whole list or nothing: a tag that is there twice makes all of it invalid. Names differ by case. */
int mail_dkim_tags_parse(struct span text, struct mail_dkim_tags *tags_r);

/* NULL if it is not there. */
const struct mail_dkim_tag *mail_dkim_tags_find(const struct mail_dkim_tags *tags, const char *name);
/* Its value; {NULL, 0} if it is not there. */
struct span mail_dkim_tags_value(const struct mail_dkim_tags *tags, const char *name);

/* A list of words with @sep between them, in a value: the next one, without white space around it, NULL behind the last. */
struct span mail_dkim_list_next(struct span *value, char sep);

/* The octets of a base64 value, which may hold white space anywhere. Returns 0, -ERR_SYNTAX, -ERR_TOOBIG if the arena is full. */
int mail_dkim_base64(struct arena *a, struct span value, struct span *octets_r);

/* A number without sign, up to INT64_MAX. 0 or -ERR_SYNTAX. */
int mail_dkim_number(struct span value, uint64_t *v_r);
