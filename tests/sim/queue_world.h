/* queue_world.h - what sim_queue.c knows to be true: messages, what happened to their recipients, what is
 * on the disk.
 *
 * What happens is an event with a number that grows; a barrier of the log that completes makes all up to
 * a number durable. After a crash those behind it are doubtful: they bind nobody any more.
 */
#pragma once

#include <inttypes.h>

#include "queue/queue.h"
#include "queue/queue_action.h"

#include "model_spool.h"

#define S INT64_C(1000000)
#define M (60 * S)
#define H (60 * M)

enum {
	HISTORIES = 40,
	TICKS = 1500,
	SUBMITTED_MAX = 150,
	MESSAGES_MAX = 4000, /* with all notices */
	RCPTS_MAX = 6,
	DOMAINS = 8, /* the first one has a rate; the last one is where senders are */
	CONNS_MAX = 64,
	NOTICES_MAX = 64,
	CONNECTIONS_MAX = 3,
	RATE_BURST = 5,
};

/* ---- what must be -------------------------------------------------------------------------------------- */

/* Something that was said once and must not be taken back: a number that grows, durable up to
 * world.durable. */
struct event {
	uint64_t at;   /* 0: did not happen */
	bool doubtful; /* a crash came before it was durable */
};

struct rcpt {
	unsigned domain, notify;
	bool out, shaky; /* shaky: a crash may have undone an attempt */
	unsigned attempts;
	int64_t not_before_us;
	uint64_t deferred_in; /* tick */
	struct event deferred, settled, held, noticed;
	bool delivered, bounced;
	unsigned failed_notices, relayed_notices;
	bool wants_relayed;
};

struct message {
	uint64_t id;
	bool committed, found, null_sender;
	bool hurried; /* it has a deadline: waits are shorter */
	int64_t end_us;
	uint32_t nrcpt;
	struct rcpt rcpt[RCPTS_MAX];
};

enum conn_state { CONN_FREE, CONN_CONNECTING, CONN_IDLE, CONN_BUSY };

struct conn {
	enum conn_state state;
	struct queue_dest *dest;
	struct queue_work work;
	bool has_work; /* BUSY; CONNECTING too when the job is taken first */
	int64_t due_us;
};

struct notice {
	struct world *w;
	struct queue_notice *asked; /* NULL: free */
	struct buf meta;
};

struct world {
	uint64_t seed;
	struct model_rng rng;
	struct model disk;
	struct loop *loop;
	struct spool spool;
	struct ledger *ledger;
	struct queue *q;
	struct logger log;
	struct metric_shard metrics;
	struct schedule schedule;
	struct message *messages;
	size_t nmessages;
	unsigned submitted;
	struct conn conn[CONNS_MAX];
	struct notice notice[NOTICES_MAX];
	bool up[DOMAINS];
	uint64_t now, durable, barrier_at; /* of events */
	struct spool_rec barrier;
	bool barrier_out, calm, closed, take_first;
	int64_t rate_taken; /* less those that were put back */
	int64_t rate_since_us;
	unsigned open[2][DOMAINS];
	const char *route_name; /* "r" or "s" */
	struct scope scope;
	struct queue_action action;
	bool acting;
	uint64_t ticks, etrn_at;
};

/* What the histories went through: a simulation that never gets there proves nothing. */
static struct {
	uint64_t crashes, messages, attempts, delivered, bounced, expired, delayed, relayed, repeated, held,
		compacted;
} seen;

#define SIM_CHECK(w, cond, ...)                                                                              \
	do {                                                                                                 \
		if (!(cond)) {                                                                               \
			printf("seed %" PRIu64 ": ", (w)->seed);                                             \
			printf(__VA_ARGS__);                                                                 \
			printf("\n");                                                                        \
			exit(1);                                                                             \
		}                                                                                            \
	} while (0)

static bool chance(struct world *w, unsigned percent)
{
	return model_chance(&w->rng, percent);
}

static uint64_t below(struct world *w, uint64_t bound)
{
	return model_below(&w->rng, bound);
}

static void happens(struct world *w, struct event *e)
{
	*e = (struct event){ .at = ++w->now };
}

