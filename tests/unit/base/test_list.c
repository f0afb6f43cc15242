#include "base/list.h"
#include "test.h"

struct item {
	int v;
	struct list link;
};

static void text_of(const struct list *head, char *out)
{
	list_for_each(it, head)
		*out++ = (char)('0' + list_entry(it, struct item, link)->v);
	*out = 0;
}

#define CHECK_LIST(want, head)                                                                               \
	do {                                                                                                 \
		char got_list[32];                                                                           \
		text_of((head), got_list);                                                                   \
		CHECK_STR((want), got_list);                                                                 \
	} while (0)

static void order_is_kept(void)
{
	struct list head;
	struct item a = { 1, { 0 } }, b = { 2, { 0 } }, c = { 3, { 0 } };

	list_init(&head);
	CHECK(list_empty(&head) && list_first(&head) == NULL && list_pop_front(&head) == NULL);
	list_push_back(&head, &b.link);
	list_push_back(&head, &c.link);
	list_push_front(&head, &a.link);
	CHECK_LIST("123", &head);
	CHECK(list_first(&head) == &a.link);
	list_remove(&b.link);
	list_remove(&b.link); /* harmless */
	CHECK_LIST("13", &head);
	list_insert_before(&c.link, &b.link);
	CHECK_LIST("123", &head);
	CHECK(list_pop_front(&head) == &a.link);
	CHECK(list_empty(&a.link));
	CHECK_LIST("23", &head);
}

static void splicing_moves_all(void)
{
	struct list to, from;
	struct item v[4] = { { 1, { 0 } }, { 2, { 0 } }, { 3, { 0 } }, { 4, { 0 } } };

	list_init(&to);
	list_init(&from);
	list_splice_back(&to, &from);
	CHECK(list_empty(&to));
	list_push_back(&from, &v[0].link);
	list_push_back(&from, &v[1].link);
	list_splice_back(&to, &from);
	CHECK_LIST("12", &to);
	CHECK(list_empty(&from));
	list_push_back(&from, &v[2].link);
	list_push_back(&from, &v[3].link);
	list_splice_back(&to, &from);
	CHECK_LIST("1234", &to);
	CHECK(list_empty(&from));
}

static void the_one_in_hand_may_go(void)
{
	struct list head;
	struct item v[5];

	list_init(&head);
	for (int i = 0; i < 5; i++) {
		v[i].v = i;
		list_push_back(&head, &v[i].link);
	}
	list_for_each_safe(it, &head) {
		if (list_entry(it, struct item, link)->v % 2 == 0)
			list_remove(it);
	}
	CHECK_LIST("13", &head);
}

TEST_MAIN(TEST(order_is_kept), TEST(splicing_moves_all), TEST(the_one_in_hand_may_go))
