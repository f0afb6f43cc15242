/* A rate in words, then a story of takes, refunds and waits. However it goes: a key never gets more than its burst and what the
 * time that passed allows, what is announced is kept, and a refusal changes nothing.
 *
 * Input: a line with the rate, then three octets a step: what, quantity, time. */
#include <stdint.h>
#include <stdlib.h>

#include "base/rate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

__extension__ typedef __int128 wide;

#define MUST(x)                                                                                              \
	do {                                                                                                 \
		if (!(x))                                                                                    \
			abort();                                                                             \
	} while (0)

struct story {
	struct rate rate;
	int64_t tat, now, begin;
	uint64_t got, given_back;
};

static void check_promises(const struct story *st)
{
	const struct rate_result res = rate_peek(&st->rate, st->tat, st->now, 0);
	int64_t tat = st->tat;

	MUST(res.remaining <= st->rate.burst);
	MUST(res.reset_after_us >= 0);
	MUST(rate_take(&st->rate, &tat, st->now, res.remaining).allowed);
	tat = st->tat;
	const struct rate_result more = rate_take(&st->rate, &tat, st->now, res.remaining + 1);
	MUST(!more.allowed && tat == st->tat);
	if (more.retry_after_us >= 0) {
		MUST(more.retry_after_us > 0);
		MUST(!rate_peek(&st->rate, st->tat, st->now + more.retry_after_us - 1, res.remaining + 1)
			      .allowed);
		MUST(rate_peek(&st->rate, st->tat, st->now + more.retry_after_us, res.remaining + 1).allowed);
	} else {
		MUST(res.remaining + 1 > st->rate.burst);
	}
	MUST(rate_peek(&st->rate, st->tat, st->now + res.reset_after_us, 0).remaining == st->rate.burst);
}

static void step(struct story *st, unsigned what, uint64_t quantity, unsigned time)
{
	struct rate_result res;

	switch (what % 4) {
	case 0:
	case 1:
		res = rate_take(&st->rate, &st->tat, st->now, quantity);
		st->got += res.allowed ? quantity : 0;
		break;
	case 2:
		quantity = quantity < st->got - st->given_back ? quantity : st->got - st->given_back;
		rate_refund(&st->rate, &st->tat, st->now, quantity);
		st->given_back += quantity;
		break;
	default:
		st->now += (int64_t)((wide)st->rate.period_us * time / 64) + time % 3;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span rest = span_make(data, size);
	const struct span text = span_cut(&rest, '\n');
	struct story st = { .now = INT64_C(1700000000000000) };

	if (!rate_parse(text, &st.rate))
		return 0;
	MUST(st.rate.count > 0 && st.rate.period_us > 0 && st.rate.burst > 0);
	MUST(rate_peek(&st.rate, 0, st.now, 0).remaining == st.rate.burst);
	st.begin = st.now;
	for (size_t i = 0; i + 3 <= rest.n && i < 600; i += 3) {
		const unsigned char *p = (const unsigned char *)rest.p + i;
		const uint64_t quantity = p[1] < 128 ? p[1] : (uint64_t)p[1] * p[1] * p[1];
		step(&st, p[0], quantity, p[2]);
		check_promises(&st);
		/* Rounding to microseconds may give away less than one in each step. */
		const wide passed = st.now - st.begin + (wide)(i / 3 + 1);
		const wide allowed = st.rate.burst + passed * (wide)st.rate.count / st.rate.period_us + 1;
		MUST((wide)(st.got - st.given_back) <= allowed);
	}
	return 0;
}
