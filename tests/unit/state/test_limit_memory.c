#include "test.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/err.h"
#include "state/limit_memory.h"

static int64_t read_clock(void *arg)
{
	return *(int64_t *)arg;
}

static struct limit_store *store(int64_t *clock, uint32_t keys_max)
{
	const struct limit_memory_config cfg = { .keys_max = keys_max,
						 .now_us = read_clock,
						 .clock_arg = clock };

	return limit_memory_new(&cfg);
}

static struct limit_request request(const char *key, const char *rate)
{
	struct limit_request req = { .key = span_of(key), .quantity = 1 };

	if (!rate_parse(span_of(rate), &req.rate))
		abort();
	return req;
}

static bool allowed(struct limit_store *s, const struct limit_request *req)
{
	struct limit_answer a;

	CHECK(limit_try(s, req, &a));
	CHECK_INT(LIMIT_SOURCE_MEMORY, a.source);
	CHECK(a.allowed == (a.retry_after_us == 0));
	return a.allowed;
}

static void keys_are_counted_apart(void)
{
	int64_t now = 1000000;
	struct limit_store *s = store(&now, 1000);
	const struct limit_request a = request("a", "2/min"), b = request("b", "2/min");
	struct limit_answer answer;

	CHECK(allowed(s, &a));
	CHECK(allowed(s, &a));
	CHECK(!allowed(s, &a));
	CHECK(allowed(s, &b));
	limit_try(s, &a, &answer);
	CHECK_INT(30000000, answer.retry_after_us);
	now += 30000000;
	CHECK(allowed(s, &a));
	CHECK(!allowed(s, &a));
	limit_memory_free(&s);
	limit_memory_free(&s);
}

static void a_peek_takes_nothing(void)
{
	int64_t now = 1000000;
	struct limit_store *s = store(&now, 1000);
	struct limit_request req = request("a", "2/min");
	struct limit_memory_stats st;

	req.mode = LIMIT_PEEK;
	for (int i = 0; i < 5; i++)
		CHECK(allowed(s, &req));
	limit_memory_stats(s, &st);
	CHECK_INT(0, st.keys);
	limit_memory_free(&s);
}

static void quantities_and_refunds(void)
{
	int64_t now = 1000000;
	struct limit_store *s = store(&now, 1000);
	struct limit_request req = request("rcpts", "10/min");
	struct limit_answer a;

	req.quantity = 8;
	CHECK(limit_try(s, &req, &a) && a.allowed);
	CHECK_INT(2, a.remaining);
	req.quantity = 3;
	CHECK(limit_try(s, &req, &a) && !a.allowed);
	limit_refund(s, &req); /* three of the eight were refused later */
	CHECK(limit_try(s, &req, &a) && a.allowed);
	req.quantity = 11;
	CHECK(limit_try(s, &req, &a) && !a.allowed);
	CHECK_INT(-1, a.retry_after_us);
	/* What was never taken cannot be given back. */
	req = request("never", "1/min");
	limit_refund(s, &req);
	CHECK(allowed(s, &req));
	CHECK(!allowed(s, &req));
	limit_memory_free(&s);
}

static void what_is_no_request_is_refused(void)
{
	int64_t now = 1000000;
	struct limit_store *s = store(&now, 1000);
	static char key[LIMIT_KEY_MAX + 1];
	struct limit_request req = request("a", "1/min");
	struct limit_answer a;

	req.quantity = 0;
	CHECK(limit_try(s, &req, &a) && !a.allowed);
	CHECK_INT(-1, a.retry_after_us);
	req = request("", "1/min");
	CHECK(limit_try(s, &req, &a) && !a.allowed);
	req = request("a", "1/min");
	memset(key, 'k', sizeof key);
	req.key = span_make(key, sizeof key);
	CHECK(limit_try(s, &req, &a) && !a.allowed);
	req.key.n--;
	CHECK(limit_try(s, &req, &a) && a.allowed);
	req.rate.period_us = 0;
	CHECK(limit_try(s, &req, &a) && !a.allowed);
	limit_refund(s, &req);
	limit_memory_free(&s);
}

static void idle_keys_are_thrown_away(void)
{
	int64_t now = 1000000;
	struct limit_store *s = store(&now, 1000000);
	struct limit_memory_stats st;
	char key[16];

	for (int i = 0; i < 5000; i++) {
		snprintf(key, sizeof key, "k%d", i);
		const struct limit_request req = request(key, "1/s");
		CHECK(allowed(s, &req));
		now += 10000;
	}
	limit_memory_stats(s, &st);
	CHECK(st.keys < 400); /* a second's worth and what its shard has not looked at since */
	CHECK_INT(0, st.forgotten);
	limit_memory_free(&s);
}

