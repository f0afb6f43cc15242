#include "auth/auth_breaker.h"

#include "test.h"

enum { RETRY = 1000 };

static struct auth_breaker opened(int64_t at)
{
	struct auth_breaker b;

	auth_breaker_init(&b, 3, RETRY);
	CHECK(!auth_breaker_bad(&b, at - 2, at - 2, false));
	CHECK(!auth_breaker_bad(&b, at - 1, at - 1, false));
	CHECK(auth_breaker_bad(&b, at, at, false));
	CHECK(auth_breaker_open(&b));
	return b;
}

static void opens_after_failures_in_a_row(void)
{
	struct auth_breaker b;

	auth_breaker_init(&b, 3, RETRY);
	auth_breaker_bad(&b, 1, 1, false);
	auth_breaker_bad(&b, 2, 2, false);
	auth_breaker_good(&b, 3);
	auth_breaker_bad(&b, 4, 4, false);
	auth_breaker_bad(&b, 5, 5, false);
	CHECK_INT(AUTH_BREAKER_GO, auth_breaker_ask(&b, 6));
	CHECK(auth_breaker_bad(&b, 6, 6, false));
	CHECK_INT(AUTH_BREAKER_STOP, auth_breaker_ask(&b, 7));
}

static void one_probe_each_interval(void)
{
	struct auth_breaker b = opened(10);

	CHECK_INT(AUTH_BREAKER_STOP, auth_breaker_ask(&b, 10 + RETRY - 1));
	CHECK_INT(AUTH_BREAKER_PROBE, auth_breaker_ask(&b, 10 + RETRY));
	CHECK_INT(AUTH_BREAKER_STOP, auth_breaker_ask(&b, 10 + 5 * RETRY));
	CHECK(!auth_breaker_bad(&b, 10 + RETRY, 2000, true));
	CHECK_INT(AUTH_BREAKER_STOP, auth_breaker_ask(&b, 2000 + RETRY - 1));
	CHECK_INT(AUTH_BREAKER_PROBE, auth_breaker_ask(&b, 2000 + RETRY));
	auth_breaker_good(&b, 4000);
	CHECK(!auth_breaker_open(&b));
	CHECK_INT(AUTH_BREAKER_GO, auth_breaker_ask(&b, 4001));
}

static void a_probe_that_never_began_is_given_again(void)
{
	struct auth_breaker b = opened(10);

	CHECK_INT(AUTH_BREAKER_PROBE, auth_breaker_ask(&b, 10 + RETRY));
	auth_breaker_unprobe(&b);
	CHECK_INT(AUTH_BREAKER_PROBE, auth_breaker_ask(&b, 10 + RETRY));
}

static void old_news_is_no_news(void)
{
	struct auth_breaker b;

	auth_breaker_init(&b, 1, RETRY);
	auth_breaker_good(&b, 100);
	CHECK(!auth_breaker_bad(&b, 99, 200, false));
	CHECK(auth_breaker_bad(&b, 150, 200, false));
	/* What was under way when it opened does not move the next probe. */
	auth_breaker_bad(&b, 160, 900, false);
	CHECK_INT(AUTH_BREAKER_PROBE, auth_breaker_ask(&b, 200 + RETRY));
}

TEST_MAIN(TEST(opens_after_failures_in_a_row), TEST(one_probe_each_interval),
	  TEST(a_probe_that_never_began_is_given_again), TEST(old_news_is_no_news))
