/* delivery/delivery_priv.h - the inside of delivery; only delivery/ includes it. */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/random.h"
#include "delivery/delivery.h"
#include "dns/mx_lookup.h"
#include "io/tcp.h"
#include "smtp/smtp_client.h"
#include "smtp/smtp_data.h"
#include "spool/envelope.h"

enum {
	LINK_MEM_MAX = 4 * 1024 * 1024, /* one transaction's envelope and results */
	LINK_CHUNK_OCTETS = 128 * 1024, /* of a large message, read at a time: blocks of its file */
	LINK_TARGETS_TRIED_MAX = 5,     /* addresses tried for one job */
	LINK_LOAD_AGAIN_US = 250000,    /* while the spool has no memory for the message */
	LINK_LOADS_MAX = 120,
};

struct delivery {
	struct delivery_config cfg;
	struct loop *loop;
	struct dns *dns;
	struct hooks hooks;
	struct logger *log;
	struct metric_shard *metrics;
	struct queue *queue;
	struct spool *spool;
	struct list links;
	unsigned nlinks, busy;
	struct scope notices; /* commits of notices under way */
	bool stopping;
	bool starved; /* links_max kept somebody waiting */
	char chosen[ROUTE_HOST_TEXT_MAX]; /* a policy's choice of a host, for the queue to copy */
	struct task closed_task;       /* set up by delivery_close() */
	void (*on_closed)(void *arg);
	void *on_closed_arg;
};

/* What a queue_dest's pool is. */
struct delivery_pool {
	struct list idle; /* links between jobs */
};

/* The message as one run of octets: head, then the body from memory or from its file. */
struct body {
	struct spool_image *image; /* a reference */
	uint64_t at;
	char *chunk;          /* LINK_CHUNK_OCTETS, for large messages */
	struct span in_chunk; /* read and not used */
	struct spool_read read;
};

#define LINK_STEP_MAP(X) X(TAKEN) X(LOADING) X(RESOLVING) X(CONNECTING) X(TALKING) X(IDLE) X(CLOSING)
enum link_step {
#define X(name) LINK_##name,
	LINK_STEP_MAP(X)
#undef X
};

enum link_hop {
	LINK_HOP_MX,     /* the MX hosts of a domain */
	LINK_HOP_ROUTE,  /* the hosts of the route */
	LINK_HOP_CHOSEN, /* the host that a policy chose */
};

struct link {
	struct delivery *d;
	struct queue_dest *dest;
	struct list all, idle;
	struct scope scope;
	enum link_step step;
	bool scope_closed;
	bool counted; /* in the ledger */
	struct task run_task;

	struct mx_lookup mx;
	bool mx_used;
	enum link_hop hop;
	uint32_t host_at;     /* LINK_HOP_ROUTE: which one is being tried */
	uint32_t hosts_tried; /* before it */
	uint16_t port;        /* of the host being tried */
	size_t target_at;     /* of mx.targets */
	unsigned tried;   /* addresses, for the job in hand */
	struct tcp_connect tcp;
	struct stream *stream; /* NULL: not connected */
	struct smtp_client client;
	struct smtp_reply_parser parser;
	struct buf out;
	char remote[320];   /* "mx.example.org[192.0.2.1]:25" */
	char name[256];     /* ours, for EHLO: the configuration may change under a connection */
	unsigned messages;  /* on this connection */
	int64_t opened_us;

	bool has_work;
	bool reused; /* this job did not open the connection */
	struct queue_work work;
	struct arena *mem;
	struct envelope env;
	struct smtp_txn txn;
	struct spool_load load;
	struct timer load_again;
	unsigned loads;
	struct body body;
	struct smtp_data_encoder encoder;
	uint64_t chunk_left; /* BODY_CHUNK: still to be written */
	struct errtext why;  /* of the last failure to reach anybody */
	int64_t taken_us, connected_us;
};

/* ---- delivery.c ---- */
/* A link's memory goes. */
void delivery_link_gone(struct delivery *d);

/* ---- link.c ---- */
void link_start(struct delivery *d, struct queue_dest *dest, const struct queue_work *work);
/* An idle link takes the next job. False: there is none. */
bool link_next_job(struct link *l);
void link_close_idle(struct link *l);
/* Its destination goes: it ends now. It must not have a job. */
void link_abandon(struct link *l);
void link_stop(struct link *l);
void link_run(struct link *l);
void link_run_soon(struct link *l);
void link_job_done(struct link *l);
/* The job was not tried: the queue has it again, as it was. */
void link_put_back(struct link *l);
/* The connection is of no more use, but the job may still go elsewhere. */
void link_drop_stream(struct link *l);
/* The stream is closed, the job (if any) is given back: the link ends. */
void link_lost(struct link *l);

/* ---- link_connect.c: from a job to a server that listens ---- */
void link_resolve(struct link *l);
void link_connect(struct link *l);
/* This address did not work: the next one, or the job is over. */
void link_next_target(struct link *l, const char *what, int code, struct span text);

/* ---- link_talk.c: the dialogue ---- */
void link_talk_begin(struct link *l);
void link_talk(struct link *l);
extern const struct stream_events link_stream_events;

/* ---- body.c ---- */
void body_init(struct body *b, struct spool_image *image);
void body_deinit(struct body *b);
uint64_t body_octets(const struct body *b);
/* What can be had at once, at most @max octets; empty: body_read() first, or the end. */
struct span body_peek(const struct body *b, size_t max);
void body_skip(struct body *b, size_t n);
bool body_at_end(const struct body *b);
/* From @at again. */
void body_seek(struct body *b, uint64_t at);
/* Reads the next chunk of a large message. */
int body_read_start(struct body *b, struct scope *scope, struct spool *spool, void (*done)(struct op *op));
void body_read_done(struct body *b);

/* ---- outcome.c ---- */
/* The transaction's results become the job's outcomes, are logged and told to observers; the job goes back to the queue. */
void outcome_of_txn(struct link *l);
/* All recipients of the job alike. */
void outcome_of_all(struct link *l, enum queue_status status, int code, const char *enhanced,
		    struct span text);
void outcome_log(struct delivery *d, const struct link *l, uint64_t id, const struct envelope *env,
		 const struct queue_outcome *o);

/* ---- notice.c ---- */
void notice_make(struct delivery *d, struct queue_notice *notice);