static void a_full_table_forgets_the_oldest(void)
{
	int64_t now = 1000000;
	struct limit_store *s = store(&now, 640); /* ten in a shard */
	const struct limit_request busy = request("busy", "1/day");
	struct limit_memory_stats st;
	char key[16];

	CHECK(allowed(s, &busy));
	for (int i = 0; i < 5000; i++) {
		snprintf(key, sizeof key, "k%d", i);
		const struct limit_request req = request(key, "1/day");
		CHECK(allowed(s, &req));
		CHECK(!allowed(s, &busy)); /* whoever is looked at is not the oldest */
	}
	limit_memory_stats(s, &st);
	CHECK(st.keys <= 640);
	CHECK(st.forgotten >= 4000);
	limit_memory_free(&s);
}

struct waiter {
	struct limit_take take;
	unsigned done;
};

static void on_done(struct op *op)
{
	container_of(op, struct waiter, take.op)->done++;
}

static void the_asynchronous_way_gives_the_same(void)
{
	int64_t now = 1000000;
	struct limit_store *s = store(&now, 1000);
	struct loop *loop = loop_new();
	struct scope scope;
	struct waiter w = { 0 };

	loop_set_resident(loop, false);
	scope_init(&scope, loop, NULL);
	op_init(&w.take.op, on_done);
	for (int i = 1; i <= 2; i++) {
		w.take.request = request("a", "1/min");
		CHECK_INT(0, limit_take_start(s, &w.take, &scope, 1000000));
		CHECK_INT(i - 1, w.done); /* never from inside */
		loop_run_once(loop, false);
		CHECK_INT(i, w.done);
		CHECK_INT(0, w.take.op.status);
		CHECK(w.take.answer.allowed == (i == 1));
	}
	w.take.request.quantity = 0;
	CHECK_INT(-ERR_INVAL, limit_take_start(s, &w.take, &scope, 1000000));
	scope_close(&scope);
	w.take.request = request("b", "1/min");
	CHECK_INT(-ERR_CANCELED, limit_take_start(s, &w.take, &scope, 1000000));
	CHECK(allowed(s, &w.take.request));
	loop_run_once(loop, false);
	loop_free(&loop);
	limit_memory_free(&s);
}

struct crowd {
	struct limit_store *s;
	_Atomic unsigned taken;
};

static void *take_all(void *arg)
{
	struct crowd *c = arg;
	const struct limit_request req = request("shared", "500/min");
	struct limit_answer a;

	for (int i = 0; i < 1000; i++)
		if (limit_try(c->s, &req, &a) && a.allowed)
			atomic_fetch_add(&c->taken, 1);
	return NULL;
}

static void threads_share_one_budget(void)
{
	int64_t now = 1000000;
	struct crowd c = { .s = store(&now, 1000) };
	pthread_t thread[4];

	for (int i = 0; i < 4; i++)
		NEED(pthread_create(&thread[i], NULL, take_all, &c) == 0);
	for (int i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	CHECK_INT(500, c.taken);
	limit_memory_free(&c.s);
}

static void names_are_read_and_written(void)
{
	enum limit_on_failure f = LIMIT_ON_FAILURE_LOCAL;

	CHECK(limit_on_failure_parse(SPAN("closed"), &f));
	CHECK_INT(LIMIT_ON_FAILURE_CLOSED, f);
	CHECK(!limit_on_failure_parse(SPAN("shut"), &f));
	CHECK_STR("open", limit_on_failure_name(LIMIT_ON_FAILURE_OPEN));
	CHECK_STR("failed", limit_source_name(LIMIT_SOURCE_FAILED));
}

static void the_system_clock_will_do(void)
{
	const struct limit_memory_config cfg = { .keys_max = 10, .source = LIMIT_SOURCE_LOCAL };
	struct limit_store *s = limit_memory_new(&cfg);
	const struct limit_request req = request("a", "1/hour");
	struct limit_answer a;

	CHECK(limit_try(s, &req, &a) && a.allowed);
	CHECK_INT(LIMIT_SOURCE_LOCAL, a.source);
	CHECK(limit_try(s, &req, &a) && !a.allowed);
	CHECK(a.retry_after_us > 3590000000 && a.retry_after_us <= 3600000000);
	limit_memory_free(&s);
}

TEST_MAIN(TEST(keys_are_counted_apart), TEST(a_peek_takes_nothing), TEST(quantities_and_refunds),
	  TEST(what_is_no_request_is_refused), TEST(idle_keys_are_thrown_away),
	  TEST(a_full_table_forgets_the_oldest), TEST(the_asynchronous_way_gives_the_same),
	  TEST(threads_share_one_budget), TEST(names_are_read_and_written), TEST(the_system_clock_will_do))
