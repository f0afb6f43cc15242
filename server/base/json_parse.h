/* base/json_parse.h - JSON in (RFC 8259): one pass, no recursion, told to whoever listens.
 *
 * The parser calls back once per value, name, beginning and end; the listener builds what it wants (a Lua table). Strict: no
 * comments, no trailing commas, no NaN; strings must be UTF-8, and an escaped surrogate must have its pair.
 *
 * Pure; the length of the text is bounded by whoever has it.  Ownership: a string's span is valid during the
 * callback.  Threads: any. Tests: tests/unit/base/test_json_parse.c, tests/fuzz/fuzz_base_json_parse.c
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"

enum { JSON_DEPTH_MAX = 32, JSON_STRING_MAX = 1024 * 1024 };

enum json_event {
	JSON_NULL,
	JSON_BOOL,
	JSON_NUMBER,
	JSON_STRING,
	JSON_KEY,
	JSON_OBJECT,
	JSON_OBJECT_END,
	JSON_ARRAY,
	JSON_ARRAY_END
};

struct json_token {
	enum json_event event;
	bool boolean;       /* JSON_BOOL */
	double number;      /* JSON_NUMBER */
	struct span string; /* JSON_STRING, JSON_KEY: without escapes */
};

/* Returns 0; or another value that the listener returned; or
 *   -ERR_SYNTAX  not JSON: *at_r is the offset, *why_r a constant phrase
 *   -ERR_TOOBIG  over one of the maxima above, likewise */
int json_parse(struct span text, int (*on)(void *arg, const struct json_token *token), void *arg,
	       size_t *at_r, const char **why_r);
