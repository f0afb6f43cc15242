/* Time is an argument, so that an hour takes no time. */
#include "test.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/check.h"
#include "state/bans_memory.h"

#define SECOND INT64_C(1000000)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)
#define T0     (5 * MINUTE)

/* the sixth failure within ten minutes. */
static const struct bans_rules rules = {
	.failures_max = 5, .user_failures_max = 5, .find_us = 10 * MINUTE, .ban_us = 10 * MINUTE
};

static struct ip_addr ip(const char *text)
{
	struct ip_addr a = { 0 };

	if (!ip_parse(span_of(text), &a))
		abort();
	return a;
}

static struct bans *bans_of(uint32_t entries_max)
{
	return bans_memory_new(
		&(struct bans_memory_config){ .entries_max = entries_max, .known_us = 7 * DAY });
}

/* The secret number @n, as an exchange names it. */
static enum bans_kind fail(struct bans *b, const char *addr, const char *user, unsigned n, int64_t at_us)
{
	const struct ip_addr a = ip(addr);
	uint8_t id[BANS_SECRET_ID] = { 0xaa };

	memcpy(id + 4, &n, sizeof n);
	return bans_failed(b, &rules, &a, span_of(user), id, at_us, NULL);
}

static enum bans_kind look(struct bans *b, const char *addr, const char *user, int64_t at_us)
{
	const struct ip_addr a = ip(addr);

	return bans_check(b, &rules, &a, span_of(user), at_us, NULL);
}

static void get_in(struct bans *b, const char *addr, const char *user, int64_t at_us)
{
	const struct ip_addr a = ip(addr);

	bans_ok(b, &rules, &a, span_of(user), at_us);
}

static void the_sixth_attempt_is_turned_away(void)
{
	struct bans *b = bans_of(1000);
	const struct ip_addr a = ip("192.0.2.1");
	struct bans_ban ban = { 0 };
	char user[] = "user0";

	for (unsigned i = 0; i < 4; i++) {
		user[4] = (char)('0' + i);
		CHECK_INT(BANS_NOBODY, look(b, "192.0.2.1", user, T0 + i * MINUTE));
		CHECK_INT(BANS_NOBODY, fail(b, "192.0.2.1", user, i, T0 + i * MINUTE));
	}
	CHECK_INT(BANS_NOBODY, look(b, "192.0.2.1", "user9", T0 + 4 * MINUTE));
	const uint8_t id[BANS_SECRET_ID] = { 1 };
	CHECK_INT(BANS_ADDRESS, bans_failed(b, &rules, &a, SPAN("user9"), id, T0 + 4 * MINUTE, &ban));
	CHECK_INT(BANS_ADDRESS, ban.kind);
	CHECK_STR("192.0.2.1/32", ip_net_format(&ban.net).s);
	CHECK_INT(5, ban.failures);
	CHECK_INT(T0 + 4 * MINUTE, ban.since_us);
	CHECK_INT(T0 + 14 * MINUTE, ban.until_us);

	CHECK_INT(BANS_ADDRESS, look(b, "192.0.2.1", "", T0 + 4 * MINUTE));
	CHECK_INT(BANS_ADDRESS, look(b, "192.0.2.1", "new", T0 + 14 * MINUTE - 1));
	CHECK_INT(BANS_NOBODY, look(b, "192.0.2.2", "new", T0 + 5 * MINUTE));
	CHECK_INT(BANS_NOBODY, look(b, "192.0.2.1", "new", T0 + 14 * MINUTE));
	/* and then it begins anew */
	CHECK_INT(BANS_NOBODY, fail(b, "192.0.2.1", "a", 100, T0 + 14 * MINUTE));
	CHECK_INT(BANS_NOBODY, look(b, "192.0.2.1", "a", T0 + 14 * MINUTE));
	bans_free(&b);
	CHECK(b == NULL);
	bans_free(&b);
}

static void old_failures_are_forgotten(void)
{
	struct bans *b = bans_of(1000);

	for (unsigned i = 0; i < 50; i++)
		CHECK_INT(BANS_NOBODY, fail(b, "192.0.2.1", "u", i,
					    T0 + i * 150 * SECOND)); /* never five in ten minutes */
	CHECK_INT(BANS_NOBODY, look(b, "192.0.2.1", "u", T0 + 50 * 150 * SECOND));
	bans_free(&b);
}

