#include "base/mem.h"
#include "test.h"

static void memory_is_zeroed(void)
{
	unsigned char *p = mem_alloc(1000), *v = mem_alloc_array(10, 100);
	unsigned sum = 0;

	for (int i = 0; i < 1000; i++)
		sum += (unsigned)p[i] + v[i];
	CHECK_INT(0, sum);
	free(p);
	free(v);
}

static void nothing_is_something(void)
{
	void *a = mem_alloc(0), *b = mem_alloc_raw(0), *c = mem_alloc_array(0, 8), *d = mem_realloc(NULL, 0);

	CHECK(a && b && c && d);
	free(a);
	free(b);
	free(c);
	free(d);
}

static void strings_are_copied(void)
{
	char *a = mem_strdup("whole"), *b = mem_strndup("whole", 3), *c = mem_strndup(NULL, 0);

	CHECK_STR("whole", a);
	CHECK_STR("who", b);
	CHECK_STR("", c);
	free(a);
	free(b);
	free(c);
}

static void wiping_leaves_zeros(void)
{
	char text[] = "password";

	mem_wipe(text, sizeof text);
	for (size_t i = 0; i < sizeof text; i++)
		CHECK_INT(0, text[i]);
	mem_wipe(text, 0);
}

TEST_MAIN(TEST(memory_is_zeroed), TEST(nothing_is_something), TEST(strings_are_copied),
	  TEST(wiping_leaves_zeros))
