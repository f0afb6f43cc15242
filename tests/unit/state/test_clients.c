#include "test.h"

#include <pthread.h>

#include "state/clients.h"

static struct ip_addr ip(const char *text)
{
	struct ip_addr a = { 0 };

	if (!ip_parse(span_of(text), &a))
		abort();
	return a;
}

static void a_client_has_its_own_limit(void)
{
	struct clients *c = clients_new();
	struct clients_total total = { 0 };
	const struct clients_limits limits = { .per_client_max = 2 };
	const struct ip_addr a = ip("192.0.2.1"), b = ip("192.0.2.2");
	uint32_t open = 99;

	CHECK_INT(CLIENTS_OK, clients_enter(c, &a, &total, &limits, &open));
	CHECK_INT(1, open);
	CHECK_INT(CLIENTS_OK, clients_enter(c, &a, &total, &limits, &open));
	CHECK_INT(CLIENTS_OVER_CLIENT, clients_enter(c, &a, &total, &limits, &open));
	CHECK_INT(2, open);
	CHECK_INT(CLIENTS_OK, clients_enter(c, &b, &total, &limits, NULL));
	CHECK_INT(3, total.open);
	CHECK_INT(2, clients_distinct(c));
	clients_leave(c, &a, &total);
	CHECK_INT(CLIENTS_OK, clients_enter(c, &a, &total, &limits, &open));
	clients_leave(c, &a, &total);
	clients_leave(c, &a, &total);
	clients_leave(c, &b, &total);
	CHECK_INT(0, total.open);
	CHECK_INT(0, clients_distinct(c));
	clients_free(&c);
}

static void a_listener_has_its_own_total(void)
{
	struct clients *c = clients_new();
	struct clients_total one = { 0 }, two = { 0 };
	const struct clients_limits limits = { .total_max = 1 }, none = { 0 };
	const struct ip_addr a = ip("192.0.2.1"), b = ip("192.0.2.2");
	uint32_t open;

	CHECK_INT(CLIENTS_OK, clients_enter(c, &a, &one, &limits, NULL));
	CHECK_INT(CLIENTS_OVER_TOTAL, clients_enter(c, &b, &one, &limits, &open));
	CHECK_INT(1, open);
	CHECK_INT(CLIENTS_OK, clients_enter(c, &b, &two, &limits, NULL));
	CHECK_INT(CLIENTS_OK, clients_enter(c, &b, &two, &none, NULL));
	CHECK_INT(1, clients_open(c, &a));
	CHECK_INT(2, clients_open(c, &b));
	clients_leave(c, &a, &one);
	clients_leave(c, &b, &two);
	clients_leave(c, &b, &two);
	clients_free(&c);
}

static void networks_of_one_host_are_one_client(void)
{
	struct clients *c = clients_new();
	struct clients_total total = { 0 };
	const struct clients_limits limits = { .per_client_max = 1 };
	const struct ip_addr a = ip("2001:db8:1:2::1"), same = ip("2001:db8:1:2:ffff::9"),
			     other = ip("2001:db8:1:3::1");
	const struct ip_addr four = ip("192.0.2.1"), mapped = ip("::ffff:192.0.2.1");

	CHECK_INT(CLIENTS_OK, clients_enter(c, &a, &total, &limits, NULL));
	CHECK_INT(CLIENTS_OVER_CLIENT, clients_enter(c, &same, &total, &limits, NULL));
	CHECK_INT(CLIENTS_OK, clients_enter(c, &other, &total, &limits, NULL));
	CHECK_INT(CLIENTS_OK, clients_enter(c, &four, &total, &limits, NULL));
	CHECK_INT(CLIENTS_OVER_CLIENT, clients_enter(c, &mapped, &total, &limits, NULL));
	clients_leave(c, &same, &total);
	clients_leave(c, &other, &total);
	clients_leave(c, &mapped, &total);
	clients_free(&c);
}

enum { THREADS = 4, ROUNDS = 20000, CLIENTS = 7, PER_CLIENT = 2, TOTAL = 9 };

struct crowd {
	struct clients *c;
	struct clients_total total;
	_Atomic int in[CLIENTS];
	_Atomic int all;
	_Atomic unsigned over;
};

static void *come_and_go(void *arg)
{
	struct crowd *crowd = arg;
	const struct clients_limits limits = { .per_client_max = PER_CLIENT, .total_max = TOTAL };
	unsigned random = (unsigned)(uintptr_t)&crowd;

	for (int i = 0; i < ROUNDS; i++) {
		random = random * 1103515245u + 12345u;
		const unsigned who = (random >> 16) % CLIENTS;
		const struct ip_addr a = { .len = 4, .b = { 192, 0, 2, (uint8_t)who } };

		if (clients_enter(crowd->c, &a, &crowd->total, &limits, NULL) != CLIENTS_OK)
			continue;
		if (atomic_fetch_add(&crowd->in[who], 1) >= PER_CLIENT ||
		    atomic_fetch_add(&crowd->all, 1) >= TOTAL)
			atomic_fetch_add(&crowd->over, 1);
		atomic_fetch_sub(&crowd->in[who], 1);
		atomic_fetch_sub(&crowd->all, 1);
		clients_leave(crowd->c, &a, &crowd->total);
	}
	return NULL;
}

static void threads_keep_the_limits(void)
{
	struct crowd crowd = { .c = clients_new() };
	pthread_t thread[THREADS];

	for (int i = 0; i < THREADS; i++)
		NEED(pthread_create(&thread[i], NULL, come_and_go, &crowd) == 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	CHECK_INT(0, crowd.over);
	CHECK_INT(0, crowd.total.open);
	CHECK_INT(0, clients_distinct(crowd.c));
	clients_free(&crowd.c);
}

TEST_MAIN(TEST(a_client_has_its_own_limit), TEST(a_listener_has_its_own_total),
	  TEST(networks_of_one_host_are_one_client), TEST(threads_keep_the_limits))
