#include <stdalign.h>
#include <stddef.h>

#include "base/arena.h"
#include "test.h"

static void memory_is_zeroed_and_aligned(void)
{
	struct arena *a = arena_new(1 << 20);

	for (size_t n = 0; n < 3000; n += 7) {
		/* A string leaves the arena at any octet. */
		const struct span odd = arena_dup(a, span_make("xyz", n % 4));
		unsigned char *p = arena_alloc(a, n);
		NEED(odd.p && p);
		CHECK_INT(0, (uintptr_t)p % alignof(max_align_t));
		unsigned sum = 0;
		for (size_t i = 0; i < n; i++)
			sum += p[i];
		CHECK_INT(0, sum);
		memset(p, 0xaa, n);
	}
	arena_free(&a);
	CHECK(a == NULL);
	arena_free(&a);
}

static void the_maximum_holds(void)
{
	struct arena *a = arena_new(100);

	CHECK(arena_alloc(a, 101) == NULL);
	CHECK(arena_alloc(a, 60) != NULL);
	CHECK(arena_alloc(a, 60) == NULL);
	CHECK(arena_used(a) <= 100);
	arena_reset(a);
	CHECK_INT(0, arena_used(a));
	CHECK(arena_alloc(a, 100) != NULL);
	CHECK(arena_alloc(a, 1) == NULL);
	CHECK(arena_dup(a, SPAN("x")).p == NULL);
	CHECK(arena_strdup(a, SPAN("")) == NULL);
	CHECK(arena_printf(a, "%d", 1).p == NULL);
	arena_free(&a);
}

static void small_pieces_count_too(void)
{
	struct arena *a = arena_new(1600);
	int n = 0;

	while (n < 10000 && arena_alloc(a, 1))
		n++;
	CHECK(n >= 100 && n <= 1600);
	arena_free(&a);
}

static void absurd_sizes_are_refused(void)
{
	struct arena *a = arena_new(SIZE_MAX);

	CHECK(arena_alloc(a, SIZE_MAX) == NULL);
	CHECK(arena_alloc(a, SIZE_MAX - 8) == NULL);
	CHECK(arena_alloc_array(a, SIZE_MAX / 2 + 2, 2) == NULL);
	CHECK(arena_array(a, uint64_t, SIZE_MAX / 4) == NULL);
	CHECK(arena_dup(a, span_make("", SIZE_MAX)).p == NULL);
	CHECK(arena_array(a, uint64_t, 0) != NULL);
	arena_free(&a);
}

static void strings_end_with_nul(void)
{
	struct arena *a = arena_new(4096);
	const struct span s = arena_dup(a, SPAN("ab\0c"));

	CHECK_INT(4, s.n);
	CHECK_INT(0, s.p[4]);
	CHECK_STR("xy", arena_strdup(a, SPAN("xy")));
	CHECK_SPAN("7-seven", arena_printf(a, "%d-%s", 7, "seven"));
	const struct span empty = arena_dup(a, (struct span){ NULL, 0 });
	CHECK(empty.p && empty.n == 0 && empty.p[0] == 0);
	arena_free(&a);
}

static void it_lives_on_after_reset_and_release(void)
{
	struct arena *a = arena_new(1 << 20);

	for (int round = 0; round < 5; round++) {
		for (int i = 0; i < 100; i++) {
			char *p = arena_alloc(a, 1000);
			NEED(p);
			memset(p, round, 1000);
		}
		CHECK(arena_used(a) >= 100000);
		if (round % 2)
			arena_release(a);
		else
			arena_reset(a);
		CHECK_INT(0, arena_used(a));
	}
	arena_free(&a);
}

struct thing {
	int x;
	double y;
};

static void typed_helpers_fit(void)
{
	struct arena *a = arena_new(4096);
	struct thing *one = arena_new_of(a, struct thing), *many = arena_array(a, struct thing, 10);

	NEED(one && many);
	many[9].y = 1;
	CHECK_INT(0, one->x);
	arena_free(&a);
}

TEST_MAIN(TEST(memory_is_zeroed_and_aligned), TEST(the_maximum_holds), TEST(small_pieces_count_too),
	  TEST(absurd_sizes_are_refused), TEST(strings_end_with_nul),
	  TEST(it_lives_on_after_reset_and_release), TEST(typed_helpers_fit))