/* A copier whose password was changed asks again and again; those behind the same NAT do not suffer. */
static void one_wrong_secret_counts_once(void)
{
	struct bans *b = bans_of(1000);

	for (unsigned i = 0; i < 1000; i++)
		CHECK_INT(BANS_NOBODY, fail(b, "192.0.2.1", "copier", 1, T0 + i * SECOND));
	CHECK_INT(BANS_NOBODY, look(b, "192.0.2.1", "copier", T0 + 1000 * SECOND));
	/* three stale devices there: still not five */
	CHECK_INT(BANS_NOBODY, fail(b, "192.0.2.1", "scanner", 2, T0 + 1000 * SECOND));
	CHECK_INT(BANS_NOBODY, fail(b, "192.0.2.1", "fax", 3, T0 + 1000 * SECOND));
	CHECK_INT(BANS_NOBODY, look(b, "192.0.2.1", "another", T0 + 1000 * SECOND));
	bans_free(&b);
}

static void one_secret_on_many_users_counts_each(void)
{
	struct bans *b = bans_of(1000);
	enum bans_kind k = BANS_NOBODY;
	char user[] = "user0";

	for (unsigned i = 0; i < 5; i++) {
		CHECK_INT(BANS_NOBODY, k);
		user[4] = (char)('0' + i);
		k = fail(b, "192.0.2.1", user, 1, T0);
	}
	CHECK_INT(BANS_ADDRESS, k);
	bans_free(&b);
}

static void an_unknown_secret_counts_each_time(void)
{
	struct bans *b = bans_of(1000);
	const struct ip_addr a = ip("192.0.2.1");
	struct bans_ban ban;

	for (unsigned i = 0; i < 4; i++)
		CHECK_INT(BANS_NOBODY, bans_failed(b, &rules, &a, SPAN(""), NULL, T0, &ban));
	CHECK_INT(BANS_ADDRESS, bans_failed(b, &rules, &a, SPAN(""), NULL, T0, &ban));
	bans_free(&b);
}

static void a_user_is_banned_whoever_tried(void)
{
	struct bans *b = bans_of(1000);
	char addr[] = "198.51.100.0";
	struct bans_ban ban = { 0 };
	enum bans_kind k = BANS_NOBODY;

	get_in(b, "192.0.2.7", "copier7", T0);
	for (unsigned i = 0; i < 5; i++) {
		CHECK_INT(BANS_NOBODY, k);
		addr[11] = (char)('0' + i);
		k = fail(b, addr, i % 2 ? "copier7" : "COPIER7", i, T0 + MINUTE);
	}
	CHECK_INT(BANS_USER, k);
	CHECK_INT(BANS_USER, look(b, "203.0.113.1", "Copier7", T0 + 2 * MINUTE));
	CHECK_INT(BANS_NOBODY, look(b, "203.0.113.1", "", T0 + 2 * MINUTE));
	CHECK_INT(BANS_NOBODY, look(b, "203.0.113.1", "copier8", T0 + 2 * MINUTE));
	/* the device itself goes on working */
	CHECK_INT(BANS_NOBODY, look(b, "192.0.2.7", "copier7", T0 + 2 * MINUTE));
	CHECK_INT(1, bans_list(b, T0 + 2 * MINUTE, &ban, 1));
	CHECK_STR("copier7", ban.user);
	CHECK_INT(BANS_USER, ban.kind);
	CHECK_INT(BANS_NOBODY, look(b, "203.0.113.1", "copier7", T0 + 11 * MINUTE));
	bans_free(&b);
}

static void an_address_is_known_for_a_time(void)
{
	struct bans *b = bans_of(1000);
	char addr[] = "198.51.100.0";

	get_in(b, "192.0.2.7", "u", T0);
	for (unsigned i = 0; i < 5; i++) {
		addr[11] = (char)('0' + i);
		fail(b, addr, "u", i, T0 + 7 * DAY - 1);
	}
	CHECK_INT(BANS_NOBODY, look(b, "192.0.2.7", "u", T0 + 7 * DAY - 1));
	CHECK_INT(BANS_USER, look(b, "192.0.2.7", "u", T0 + 7 * DAY));
	bans_free(&b);
}

