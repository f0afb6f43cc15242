#include <inttypes.h>

#include "base/metric.h"
#include "test.h"

struct shards {
	struct metric_shard a, b;
	struct metric_shard *all[2];
};

static void shards_init(struct shards *s)
{
	metric_shard_init(&s->a);
	metric_shard_init(&s->b);
	s->all[0] = &s->a;
	s->all[1] = &s->b;
}

static void shards_deinit(struct shards *s)
{
	metric_shard_deinit(&s->a);
	metric_shard_deinit(&s->b);
}

/* The page, with a newline in front so that whole lines can be searched for. */
static const char *page(struct shards *s)
{
	static char out[512 * 1024];
	struct buf b = BUF_INIT(sizeof out - 2);

	metric_write(&b, s->all, 2);
	CHECK(!b.overflow);
	snprintf(out, sizeof out, "\n%s", buf_cstr(&b));
	buf_free(&b);
	return out;
}

static void check_line(struct shards *s, const char *want)
{
	char text[256];

	snprintf(text, sizeof text, "\n%s\n", want);
	if (!strstr(page(s), text))
		FAIL("expected the line %s", want);
}

static void shards_are_summed(void)
{
	static struct shards s;

	shards_init(&s);
	metric_add(&s.a, METRIC_COMMANDS_TOTAL, 5);
	metric_add(&s.b, METRIC_COMMANDS_TOTAL, 7);
	metric_set(&s.a, METRIC_SESSIONS_OPEN, 3);
	metric_set(&s.b, METRIC_SESSIONS_OPEN, 4);
	metric_add(&s.b, METRIC_SESSIONS_OPEN, -1);
	CHECK_INT(12, metric_sum(METRIC_COMMANDS_TOTAL, s.all, 2));
	CHECK_INT(6, metric_sum(METRIC_SESSIONS_OPEN, s.all, 2));
	CHECK_INT(5, metric_sum(METRIC_COMMANDS_TOTAL, s.all, 1));
	CHECK_INT(0, metric_sum(METRIC_COMMANDS_TOTAL, s.all, 0));
	check_line(&s, "postern_commands_total 12");
	check_line(&s, "# TYPE postern_commands_total counter");
	check_line(&s, "# TYPE postern_sessions_open gauge");
	shards_deinit(&s);
}

static void labels_are_summed_and_sorted(void)
{
	static struct shards s;

	shards_init(&s);
	metric_add_label(&s.a, METRIC_REFUSED_TOTAL, SPAN("unregistered"), 2);
	metric_add_label(&s.b, METRIC_REFUSED_TOTAL, SPAN("unregistered"), 3);
	metric_add_label(&s.b, METRIC_REFUSED_TOTAL, SPAN("helo\"\\\n\xff"), 1);
	metric_add_label(&s.b, METRIC_DELIVERIES_TOTAL, SPAN("unregistered"), 100);
	check_line(
		&s,
		"postern_refused_total{rule=\"helo\\\"\\\\\\n?\"} 1\npostern_refused_total{rule=\"unregistered\"} 5");
	CHECK_INT(6, metric_sum(METRIC_REFUSED_TOTAL, s.all, 2));
	CHECK_INT(5, metric_sum_label(METRIC_REFUSED_TOTAL, SPAN("unregistered"), s.all, 2));
	CHECK_INT(0, metric_sum_label(METRIC_REFUSED_TOTAL, SPAN("nothing"), s.all, 2));
	shards_deinit(&s);
}

static void labels_are_bounded(void)
{
	static struct shards s;
	char label[400];

	shards_init(&s);
	for (int i = 0; i < 3 * METRIC_LABELS_MAX; i++)
		metric_add_label(&s.a, METRIC_REFUSED_TOTAL,
				 span_make(label, (size_t)snprintf(label, sizeof label, "rule-%d", i)), 1);
	CHECK_INT(3 * METRIC_LABELS_MAX, metric_sum(METRIC_REFUSED_TOTAL, s.all, 2));
	CHECK_INT(2 * METRIC_LABELS_MAX, metric_sum_label(METRIC_REFUSED_TOTAL, SPAN("other"), s.all, 2));
	CHECK_INT(METRIC_LABELS_MAX + 1, s.a.labelled.n);
	/* One counter's labels take no room from another's. */
	metric_add_label(&s.a, METRIC_DELIVERIES_TOTAL, SPAN("sent"), 1);
	CHECK_INT(1, metric_sum_label(METRIC_DELIVERIES_TOTAL, SPAN("sent"), s.all, 2));
	memset(label, 'x', sizeof label);
	metric_add_label(&s.b, METRIC_REFUSED_TOTAL, span_make(label, sizeof label), 1);
	metric_add_label(&s.b, METRIC_REFUSED_TOTAL, span_make(label, METRIC_LABEL_BYTES_MAX), 1);
	CHECK_INT(2,
		  metric_sum_label(METRIC_REFUSED_TOTAL, span_make(label, METRIC_LABEL_BYTES_MAX), s.all, 2));
	shards_deinit(&s);
}

