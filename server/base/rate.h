/* base/rate.h - GCRA, the generic cell rate algorithm, on one number: exact, smooth, no timers.
 *
 * A limit "60/hour,burst=60" has an emission interval (period / count) and a tolerance (interval * burst). The state of a
 * key is the theoretical arrival time of its next cell; 0 is a key that was never used. Time is passed in, in microseconds
 * of a clock that does not go back; one that does costs a key at most its burst.
 *
 * Threads: pure.  Source: ITU-T I.371 annex A.  Tests: tests/unit/base/test_rate.c
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

struct rate {
	uint64_t count;    /* cells per period; > 0 */
	int64_t period_us; /* > 0 */
	uint64_t burst;    /* cells that may come at once; >= 1 */
};

struct rate_result {
	bool allowed;
	uint64_t remaining;     /* cells that could be taken now */
	int64_t retry_after_us; /* 0 when allowed; -1: the quantity is over the burst and can never pass */
	int64_t reset_after_us; /* until the key is as never used */
};

/* "60/hour", "60/hour,burst=10", "100/15min", "1000/day": count, period (s, sec, second, m, min, minute, h, hour, d, day
 * with an optional number up to 1000 in front), burst (default: the count). Not faster than one cell a microsecond. */
bool rate_parse(struct span s, struct rate *rate_r);

/* Takes @quantity cells from *tat if they conform; *tat is unchanged when they do not. */
struct rate_result rate_take(const struct rate *r, int64_t *tat_us, int64_t now_us, uint64_t quantity);
/* What rate_take() would answer. */
struct rate_result rate_peek(const struct rate *r, int64_t tat_us, int64_t now_us, uint64_t quantity);
/* Gives back @quantity cells that were taken and not used. */
void rate_refund(const struct rate *r, int64_t *tat_us, int64_t now_us, uint64_t quantity);
