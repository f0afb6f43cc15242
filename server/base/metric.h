/* base/metric.h - counters, gauges and histograms of one thread, summed on read.
 *
 * schema/metrics.lua names every metric; gen/metrics.h has the enum. A worker has a shard of its own and is its only writer;
 * any thread may read it (relaxed atomics). Histograms have the fixed bounds that the schema gives.
 *
 * Labelled counters (refusals by rule) are a bounded table in the shard, under the shard's lock, which a reader takes for a moment.
 * Over METRIC_LABELS_MAX distinct values of one counter's label, the rest is counted as "other".
 *
 * Units: times are given in microseconds and published in seconds.
 * Threads: see above.  Source: Prometheus text exposition format 0.0.4.  Tests: tests/unit/base/test_metric.c
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/map.h"
#include "gen/metrics.h" /* enum metric, METRIC_MAX_ */

enum { METRIC_LABELS_MAX = 256, METRIC_LABEL_BYTES_MAX = 128, METRIC_BUCKETS_MAX = 24 };

struct metric_histogram {
	/* Observations up to each bound and over the one before; the last is over all bounds. */
	_Atomic int64_t bucket[METRIC_BUCKETS_MAX + 1];
	_Atomic int64_t sum;
};

struct metric_shard {
	_Atomic int64_t value[METRIC_MAX_];
	struct metric_histogram histogram[METRIC_HISTOGRAMS];
	pthread_mutex_t label_lock;
	struct map labelled; /* key: the octets of enum metric, then the label's value */
	uint16_t labels[METRIC_MAX_];
};

void metric_shard_init(struct metric_shard *s);
void metric_shard_deinit(struct metric_shard *s);

static inline void metric_add(struct metric_shard *s, enum metric m, int64_t n)
{
	atomic_fetch_add_explicit(&s->value[m], n, memory_order_relaxed);
}

static inline void metric_set(struct metric_shard *s, enum metric m, int64_t v)
{
	atomic_store_explicit(&s->value[m], v, memory_order_relaxed);
}

/* @m must be a counter with a label, @label is cut at METRIC_LABEL_BYTES_MAX octets. */
void metric_add_label(struct metric_shard *s, enum metric m, struct span label, int64_t n);
/* @m must be a histogram. */
void metric_observe(struct metric_shard *s, enum metric m, int64_t v);

/* The sum over the shards as text in the Prometheus exposition format. */
void metric_write(struct buf *out, struct metric_shard *const *shards, size_t count);

/* Of a labelled counter: the sum over all labels; of a histogram: the number of observations. */
int64_t metric_sum(enum metric m, struct metric_shard *const *shards, size_t count);
int64_t metric_sum_label(enum metric m, struct span label, struct metric_shard *const *shards, size_t count);

const char *metric_name(enum metric m);