/* It happened, and nothing that came after can excuse forgetting it. */
static bool binds(const struct event *e)
{
	return e->at > 0 && !e->doubtful;
}

static struct message *find(struct world *w, uint64_t id)
{
	for (size_t i = w->nmessages; i-- > 0;)
		if (w->messages[i].id == id)
			return &w->messages[i];
	return NULL;
}

static unsigned *open_to(struct world *w, const struct queue_dest *dest)
{
	return &w->open[dest->route.p[0] == 's'][dest->next_hop.p[1] - '0'];
}

static unsigned domain_of(struct span name)
{
	return (unsigned)(name.p[1] - '0'); /* "d3.example" */
}

/* ---- messages come ------------------------------------------------------------------------------------- */

static struct message *message_new(struct world *w)
{
	SIM_CHECK(w, w->nmessages < MESSAGES_MAX, "too many messages for the simulation");
	struct message *m = &w->messages[w->nmessages++];

	*m = (struct message){ 0 };
	return m;
}

static void on_accepted(void *arg, struct model_commit *c, int status)
{
	struct world *w = arg;
	struct message *m = find(w, c->id);
	struct spool_image *img;
	struct arena *a;
	struct envelope env;

	if (status < 0)
		return;
	m->committed = true;
	seen.messages++;
	img = model_commit_image(c);
	a = arena_new(1 << 20);
	SIM_CHECK(w, envelope_decode(img->meta, a, &env) == 0, "an envelope is not read");
	queue_add(w->q, c->id, &env, chance(w, 80) ? spool_image_ref(img) : NULL, 1000);
	spool_image_unref(&img);
	arena_free(&a);
}

static const unsigned notifies[] = {
	NOTIFY_DEFAULT,
	NOTIFY_DEFAULT,
	NOTIFY_DEFAULT,
	NOTIFY_NEVER,
	NOTIFY_SUCCESS,
	NOTIFY_FAILURE,
	NOTIFY_SUCCESS | NOTIFY_FAILURE | NOTIFY_DELAY,
};

static void act_submit(struct world *w)
{
	if (w->submitted == SUBMITTED_MAX)
		return;
	w->submitted++;
	struct message *m = message_new(w);
	struct envelope_rcpt rcpt[RCPTS_MAX];
	char address[RCPTS_MAX][32];
	struct envelope env = { .arrived_at_us = loop_wall_us(w->loop), .rcpt = rcpt };
	struct buf meta = BUF_INIT(1 << 16);
	char body[2000];

	m->null_sender = chance(w, 10);
	m->nrcpt = chance(w, 60) ? 1 : 1 + (uint32_t)below(w, RCPTS_MAX);
	env.sender = m->null_sender ? SPAN("") : SPAN("me@d7.example");
	env.nrcpt = m->nrcpt;
	m->end_us = env.arrived_at_us +
		    (m->null_sender ? w->schedule.bounce_lifetime_us : w->schedule.lifetime_us);
	if (chance(w, 10)) {
		m->hurried = true;
		env.deliver_by_us = env.arrived_at_us + (int64_t)below(w, (uint64_t)H);
		env.flags |= chance(w, 50) ? ENVELOPE_BY_NOTIFY : 0;
	}
	if (chance(w, 4))
		env.flags |= ENVELOPE_HELD;
	for (uint32_t i = 0; i < m->nrcpt; i++) {
		struct rcpt *r = &m->rcpt[i];
		r->domain = (unsigned)below(w, DOMAINS);
		r->notify = notifies[below(w, ARRAY_LEN(notifies))];
		if (env.flags & ENVELOPE_HELD)
			happens(w, &r->held);
		snprintf(address[i], sizeof address[i], "u%u@d%u.example", i, r->domain);
		rcpt[i] = (struct envelope_rcpt){ .address = span_of(address[i]),
						  .notify = (uint8_t)r->notify };
		rcpt[i].domain = span_skip(rcpt[i].address, 3);
	}
	SIM_CHECK(w, envelope_encode(&env, &meta), "an envelope is not written");
	memset(body, 'b', sizeof body);
	m->id = model_commit_start(&w->spool, buf_span(&meta), SPAN("Subject: x\r\n\r\n"),
				   span_make(body, below(w, sizeof body)), on_accepted, w);
	buf_free(&meta);
}
