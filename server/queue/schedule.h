/* queue/schedule.h - when a message is tried again, when its sender is told, when it is given up.
 *
 * Pure: the time and the random number are arguments. All times are of the wall clock, in microseconds.
 *
 *   steps the wait after the first attempt, after the second, ...; the last one repeats. Each wait is
 *   made longer by up to
 *              jitter_percent, so that what came together does not come back together
 *   lifetime counted from the arrival. The last attempt is at its end and not a step later; then the
 *   message is returned
 *   notices    ages at which a sender is told that it takes long
 *
 * A DELIVERBY deadline (RFC 2852 section 4.1.4) counts as a lifetime that allows no attempt at its end
 * (by-mode R: return), or as one more notice (by-mode N: notify and go on).
 *
 * Ownership: a value.  Threads: pure.  Tests: tests/unit/queue/test_schedule.c
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

enum { SCHEDULE_STEPS_MAX = 16, SCHEDULE_NOTICES_MAX = 4 };

struct schedule {
	int64_t step_us[SCHEDULE_STEPS_MAX];
	uint32_t nsteps; /* >= 1 */
	uint32_t jitter_percent;
	int64_t lifetime_us;
	int64_t bounce_lifetime_us; /* of a message with the null reverse path */
	int64_t notice_us[SCHEDULE_NOTICES_MAX];
	uint32_t nnotices; /* 0: nobody is told before the end */
};

/* 5m,15m,30m,1h,2h,4h, jitter 10 %, 5 days, 1 day for notices, one notice after 4 hours. */
void schedule_init(struct schedule *s);

/* Lists of durations (base/duration.h), separated by commas, spaces allowed. Steps are over a second;
 * notices ascend; "" or "none" is no notice. Return 0, -ERR_SYNTAX or -ERR_TOOBIG with the words in @e
 * (may be NULL); @s is untouched then. */
int schedule_parse_steps(struct schedule *s, struct span text, struct errtext *e);
int schedule_parse_notices(struct schedule *s, struct span text, struct errtext *e);

/* Of a message: what the times depend on. */
struct schedule_message {
	int64_t created_at_us;
	int64_t deliver_by_us; /* 0: none */
	bool by_notify;        /* by-mode N */
	bool null_sender;
};

enum schedule_end { SCHEDULE_END_LIFETIME, SCHEDULE_END_DELIVERBY };

/* When @m is given up, and because of what. */
int64_t schedule_expires_at(const struct schedule *s, const struct schedule_message *m,
			    enum schedule_end *why_r);

enum schedule_verdict { SCHEDULE_RETRY, SCHEDULE_EXPIRED };

/* After attempt number @attempt (1 = the first) was deferred at @now_us: *at_r is when the next one is
 * due, or the end by DELIVERBY, when there is none but the message is to be returned then.
 * SCHEDULE_EXPIRED, and *at_r untouched: it is to be returned now. @random is any number, uniform over 64
 * bits. */
enum schedule_verdict schedule_next(const struct schedule *s, const struct schedule_message *m,
				    int64_t now_us, unsigned attempt, uint64_t random, int64_t *at_r);
/* The wait after @attempt alone: for destinations, which have no lifetime. */
int64_t schedule_wait_us(const struct schedule *s, unsigned attempt, uint64_t random);

/* How many notices are due at @now_us since the arrival of @m, and when the next one is (INT64_MAX:
 * never). */
unsigned schedule_notices_due(const struct schedule *s, const struct schedule_message *m, int64_t now_us);
int64_t schedule_notice_next_at(const struct schedule *s, const struct schedule_message *m, int64_t now_us);
