#include "auth/auth_breaker.h"

#include "base/check.h"

void auth_breaker_init(struct auth_breaker *b, unsigned bad_max, int64_t retry_us)
{
	require(bad_max > 0 && retry_us > 0);
	*b = (struct auth_breaker){ .bad_max = bad_max, .retry_us = retry_us, .good_us_ = INT64_MIN };
}

enum auth_breaker_answer auth_breaker_ask(struct auth_breaker *b, int64_t now_us)
{
	if (!b->open_)
		return AUTH_BREAKER_GO;
	if (b->probing_ || now_us < b->next_us_)
		return AUTH_BREAKER_STOP;
	b->probing_ = true;
	return AUTH_BREAKER_PROBE;
}

void auth_breaker_good(struct auth_breaker *b, int64_t now_us)
{
	b->bad_ = 0;
	b->open_ = b->probing_ = false;
	b->good_us_ = now_us;
}

bool auth_breaker_bad(struct auth_breaker *b, int64_t began_us, int64_t now_us, bool probe)
{
	if (probe)
		b->probing_ = false;
	if (began_us < b->good_us_)
		return false;
	if (b->open_) {
		if (probe)
			b->next_us_ = now_us + b->retry_us;
		return false;
	}
	if (++b->bad_ < b->bad_max)
		return false;
	b->open_ = true;
	b->next_us_ = now_us + b->retry_us;
	return true;
}

void auth_breaker_unprobe(struct auth_breaker *b)
{
	b->probing_ = false;
}
