/* control/control.h - the admin API: HTTP on a unix socket, for the command line, scripts and monitoring.
 *
 * A thread of libmicrohttpd takes requests. What a worker owns (its queue, sessions, policies) is asked for by a letter to the
 * worker's loop and answered by one back; the requesting thread waits for all answers, at most CONTROL_DEADLINE_US. Metrics are
 * read without asking anybody. Endpoints: schema/admin_api.lua (OpenAPI is generated from it).
 *
 * Who may: whoever may open the socket (mode 0660, the server's user and group). The actor is the peer's user (SO_PEERCRED), or
 * what the client says within the same user ("X-Postern-Actor").
 *
 * Ownership: control_start()'s result is main's; nodes and workers must outlive it.
 * Threads:   control_start/stop on the main thread; callbacks of struct control_env come on control's thread.
 * Tests:     tests/unit/control/, tests/scenario/
 */
#pragma once

#include "base/err.h"
#include "base/log.h"
#include "base/metric.h"
#include "delivery/delivery.h"
#include "io/loop.h"
#include "policy/policy.h"
#include "queue/ledger.h"
#include "queue/queue.h"
#include "session/session.h"
#include "spool/spool.h"
#include "state/bans.h"
#include "state/clients.h"
#include "state/limit.h"
#include "sts/tls_report.h"

/* One worker, as control may ask it: everything but loop and metrics only from a letter on its loop. Any may be NULL while the
 * worker starts or stops. */
struct control_worker {
	struct loop *loop;
	struct metric_shard *metrics;
	struct queue *queue;
	struct spool *spool;
	struct delivery *delivery;
	struct session_env *sessions;
	struct policy_runtime *policies;
	struct dns *dns;
	struct scope *scope; /* for operations on its loop; lives as long as the worker */
};

struct control_env {
	struct control_worker *const *workers;
	unsigned nworkers;
	struct metric_shard *process_metrics; /* what belongs to no worker */
	struct log_writer *log_writer;        /* NULL: nobody knows of lost lines */
	struct ledger *ledger;
	struct clients *clients;
	struct limit_store *limits;
	struct bans *bans;             /* NULL: nobody is ever banned */
	struct tls_report *tls_report; /* NULL: nobody counts */
	const char *node;              /* who makes the report */
	struct logger *log;            /* control's own */
	const char *config_file;
	int64_t started_at_us; /* wall clock */
	void *arg;
	/* SIGHUP by another name: waits until it is done. 0, or -ERR_INVAL with the problems as JSON list in @problems. */
	int (*reload)(void *arg, struct buf *problems);
	void (*shutdown)(void *arg);
	uint64_t (*generation)(void *arg); /* of the configuration in force */
	/* 0: well; else the reason in @e. Ready: all workers serve and mail is accepted. Live: loops turn. */
	int (*ready)(void *arg, struct errtext *e);
	int (*live)(void *arg, struct errtext *e);
};

#define CONTROL_DEADLINE_US INT64_C(30000000)

struct control;

/* @fd: a listening unix socket (control_listen()); taken over. */
int control_start(struct control **c_r, const struct control_env *env, int fd, struct errtext *e);
/* The socket's file goes too, unless another took its place. */
void control_stop(struct control **c);

/* Makes the socket's directory if it is missing, refuses a path where another process answers, replaces a dead one. Returns the
 * descriptor or -ERR_x. */
int control_listen(const char *path, struct errtext *e);

/* The version of libmicrohttpd that is linked: "0.9.75". Constant. */
const char *control_library(void);