static void a_user_has_so_many_known_addresses(void)
{
	struct bans *b = bans_of(1000);
	char addr[] = "192.0.2.10", from[] = "198.51.100.0";

	for (unsigned i = 0; i < 9; i++) {
		addr[9] = (char)('0' + i);
		get_in(b, addr, "u", T0 + i);
	}
	for (unsigned i = 0; i < 5; i++) {
		from[11] = (char)('0' + i);
		fail(b, from, "u", i, T0 + MINUTE);
	}
	CHECK_INT(BANS_USER,
		  look(b, "192.0.2.10", "u", T0 + MINUTE)); /* the one seen longest ago had to go */
	CHECK_INT(BANS_NOBODY, look(b, "192.0.2.11", "u", T0 + MINUTE));
	CHECK_INT(BANS_NOBODY, look(b, "192.0.2.18", "u", T0 + MINUTE));
	bans_free(&b);
}

static void success_takes_back_its_own_failures_only(void)
{
	struct bans *b = bans_of(1000);

	for (unsigned i = 0; i < 3; i++)
		fail(b, "192.0.2.1", "mine", i, T0);
	get_in(b, "192.0.2.1", "mine", T0);
	for (unsigned i = 0; i < 4; i++) {
		CHECK_INT(BANS_NOBODY, fail(b, "192.0.2.1", "yours", 10 + i, T0));
		get_in(b, "192.0.2.1", "mine", T0); /* who has an account cannot go on for ever with it */
	}
	CHECK_INT(BANS_ADDRESS, fail(b, "192.0.2.1", "hers", 20, T0));
	bans_free(&b);
}

static void an_ipv6_network_is_one_address(void)
{
	struct bans *b = bans_of(1000);
	char addr[] = "2001:db8:1:2::0";
	struct bans_ban ban;

	for (unsigned i = 0; i < 5; i++) {
		addr[14] = (char)('0' + i);
		fail(b, addr, "", i, T0);
	}
	CHECK_INT(BANS_ADDRESS, look(b, "2001:db8:1:2:ffff::9", "", T0));
	CHECK_INT(BANS_NOBODY, look(b, "2001:db8:1:3::9", "", T0));
	CHECK_INT(1, bans_list(b, T0, &ban, 1));
	CHECK_STR("2001:db8:1:2::/64", ip_net_format(&ban.net).s);
	CHECK_INT(5, ban.failures);
	bans_free(&b);
}

static void some_networks_are_never_banned(void)
{
	struct bans *b = bans_of(1000);
	struct bans_rules mine = rules;
	struct ip_set *never = ip_set_new();
	struct ip_net net;
	const struct ip_addr inside = ip("192.0.2.1"), outside = ip("192.0.3.1");
	struct bans_memory_stats st;

	NEED(ip_net_parse(SPAN("192.0.2.0/24"), &net));
	ip_set_add(never, &net);
	mine.never = never;
	for (unsigned i = 0; i < 20; i++)
		CHECK_INT(BANS_NOBODY, bans_failed(b, &mine, &inside, SPAN("u"), NULL, T0, NULL));
	CHECK_INT(BANS_NOBODY, bans_check(b, &mine, &inside, SPAN("u"), T0, NULL));
	bans_memory_stats(b, &st);
	CHECK_INT(0, st.addresses + st.users);
	/* banned before it was in the list, or by a listener that does not have it there */
	for (unsigned i = 0; i < 5; i++)
		bans_failed(b, &rules, &inside, SPAN("u"), NULL, T0, NULL);
	CHECK_INT(BANS_ADDRESS, bans_check(b, &rules, &inside, SPAN("u"), T0, NULL));
	CHECK_INT(BANS_NOBODY, bans_check(b, &mine, &inside, SPAN("u"), T0, NULL));
	CHECK_INT(BANS_USER, bans_check(b, &mine, &outside, SPAN("u"), T0, NULL));
	ip_set_free(&never);
	bans_free(&b);
}

static void zero_turns_it_off(void)
{
	struct bans *b = bans_of(1000);
	const struct bans_rules off = { .find_us = MINUTE, .ban_us = MINUTE },
				no_users = { .failures_max = 5, .find_us = MINUTE, .ban_us = MINUTE };
	const struct ip_addr a = ip("192.0.2.1"), other = ip("192.0.2.2");

	for (unsigned i = 0; i < 10; i++)
		CHECK_INT(BANS_NOBODY, bans_failed(b, &off, &a, SPAN("u"), NULL, T0, NULL));
	for (unsigned i = 0; i < 4; i++)
		CHECK_INT(BANS_NOBODY, bans_failed(b, &no_users, &a, SPAN("u"), NULL, T0, NULL));
	CHECK_INT(BANS_ADDRESS, bans_failed(b, &no_users, &a, SPAN("u"), NULL, T0, NULL));
	CHECK_INT(BANS_NOBODY, bans_check(b, &no_users, &other, SPAN("u"), T0, NULL));
	CHECK_INT(BANS_NOBODY, bans_check(b, &off, &a, SPAN("u"), T0, NULL));
	bans_free(&b);
}

