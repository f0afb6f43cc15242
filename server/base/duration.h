/* base/duration.h - lengths of time as people write them: "90s", "1h30m", "5d".
 *
 * A duration is one or more numbers with a unit (ms, s, m, h, d, w), each unit at most once and the
 * larger first; "0" alone needs none. The longest is ten years.
 *
 * Threads: pure.  Tests: tests/unit/base/test_duration.c
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

#define DURATION_MAX_US INT64_C(315360000000000)

enum { DURATION_TEXT_MAX = 40 };
struct duration_text {
	char s[DURATION_TEXT_MAX];
};

/* Returns false, and leaves *us_r alone, when @s is no duration. */
bool duration_parse(struct span s, int64_t *us_r);

/* As short as it is exact to the millisecond; "0s" for none, "-" in front of a negative one.
 * duration_parse reads it back. */
struct duration_text duration_format(int64_t us);
