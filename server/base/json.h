/* base/json.h - JSON out: a writer that cannot produce a malformed document.
 *
 * It appends to a buf; commas are kept by the writer. Bytes that are not UTF-8 are written as U+FFFD, control characters (those
 * of U+0080 to U+009F too: they move a terminal's cursor) are escaped, so a peer's bytes may go in as they came (RFC 8259).
 *
 * Threads: one at a time.  Errors: the buf's overflow.  Tests: tests/unit/base/test_json.c
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/span.h"

struct json {
	struct buf *out;
	bool comma; /* a value came before at this level */
};

static inline struct json json_to(struct buf *out)
{
	return (struct json){ out, false };
}

/* @key is NULL inside arrays and for the outermost value. */
void json_object(struct json *j, const char *key);
void json_object_end(struct json *j);
void json_array(struct json *j, const char *key);
void json_array_end(struct json *j);
void json_str(struct json *j, const char *key, struct span value);
void json_cstr(struct json *j, const char *key, const char *value); /* NULL: null */
void json_int(struct json *j, const char *key, int64_t value);
void json_bool(struct json *j, const char *key, bool value);
void json_null(struct json *j, const char *key);
/* A key that is data; one value must follow with key NULL. */
void json_key_span(struct json *j, struct span key);
/* Trusted, well-formed JSON. */
void json_raw(struct json *j, const char *key, struct span json_text);

/* The text of @s as it stands between quotes. */
void json_escape(struct buf *out, struct span s);