static void operators_list_and_lift(void)
{
	struct bans *b = bans_of(1000);
	struct bans_ban ban[4];
	const struct ip_addr a = ip("192.0.2.1"), other = ip("192.0.2.2");
	char addr[] = "198.51.100.0";

	for (unsigned i = 0; i < 5; i++) {
		addr[11] = (char)('0' + i);
		fail(b, "192.0.2.1", "", i, T0);
		fail(b, addr, "u", i, T0);
	}
	CHECK_INT(2, bans_list(b, T0, ban, ARRAY_LEN(ban)));
	CHECK_INT(2, bans_list(b, T0, ban, 1));
	CHECK_INT(0, bans_list(b, T0 + 10 * MINUTE, ban, ARRAY_LEN(ban)));
	for (unsigned i = 0; i < 5; i++)
		fail(b, "192.0.2.1", "u", i, T0 + 20 * MINUTE); /* both at once: the address is named */
	CHECK_INT(2, bans_list(b, T0 + 20 * MINUTE, ban, ARRAY_LEN(ban)));
	CHECK(!bans_remove_address(b, &other, T0 + 20 * MINUTE));
	CHECK(!bans_remove_user(b, SPAN("x"), T0 + 20 * MINUTE));
	CHECK(bans_remove_address(b, &a, T0 + 20 * MINUTE));
	CHECK(!bans_remove_address(b, &a, T0 + 20 * MINUTE));
	CHECK_INT(BANS_NOBODY, look(b, "192.0.2.1", "", T0 + 20 * MINUTE));
	CHECK_INT(BANS_USER, look(b, "192.0.2.1", "u", T0 + 20 * MINUTE));
	CHECK(bans_remove_user(b, SPAN("U"), T0 + 20 * MINUTE));
	CHECK_INT(BANS_NOBODY, look(b, "192.0.2.1", "u", T0 + 20 * MINUTE));
	for (unsigned i = 0; i < 5; i++)
		fail(b, "192.0.2.1", "u", i, T0 + 20 * MINUTE);
	CHECK_INT(2, bans_clear(b, T0 + 20 * MINUTE));
	CHECK_INT(0, bans_clear(b, T0 + 20 * MINUTE));
	bans_free(&b);
}

static void memory_is_bounded_and_bans_stay(void)
{
	enum { ENTRIES = 320, FLOOD = 50000 };
	struct bans *b = bans_of(ENTRIES);
	struct bans_memory_stats st;

	for (unsigned i = 0; i < 5; i++)
		fail(b, "192.0.2.1", "", i, T0);
	get_in(b, "192.0.2.9", "device", T0);
	for (unsigned i = 0; i < FLOOD; i++) {
		const struct ip_addr a = { .len = 4,
					   .b = { 10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i } };
		char user[16];
		snprintf(user, sizeof user, "u%u", i);
		bans_failed(b, &rules, &a, span_of(user), NULL, T0 + MINUTE, NULL);
	}
	bans_memory_stats(b, &st);
	CHECK(st.addresses <= ENTRIES && st.users <= ENTRIES);
	CHECK(st.forgotten >= 2 * (FLOOD - ENTRIES));
	CHECK_INT(BANS_ADDRESS, look(b, "192.0.2.1", "", T0 + MINUTE));
	char addr[] = "198.51.100.0";
	for (unsigned i = 0; i < 5; i++) {
		addr[11] = (char)('0' + i);
		fail(b, addr, "device", i, T0 + MINUTE);
	}
	CHECK_INT(BANS_NOBODY, look(b, "192.0.2.9", "device", T0 + MINUTE)); /* still known */
	CHECK_INT(BANS_USER, look(b, "192.0.2.8", "device", T0 + MINUTE));
	/* What was is thrown away as the table is used. */
	for (unsigned i = 0; i < ENTRIES * 2; i++) {
		const struct ip_addr a = { .len = 4, .b = { 11, 0, (uint8_t)(i >> 8), (uint8_t)i } };
		bans_failed(b, &rules, &a, SPAN("one"), NULL, T0 + 2 * DAY + i * HOUR, NULL);
	}
	bans_memory_stats(b, &st);
	CHECK(st.addresses <= 40);
	bans_free(&b);
}