static void histograms_are_cumulative_and_in_seconds(void)
{
	static struct shards s;

	shards_init(&s);
	metric_observe(&s.a, METRIC_DATA_SECONDS, 100);      /* on the first bound */
	metric_observe(&s.b, METRIC_DATA_SECONDS, 101);      /* over it */
	metric_observe(&s.b, METRIC_DATA_SECONDS, 99000000); /* over all */
	check_line(&s, "postern_data_seconds_bucket{le=\"0.0001\"} 1");
	check_line(&s, "postern_data_seconds_bucket{le=\"0.00025\"} 2");
	check_line(&s, "postern_data_seconds_bucket{le=\"10\"} 2");
	check_line(&s, "postern_data_seconds_bucket{le=\"+Inf\"} 3");
	check_line(&s, "postern_data_seconds_sum 99.000201");
	check_line(&s, "postern_data_seconds_count 3");
	CHECK_INT(3, metric_sum(METRIC_DATA_SECONDS, s.all, 2));
	metric_observe(&s.a, METRIC_MESSAGE_BYTES, 5000);
	check_line(&s, "postern_message_bytes_bucket{le=\"4096\"} 0");
	check_line(&s, "postern_message_bytes_bucket{le=\"16384\"} 1");
	check_line(&s, "postern_message_bytes_sum 5000");
	shards_deinit(&s);
}

static void misuse_is_reported_and_harmless(void)
{
	static struct shards s;
	const unsigned before = check_verify_failures();

	shards_init(&s);
	metric_add_label(&s.a, METRIC_COMMANDS_TOTAL, SPAN("x"), 1);
	metric_observe(&s.a, METRIC_COMMANDS_TOTAL, 1);
	CHECK_INT(before + 2, check_verify_failures());
	CHECK_INT(0, metric_sum(METRIC_COMMANDS_TOTAL, s.all, 2));
	shards_deinit(&s);
}

/* Every line of the page is a comment or "name[{label}] number", and each metric has its two comments. */
static void the_page_is_well_formed(void)
{
	static struct shards s;

	shards_init(&s);
	metric_add_label(&s.a, METRIC_REFUSED_TOTAL, SPAN("a b"), 1);
	struct span rest = span_of(page(&s) + 1);
	int helps = 0, types = 0;
	while (rest.n) {
		const struct span line = span_cut(&rest, '\n');
		helps += span_starts(line, SPAN("# HELP postern_"));
		types += span_starts(line, SPAN("# TYPE postern_"));
		if (span_starts(line, SPAN("# ")))
			continue;
		const ptrdiff_t space = span_rfind_char(line, ' ');
		CHECK(span_starts(line, SPAN("postern_")) && space > 0 && (size_t)space + 1 < line.n);
		const struct span number = span_skip(line, (size_t)space + 1);
		for (size_t i = 0; i < number.n; i++)
			CHECK(ascii_is_digit(number.p[i]) || number.p[i] == '.' || number.p[i] == '-');
	}
	CHECK_INT(METRIC_MAX_, helps);
	CHECK_INT(METRIC_MAX_, types);
	shards_deinit(&s);
}

enum { ROUNDS = 20000 };

static void *count_up(void *arg)
{
	struct metric_shard *s = arg;

	for (int i = 0; i < ROUNDS; i++) {
		metric_add(s, METRIC_COMMANDS_TOTAL, 1);
		metric_observe(s, METRIC_DATA_SECONDS, i);
		if (i % 10 == 0)
			metric_add_label(s, METRIC_REFUSED_TOTAL, i % 20 ? SPAN("odd") : SPAN("even"), 1);
	}
	return NULL;
}

static void readers_do_not_disturb_writers(void)
{
	static struct shards s;
	pthread_t threads[2];
	int64_t before = 0;

	shards_init(&s);
	for (int i = 0; i < 2; i++)
		NEED(pthread_create(&threads[i], NULL, count_up, s.all[i]) == 0);
	for (int i = 0; i < 20; i++) {
		const int64_t now = metric_sum(METRIC_COMMANDS_TOTAL, s.all, 2);
		CHECK(now >= before);
		before = now;
		page(&s);
	}
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	CHECK_INT(2 * ROUNDS, metric_sum(METRIC_COMMANDS_TOTAL, s.all, 2));
	CHECK_INT(2 * ROUNDS, metric_sum(METRIC_DATA_SECONDS, s.all, 2));
	CHECK_INT(2 * ROUNDS / 10, metric_sum(METRIC_REFUSED_TOTAL, s.all, 2));
	shards_deinit(&s);
}

TEST_MAIN(TEST(shards_are_summed), TEST(labels_are_summed_and_sorted), TEST(labels_are_bounded),
	  TEST(histograms_are_cumulative_and_in_seconds), TEST(misuse_is_reported_and_harmless),
	  TEST(the_page_is_well_formed), TEST(readers_do_not_disturb_writers))
