#include "base/random.h"
#include "test.h"

static void bytes_differ(void)
{
	unsigned char a[64] = { 0 }, b[64] = { 0 };

	random_bytes(a, sizeof a);
	random_bytes(b, sizeof b);
	CHECK(memcmp(a, b, sizeof a) != 0);
	random_bytes(a, 0);
	CHECK(random_u64() != random_u64());
}

static void below_is_uniform_enough(void)
{
	unsigned seen[10] = { 0 };

	for (int i = 0; i < 10000; i++) {
		const uint64_t v = random_below(10);
		NEED(v < 10);
		seen[v]++;
	}
	for (int i = 0; i < 10; i++)
		CHECK(seen[i] > 700 && seen[i] < 1300); /* ten standard deviations */
	CHECK_INT(0, random_below(1));
	CHECK(random_below(UINT64_MAX) < UINT64_MAX);
}

static void an_id_is_its_number(void)
{
	uint64_t v = 0;
	const uint64_t numbers[] = { 0, 1, 31, 32, 0x0123456789abcdefu, (UINT64_C(1) << 60) - 1 };

	CHECK_STR("222222222222", id_from_u64(0).s);
	CHECK_STR("zzzzzzzzzzzz", id_from_u64(UINT64_MAX).s);
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
		const struct id id = id_from_u64(numbers[i]);
		CHECK_INT(ID_LEN, strlen(id.s));
		CHECK(id_parse(span_of(id.s), &v));
		CHECK_INT(numbers[i] & ((UINT64_C(1) << 60) - 1), v);
	}
}

static void the_alphabet_has_32_letters(void)
{
	bool used[256] = { false };

	for (uint64_t v = 0; v < 32; v++) {
		const unsigned char last = (unsigned char)id_from_u64(v).s[ID_LEN - 1];
		CHECK(!used[last]);
		CHECK(last != '0' && last != '1' && last != 'l' && last != 'o');
		used[last] = true;
	}
}

static void what_is_no_id_is_refused(void)
{
	uint64_t v = 77;

	CHECK(!id_parse(SPAN(""), &v));
	CHECK(!id_parse(SPAN("22222222222"), &v));
	CHECK(!id_parse(SPAN("2222222222222"), &v));
	CHECK(!id_parse(SPAN("22222222222l"), &v));
	CHECK(!id_parse(SPAN("22222222222-"), &v));
	CHECK(!id_parse(SPAN("22222222222\0"), &v));
	CHECK(!id_parse(SPAN("22222222222\xe4"), &v));
	CHECK_INT(77, v);
	CHECK(id_parse(SPAN("22222222222A"), &v)); /* as somebody may type it */
	CHECK_INT(8, v);
}

static void ids_do_not_repeat(void)
{
	struct id ids[200];

	for (int i = 0; i < 200; i++) {
		ids[i] = id_random();
		for (int k = 0; k < i; k++)
			CHECK(strcmp(ids[i].s, ids[k].s) != 0);
	}
}

TEST_MAIN(TEST(bytes_differ), TEST(below_is_uniform_enough), TEST(an_id_is_its_number),
	  TEST(the_alphabet_has_32_letters), TEST(what_is_no_id_is_refused), TEST(ids_do_not_repeat))
