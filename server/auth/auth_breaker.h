/* auth/auth_breaker.h - leaves a service alone that does not answer: a circuit breaker.
 *
 *   closed --`bad_max` failures in a row--> open --one probe each `retry_us`--> a success closes it
 *
 * A failure of something that began before the last success says nothing new and is not counted.
 *
 * Pure: the time is an argument, in microseconds of any clock that does not jump.  Threads: one at a time.
 * Tests: tests/unit/auth/test_breaker.c
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct auth_breaker {
	unsigned bad_max;
	int64_t retry_us;
	/* private */
	unsigned bad_;
	bool open_, probing_;
	int64_t good_us_, next_us_;
};

enum auth_breaker_answer {
	AUTH_BREAKER_GO,
	AUTH_BREAKER_PROBE, /* go, and say how it ended: _good, _bad or _unprobe */
	AUTH_BREAKER_STOP,
};

void auth_breaker_init(struct auth_breaker *b, unsigned bad_max, int64_t retry_us);
enum auth_breaker_answer auth_breaker_ask(struct auth_breaker *b, int64_t now_us);
void auth_breaker_good(struct auth_breaker *b, int64_t now_us);
/* Returns true when this failure opened it. */
bool auth_breaker_bad(struct auth_breaker *b, int64_t began_us, int64_t now_us, bool probe);
/* The probe never began. */
void auth_breaker_unprobe(struct auth_breaker *b);

static inline bool auth_breaker_open(const struct auth_breaker *b)
{
	return b->open_;
}
