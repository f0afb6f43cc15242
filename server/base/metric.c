#include "base/metric.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/utf8.h"

enum metric_kind { KIND_COUNTER, KIND_GAUGE, KIND_HISTOGRAM };
enum metric_unit { UNIT_NONE, UNIT_US };

static const struct metric_info {
	const char *name;
	enum metric_kind kind;
	enum metric_unit unit;
	const char *label, *doc;
	int histogram; /* index in metric_shard.histogram */
	unsigned bounds;
	int64_t bound[METRIC_BUCKETS_MAX];
} infos[METRIC_MAX_] = {
#define X(name, text, kind, unit, label, doc, slot, bounds, ...)                                             \
	{ text, KIND_##kind, UNIT_##unit, label, doc, slot, bounds, { __VA_ARGS__ } },
	METRIC_MAP(X)
#undef X
};

/* A labelled counter; the key lies behind it. */
struct labelled {
	struct map_node node;
	int64_t value;
	char key[];
};

enum { KEY_MAX = sizeof(enum metric) + METRIC_LABEL_BYTES_MAX };

struct label_key {
	char s[KEY_MAX];
	size_t n;
};

static struct label_key key_of(enum metric m, struct span label)
{
	struct label_key k;

	label = span_first(label, METRIC_LABEL_BYTES_MAX);
	memcpy(k.s, &m, sizeof m);
	if (label.n)
		memcpy(k.s + sizeof m, label.p, label.n);
	k.n = sizeof m + label.n;
	return k;
}

static enum metric metric_of(const struct labelled *l)
{
	enum metric m;

	memcpy(&m, l->key, sizeof m);
	return m;
}

static struct span label_of(const struct labelled *l)
{
	return span_skip(l->node.key, sizeof(enum metric));
}

static struct labelled *find_label(const struct map *map, enum metric m, struct span label)
{
	const struct label_key key = key_of(m, label);
	struct map_node *node = map_get(map, span_make(key.s, key.n));

	return node ? map_entry(node, struct labelled, node) : NULL;
}

static struct labelled *add_label(struct map *map, enum metric m, struct span label)
{
	const struct label_key key = key_of(m, label);
	struct labelled *l = mem_alloc(sizeof *l + key.n);

	memcpy(l->key, key.s, key.n);
	map_put(map, &l->node, span_make(l->key, key.n));
	return l;
}

static void free_labels(struct map *map)
{
	map_for_each_safe(e, map)
		free(map_entry(e, struct labelled, node));
	map_deinit(map);
}

void metric_shard_init(struct metric_shard *s)
{
	memset(s, 0, sizeof *s);
	require(pthread_mutex_init(&s->label_lock, NULL) == 0);
	map_init(&s->labelled);
}

void metric_shard_deinit(struct metric_shard *s)
{
	free_labels(&s->labelled);
	pthread_mutex_destroy(&s->label_lock);
}

const char *metric_name(enum metric m)
{
	return infos[m].name;
}

void metric_add_label(struct metric_shard *s, enum metric m, struct span label, int64_t n)
{
	if (!verify(infos[m].label != NULL))
		return;
	pthread_mutex_lock(&s->label_lock);
	struct labelled *l = find_label(&s->labelled, m, label);
	if (!l && s->labels[m] >= METRIC_LABELS_MAX) {
		label = SPAN("other");
		l = find_label(&s->labelled, m, label);
	}
	if (!l) {
		l = add_label(&s->labelled, m, label);
		s->labels[m]++;
	}
	l->value += n;
	pthread_mutex_unlock(&s->label_lock);
}

void metric_observe(struct metric_shard *s, enum metric m, int64_t v)
{
	const struct metric_info *info = &infos[m];
	unsigned i = 0;

	if (!verify(info->histogram >= 0))
		return;
	while (i < info->bounds && v > info->bound[i])
		i++;
	struct metric_histogram *h = &s->histogram[info->histogram];
	atomic_fetch_add_explicit(&h->bucket[i], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&h->sum, v, memory_order_relaxed);
}

/* ---- reading -------------------------------------------------------------------------------------------------- */

/* @into gets the labelled counters of @m, summed over the shards. */
static void collect_labels(struct map *into, enum metric m, struct metric_shard *const *shards, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		pthread_mutex_lock(&shards[i]->label_lock);
		map_for_each(node, &shards[i]->labelled) {
			const struct labelled *from = map_entry(node, struct labelled, node);
			if (metric_of(from) != m)
				continue;
			struct labelled *l = find_label(into, m, label_of(from));
			if (!l)
				l = add_label(into, m, label_of(from));
			l->value += from->value;
		}
		pthread_mutex_unlock(&shards[i]->label_lock);
	}
}

static int64_t sum_value(enum metric m, struct metric_shard *const *shards, size_t count)
{
	int64_t sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += atomic_load_explicit(&shards[i]->value[m], memory_order_relaxed);
	return sum;
}

int64_t metric_sum_label(enum metric m, struct span label, struct metric_shard *const *shards, size_t count)
{
	int64_t sum = 0;

	for (size_t i = 0; i < count; i++) {
		pthread_mutex_lock(&shards[i]->label_lock);
		const struct labelled *l = find_label(&shards[i]->labelled, m, label);
		sum += l ? l->value : 0;
		pthread_mutex_unlock(&shards[i]->label_lock);
	}
	return sum;
}