static void a_table_of_bans_lets_the_first_to_end_go(void)
{
	struct bans *b = bans_of(1); /* 16 shards of one entry */
	struct bans_memory_stats st;

	for (unsigned i = 0; i < 1000; i++) {
		const struct ip_addr a = { .len = 4, .b = { 10, 0, (uint8_t)(i >> 8), (uint8_t)i } };
		for (unsigned k = 0; k < 5; k++)
			bans_failed(b, &rules, &a, SPAN(""), NULL, T0 + i, NULL);
		CHECK_INT(BANS_ADDRESS, bans_check(b, &rules, &a, SPAN(""), T0 + i, NULL));
	}
	bans_memory_stats(b, &st);
	CHECK(st.addresses <= 16);
	bans_free(&b);
}

static void long_names_are_cut(void)
{
	struct bans *b = bans_of(100);
	char name[2000];
	struct bans_ban ban;
	const struct ip_addr a = ip("192.0.2.1");
	struct bans_rules users = rules;

	users.failures_max = 0;
	memset(name, 'A', sizeof name);
	for (unsigned i = 0; i < 5; i++)
		bans_failed(b, &users, &a, span_make(name, sizeof name - i), NULL, T0, NULL);
	NEED(bans_list(b, T0, &ban, 1) == 1);
	CHECK_INT(BANS_USER_MAX, strlen(ban.user));
	CHECK_INT('a', ban.user[0]);
	bans_free(&b);
}

/* ---- several workers ----------------------------------------------------------------------------------- */

enum { THREADS = 4, ROUNDS = 4000 };

struct crowd {
	struct bans *b;
	_Atomic unsigned begun, seed;
};

static void *guess(void *arg)
{
	struct crowd *c = arg;
	unsigned random = atomic_fetch_add(&c->seed, 7919);
	struct bans_ban ban[8];

	for (int i = 0; i < ROUNDS; i++) {
		random = random * 1103515245u + 12345u;
		const struct ip_addr a = { .len = 4, .b = { 192, 0, 2, (uint8_t)(random >> 16) } };
		const char user[] = { 'u', (char)('a' + (random >> 24) % 20), 0 };
		const int64_t now = T0 + i * SECOND;
		if (bans_check(c->b, &rules, &a, span_of(user), now, &ban[0]) != BANS_NOBODY)
			CHECK(ban[0].until_us > now);
		if (bans_failed(c->b, &rules, &a, span_of(user), NULL, now, &ban[0]) != BANS_NOBODY)
			atomic_fetch_add(&c->begun, 1);
		if (random % 5 == 0)
			bans_ok(c->b, &rules, &a, span_of(user), now);
		if (random % 101 == 0)
			bans_list(c->b, now, ban, ARRAY_LEN(ban));
		if (random % 211 == 0)
			bans_remove_address(c->b, &a, now);
	}
	return NULL;
}

static void workers_share_it(void)
{
	struct crowd c = { .b = bans_of(100) };
	pthread_t thread[THREADS];
	struct bans_memory_stats st;

	for (int i = 0; i < THREADS; i++)
		NEED(pthread_create(&thread[i], NULL, guess, &c) == 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	CHECK(c.begun > 0);
	bans_memory_stats(c.b, &st);
	CHECK(st.addresses <= 112 && st.users <= 112);
	bans_free(&c.b);
}

TEST_MAIN(TEST(the_sixth_attempt_is_turned_away), TEST(old_failures_are_forgotten),
	  TEST(one_wrong_secret_counts_once), TEST(one_secret_on_many_users_counts_each),
	  TEST(an_unknown_secret_counts_each_time), TEST(a_user_is_banned_whoever_tried),
	  TEST(an_address_is_known_for_a_time), TEST(a_user_has_so_many_known_addresses),
	  TEST(success_takes_back_its_own_failures_only), TEST(an_ipv6_network_is_one_address),
	  TEST(some_networks_are_never_banned), TEST(zero_turns_it_off), TEST(operators_list_and_lift),
	  TEST(memory_is_bounded_and_bans_stay), TEST(a_table_of_bans_lets_the_first_to_end_go),
	  TEST(long_names_are_cut), TEST(workers_share_it))
