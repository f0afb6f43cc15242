/* policy/pattern.h - Lua 5.1 patterns with a budget.
 *
 * Lua's own matcher runs in C where no hook reaches it, and ten "(a?)" keep it busy for ever. This one counts its
 * steps and gives up. What it matches is what the reference manual says (section 5.4.1): classes, sets, "* + - ?",
 * captures, %b, %f, anchors.
 *
 * Pure: no Lua in here.  Ownership: spans go in, offsets come out.  Threads: any.  Units: octets, steps.
 * Tests: tests/unit/policy/test_pattern.c, tests/fuzz/fuzz_policy_pattern.c
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

enum { PATTERN_CAPTURES_MAX = 32, PATTERN_DEPTH_MAX = 200 };

enum pattern_flags {
	PATTERN_CARET_IS_PLAIN = 1 << 0, /* gmatch: "^" at the start is an ordinary character */
};

struct pattern_capture {
	size_t at, n;
	bool position; /* "()": the offset is the value */
};

struct pattern_match {
	size_t at, n;      /* the whole match */
	unsigned captures; /* 0: there are none, the whole match counts as one */
	struct pattern_capture capture[PATTERN_CAPTURES_MAX];
};

/* Looks for @pattern in @s from @init on. *steps is what may still be spent; what was spent is taken off.
 *
 * Returns 1 and *m_r, 0 if there is no match, or
 *   -ERR_SYNTAX  the pattern is malformed: *why_r is a constant phrase
 *   -ERR_TOOBIG  too many captures or too deep: *why_r is a constant phrase
 *   -ERR_LIMIT   the steps are used up */
int pattern_find(struct span s, struct span pattern, size_t init, unsigned flags, uint64_t *steps,
		 struct pattern_match *m_r, const char **why_r);

/* Has it any character that is not plain text? */
bool pattern_is_special(struct span pattern);