int64_t metric_sum(enum metric m, struct metric_shard *const *shards, size_t count)
{
	const struct metric_info *info = &infos[m];
	int64_t sum = sum_value(m, shards, count);

	for (size_t i = 0; i < count; i++) {
		if (info->histogram >= 0) {
			for (unsigned b = 0; b <= info->bounds; b++)
				sum += atomic_load_explicit(&shards[i]->histogram[info->histogram].bucket[b],
							    memory_order_relaxed);
		}
		if (info->label) {
			pthread_mutex_lock(&shards[i]->label_lock);
			map_for_each(node, &shards[i]->labelled) {
				const struct labelled *l = map_entry(node, struct labelled, node);
				sum += metric_of(l) == m ? l->value : 0;
			}
			pthread_mutex_unlock(&shards[i]->label_lock);
		}
	}
	return sum;
}

/* ---- writing -------------------------------------------------------------------------------------------------- */

static void add_number(struct buf *out, const struct metric_info *info, int64_t v)
{
	if (info->unit == UNIT_NONE) {
		buf_add_i64(out, v);
		return;
	}
	/* Microseconds as seconds, without trailing zeros and without floating point. */
	char digits[] = ".000000";
	uint64_t u = v < 0 ? (uint64_t)0 - (uint64_t)v : (uint64_t)v;
	if (v < 0)
		buf_add_char(out, '-');
	buf_add_u64(out, u / 1000000);
	u %= 1000000;
	size_t n = 7;
	for (size_t i = 6; i > 0; i--, u /= 10)
		digits[i] = (char)('0' + u % 10);
	while (n > 1 && digits[n - 1] == '0')
		n--;
	buf_add(out, digits, n > 1 ? n : 0);
}

/* The format knows three escapes; what is not UTF-8 would make a reader refuse the whole page. */
static void add_label_text(struct buf *out, struct span s)
{
	while (s.n) {
		const size_t n = utf8_char_len(s);
		if (n == 0)
			buf_add_char(out, '?');
		else if (s.p[0] == '\n')
			buf_add_str(out, "\\n");
		else if (s.p[0] == '"' || s.p[0] == '\\')
			buf_addf(out, "\\%c", s.p[0]);
		else
			buf_add(out, s.p, n);
		s = span_skip(s, n ? n : 1);
	}
}

static int by_label(const void *a, const void *b)
{
	const struct labelled *const *x = a, *const *y = b;

	return span_cmp(label_of(*x), label_of(*y));
}

static void write_labelled(struct buf *out, enum metric m, struct metric_shard *const *shards, size_t count)
{
	const struct metric_info *info = &infos[m];
	struct map sums;
	size_t n = 0;

	map_init(&sums);
	collect_labels(&sums, m, shards, count);
	struct labelled **sorted = mem_alloc_array(sums.n, sizeof *sorted);
	map_for_each(node, &sums)
		sorted[n++] = map_entry(node, struct labelled, node);
	qsort(sorted, n, sizeof *sorted, by_label); /* the same order at every scrape */
	for (size_t i = 0; i < n; i++) {
		buf_addf(out, "%s{%s=\"", info->name, info->label);
		add_label_text(out, label_of(sorted[i]));
		buf_add_str(out, "\"} ");
		add_number(out, info, sorted[i]->value);
		buf_add_char(out, '\n');
	}
	free(sorted);
	free_labels(&sums);
}

static void write_histogram(struct buf *out, enum metric m, struct metric_shard *const *shards, size_t count)
{
	const struct metric_info *info = &infos[m];
	int64_t below = 0, sum = 0;

	for (unsigned b = 0; b <= info->bounds; b++) {
		for (size_t i = 0; i < count; i++)
			below += atomic_load_explicit(&shards[i]->histogram[info->histogram].bucket[b],
						      memory_order_relaxed);
		buf_addf(out, "%s_bucket{le=\"", info->name);
		if (b < info->bounds)
			add_number(out, info, info->bound[b]);
		else
			buf_add_str(out, "+Inf");
		buf_addf(out, "\"} %lld\n", (long long)below);
	}
	for (size_t i = 0; i < count; i++)
		sum += atomic_load_explicit(&shards[i]->histogram[info->histogram].sum, memory_order_relaxed);
	buf_addf(out, "%s_sum ", info->name);
	add_number(out, info, sum);
	/* The count is that of the buckets, so that the two agree while a writer is at work. */
	buf_addf(out, "\n%s_count %lld\n", info->name, (long long)below);
}

void metric_write(struct buf *out, struct metric_shard *const *shards, size_t count)
{
	static const char *const kinds[] = { "counter", "gauge", "histogram" };

	for (unsigned i = 0; i < METRIC_MAX_; i++) {
		const enum metric m = (enum metric)i;
		const struct metric_info *info = &infos[m];
		buf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", info->name, info->doc, info->name,
			 kinds[info->kind]);
		if (info->kind == KIND_HISTOGRAM) {
			write_histogram(out, m, shards, count);
		} else if (info->label) {
			write_labelled(out, m, shards, count);
		} else {
			buf_addf(out, "%s ", info->name);
			add_number(out, info, sum_value(m, shards, count));
			buf_add_char(out, '\n');
		}
	}
}
