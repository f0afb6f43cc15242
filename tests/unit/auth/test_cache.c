#include "auth/auth_cache.h"

#include "test.h"

enum { S = 1000000 };

static struct auth_cache_key key_of(const struct auth_cache *c, const char *principal, const char *password)
{
	struct auth_cache_key key = { .b = { 0 } };

	CHECK_INT(0, auth_cache_key(c, span_of(principal), span_of(password), &key));
	return key;
}

static enum auth_answer get(struct auth_cache *c, const char *principal, const char *password, int64_t now_us)
{
	const struct auth_cache_key key = key_of(c, principal, password);
	int64_t age;

	return auth_cache_get(c, &key, now_us, &age);
}

static void put(struct auth_cache *c, const char *principal, const char *password, enum auth_answer answer,
		int64_t now_us)
{
	const struct auth_cache_key key = key_of(c, principal, password);

	auth_cache_put(c, &key, span_of(principal), answer, now_us);
}

static void answers_live_as_long_as_their_kind(void)
{
	struct auth_cache c;

	NEED(auth_cache_init(&c, 10, 300 * S, 45 * S) == 0);
	put(&c, "a@R", "right", AUTH_ANSWER_RIGHT, 0);
	put(&c, "a@R", "wrong", AUTH_ANSWER_WRONG, 0);
	put(&c, "b@R", "any", AUTH_ANSWER_LOCKED, 0);
	put(&c, "c@R", "any", AUTH_ANSWER_TEMPFAIL, 0);
	CHECK_INT(AUTH_ANSWER_RIGHT, get(&c, "a@R", "right", 299 * (int64_t)S));
	CHECK_INT(AUTH_ANSWER_WRONG, get(&c, "a@R", "wrong", 44 * S));
	CHECK_INT(AUTH_ANSWER_LOCKED, get(&c, "b@R", "any", 44 * S));
	CHECK_INT(AUTH_ANSWER_TEMPFAIL, get(&c, "a@R", "wrong", 45 * S));
	CHECK_INT(AUTH_ANSWER_TEMPFAIL, get(&c, "a@R", "right", 300 * (int64_t)S));
	CHECK_INT(AUTH_ANSWER_TEMPFAIL, get(&c, "a@R", "another", 1));
	CHECK_INT(1, c.map.n); /* what is over is dropped when it is met */
	auth_cache_deinit(&c);
}

static void right_answers_live_five_minutes_at_most(void)
{
	struct auth_cache c;

	NEED(auth_cache_init(&c, 10, 3600 * (int64_t)S, 0) == 0);
	put(&c, "a@R", "p", AUTH_ANSWER_RIGHT, 0);
	put(&c, "a@R", "q", AUTH_ANSWER_WRONG, 0);
	CHECK_INT(AUTH_ANSWER_TEMPFAIL, get(&c, "a@R", "p", 300 * (int64_t)S));
	CHECK_INT(AUTH_ANSWER_TEMPFAIL, get(&c, "a@R", "q", 0));
	auth_cache_deinit(&c);
}

static void name_and_password_do_not_run_together(void)
{
	struct auth_cache c;

	NEED(auth_cache_init(&c, 10, 300 * S, 45 * S) == 0);
	put(&c, "ab", "c", AUTH_ANSWER_RIGHT, 0);
	CHECK_INT(AUTH_ANSWER_TEMPFAIL, get(&c, "a", "bc", 0));
	auth_cache_deinit(&c);
}

static void the_oldest_goes_when_it_is_full(void)
{
	struct auth_cache c;
	char name[16];

	NEED(auth_cache_init(&c, 3, 300 * S, 45 * S) == 0);
	for (int i = 0; i < 5; i++) {
		snprintf(name, sizeof name, "u%d", i);
		put(&c, name, "p", AUTH_ANSWER_RIGHT, i);
	}
	CHECK_INT(3, c.map.n);
	CHECK_INT(AUTH_ANSWER_TEMPFAIL, get(&c, "u1", "p", 10));
	CHECK_INT(AUTH_ANSWER_RIGHT, get(&c, "u2", "p", 10));
	auth_cache_deinit(&c);
}

static void one_principal_is_forgotten_or_all(void)
{
	struct auth_cache c;

	NEED(auth_cache_init(&c, 10, 300 * S, 45 * S) == 0);
	put(&c, "a", "p", AUTH_ANSWER_RIGHT, 0);
	put(&c, "a", "q", AUTH_ANSWER_WRONG, 0);
	put(&c, "b", "p", AUTH_ANSWER_RIGHT, 0);
	auth_cache_forget(&c, SPAN("a"));
	CHECK_INT(AUTH_ANSWER_TEMPFAIL, get(&c, "a", "p", 1));
	CHECK_INT(AUTH_ANSWER_TEMPFAIL, get(&c, "a", "q", 1));
	CHECK_INT(AUTH_ANSWER_RIGHT, get(&c, "b", "p", 1));
	auth_cache_forget(&c, (struct span){ NULL, 0 });
	CHECK_INT(0, c.map.n);
	auth_cache_deinit(&c);
}

static void two_caches_have_different_keys(void)
{
	struct auth_cache a, b;

	NEED(auth_cache_init(&a, 1, S, S) == 0 && auth_cache_init(&b, 1, S, S) == 0);
	const struct auth_cache_key ka = key_of(&a, "x", "y"), kb = key_of(&b, "x", "y");
	CHECK(memcmp(&ka, &kb, sizeof ka) != 0);
	auth_cache_deinit(&a);
	auth_cache_deinit(&b);
}

TEST_MAIN(TEST(answers_live_as_long_as_their_kind), TEST(right_answers_live_five_minutes_at_most),
	  TEST(name_and_password_do_not_run_together), TEST(the_oldest_goes_when_it_is_full),
	  TEST(one_principal_is_forgotten_or_all), TEST(two_caches_have_different_keys))
