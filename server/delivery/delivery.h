/* delivery/delivery.h - a worker's outbound side: connections to next hops, transactions on them, what became of each recipient.
 *
 * It is the queue's `ops`: the queue says which destination has work, delivery opens or reuses a link (link.c) for it. A link takes
 * a job, finds the hosts, connects, transfers, reports, takes the next. Notices are made by notice.c.
 *
 * Ownership: delivery_new()'s result is the worker's. Configuration (routes) is borrowed until delivery_configure() replaced it.
 * Threads:   the worker's loop.
 * Limits:    links_max per worker; per destination what the ledger says.
 * Tests:     tests/unit/delivery/test_link.c, test_link_tls.c, test_link_auth.c, test_notice.c, tests/fuzz/fuzz_delivery_link.c,
 *            tests/scenario/
 */
#pragma once

#include "base/log.h"
#include "base/metric.h"
#include "delivery/route.h"
#include "dns/dns.h"
#include "hook/hook.h"
#include "queue/queue.h"

struct delivery_config {
	struct span hostname; /* EHLO, notices */
	struct mx_self self;
	const struct route_table *routes;
	struct span help_text, help_url, notice_from; /* of notices; may be empty */
	int zone_min;
	unsigned links_max;
	/* Whose observers hear of notices, and of messages whose listener is no more; NULL: nobody. */
	const void *policies;
};

struct delivery;
struct sts;
struct tls_report;

struct delivery *delivery_new(const struct delivery_config *cfg, struct loop *loop, struct dns *dns,
			      const struct hooks *hooks, struct logger *log, struct metric_shard *metrics);
/* For queue_new(). */
struct queue_ops delivery_queue_ops(struct delivery *d);
/* Before the first job. */
void delivery_attach(struct delivery *d, struct queue *queue, struct spool *spool);
/* MTA-STS policies for routes of that level, and who counts how TLS fares; both outlive the links. Before the first job. */
void delivery_use_sts(struct delivery *d, struct sts *sts, struct tls_report *report);
/* New routes and names, and new hooks: from now on; then queue_reroute(). */
void delivery_configure(struct delivery *d, const struct delivery_config *cfg, const struct hooks *hooks);
/* No more jobs are taken. Links that are in a transaction have @grace_us to finish it; the others give their jobs back now. */
void delivery_stop(struct delivery *d, int64_t grace_us);
/* After the queue is closed: @closed comes when the last connection is. */
void delivery_close(struct delivery *d, void (*closed)(void *arg), void *arg);
void delivery_free(struct delivery **d); /* in or after `closed`; NULL is harmless */

struct delivery_stats {
	unsigned links, busy, idle;
};

struct delivery_stats delivery_stats(const struct delivery *d);
