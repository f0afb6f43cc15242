/* delivery/delivery_priv.h - the inside of delivery; only delivery/ includes it. */
#pragma once

#include "auth/auth_client.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/random.h"
#include "delivery/delivery.h"
#include "dns/mx_lookup.h"
#include "io/tcp.h"
#include "smtp/smtp_client.h"
#include "smtp/smtp_data.h"
#include "spool/envelope.h"
#include "sts/sts.h"
#include "sts/tls_report.h"
#include "tls/tls_stream.h"

enum { VARIANT_TEXT_MAX = 300 };

enum {
	LINK_MEM_MAX = 4 * 1024 * 1024, /* one transaction's envelope and results */
	LINK_CHUNK_OCTETS = 128 * 1024, /* of a large message, read at a time: blocks of its file */
	LINK_TARGETS_TRIED_MAX = 5,     /* addresses tried for one job */
	LINK_LOAD_AGAIN_US = 250000,    /* while the spool has no memory for the message */
	LINK_LOADS_MAX = 120,
	LINK_PLAIN_MAX = 4, /* servers of a destination whose TLS is remembered to be broken */
	LINK_TLSA_MAX = 24, /* usable TLSA records of a server */
};

/* For so long a server whose handshake failed is talked to in the clear at once, where that is permitted. */
#define LINK_PLAIN_US (15 * 60 * INT64_C(1000000))

struct delivery {
	struct delivery_config cfg;
	unsigned generation; /* of it: what was set up by an older one is not used again */
	struct loop *loop;
	struct dns *dns;
	struct hooks hooks;
	struct logger *log;
	struct metric_shard *metrics;
	struct queue *queue;
	struct sts *sts;           /* NULL: no policies are asked for */
	struct tls_report *report; /* NULL: nobody counts */
	struct spool *spool;
	struct list links;
	unsigned nlinks, busy;
	struct scope notices; /* commits of notices under way */
	bool stopping;
	bool starved;                     /* links_max kept somebody waiting */
	char chosen[ROUTE_HOST_TEXT_MAX]; /* a policy's choice of a host, for the queue to copy */
	char variant[VARIANT_TEXT_MAX];   /* likewise */
	struct task closed_task;          /* set up by delivery_close() */
	void (*on_closed)(void *arg);
	void *on_closed_arg;
};

/* What a queue_dest's pool is. */
struct delivery_pool {
	struct list idle; /* links between jobs */
	struct {
		struct ip_endpoint at;
		int64_t until_us; /* loop time */
	} plain[LINK_PLAIN_MAX];
	unsigned plain_next;
};

/* The message as one run of octets: head, then the body from memory or from its file. */
struct body {
	struct spool_image *image; /* a reference */
	uint64_t at;
	char *chunk;          /* LINK_CHUNK_OCTETS, for large messages */
	struct span in_chunk; /* read and not used */
	struct spool_read read;
};

#define LINK_STEP_MAP(X)                                                                                     \
	X(TAKEN)                                                                                             \
	X(LOADING) X(RESOLVING) X(ASKING_TLSA) X(CONNECTING) X(HANDSHAKE) X(TALKING) X(IDLE) X(CLOSING)
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

/* What is demanded of a connection: by the route, by the sender (REQUIRETLS), by a policy of the domain. */
struct tls_demand {
	enum route_tls_level level;
	bool requiretls; /* RFC 8689: a verified server under a name that is certain, or the mail is returned */
	/* STS: patterns of the MX hosts that mail may go to, ".example.org" for one label below it. None: there is no policy, or
	 * none to be enforced; then it is as MAY. */
	const struct span *mx;
	size_t nmx;
};

/* How the connection to the target in hand is protected, or is to be. */
struct link_tls {
	struct tls_demand demand;
	bool required;          /* for this target: not a word of mail without TLS */
	enum tls_verify verify; /* for this target */
	bool plain;             /* its handshake failed: in the clear now */
	bool forged;            /* it said more than its 220: nothing of it is believed */
	bool on, verified;      /* the connection is under TLS; the server is who it should be */
	struct tls_handshake handshake;
	struct dns_query tlsa;
	bool tlsa_used;
	struct span tlsa_base; /* whose records they are (RFC 7672 section 2.2.3) */
	struct tls_tlsa record[LINK_TLSA_MAX];
	size_t nrecords;
	/* For the log, also when the connection is gone. */
	bool cert_ok;
	char version[16], cipher[64];
};

struct link_sts {
	struct sts_lookup lookup; /* its policy lives as long as the job's connections */
	bool used;
};

struct link_auth {
	struct auth_credential *credential; /* the snapshot's; NULL: none */
	struct link_auth_run *run;          /* the exchange; NULL: none */
	bool gave_up;                       /* it was us who ended it */
};

/* Why nobody takes the job. */
struct link_trouble {
	const char *what; /* the step */
	int code;
	struct smtp_enhanced enhanced; /* class 0: 4.4.1 */
	struct span text;
	bool tls;    /* TLS was demanded and could not be had: "tls_required" */
	bool final;  /* other hosts would say the same */
	bool bounce; /* the sender would rather have it back: REQUIRETLS */
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
	unsigned tried;       /* addresses, for the job in hand */
	struct tcp_connect tcp;
	unsigned generation; /* of the configuration that it was set up by */
	struct link_tls tls;
	struct link_auth auth;
	struct link_sts sts;
	struct stream *stream; /* NULL: not connected */
	struct smtp_client client;
	struct smtp_reply_parser parser;
	struct buf out;
	char remote[320];  /* "mx.example.org[192.0.2.1]:25" */
	char name[256];    /* ours, for EHLO: the configuration may change under a connection */
	unsigned messages; /* on this connection */
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
	/* Of the failure to reach anybody: the last one, but TLS that is missing is not hidden by what another host said. */
	struct errtext why;
	struct link_trouble trouble;
	int64_t taken_us, connected_us;
};

/* ---- variant.c: destinations that differ in more than route and next hop ---- */
struct variant {
	bool requiretls;
	bool optional; /* RFC 8689 section 4.2.2: what the domain demands does not count, only what the operator does */
	struct span login; /* sender domain whose credential is used; empty: the route's */
};

/* "", "requiretls", "may", "as a.example", "requiretls as a.example", "may as a.example"; in d->variant. */
struct span variant_format(struct delivery *d, const struct variant *v);
struct variant variant_parse(struct span text);

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
/* Now that it is known what is demanded of its connections. */
void link_look_up(struct link *l);
/* To the target in hand, now that it is known what is demanded of it. */
void link_dial(struct link *l);
/* This address did not work: the next one, or the job is over. What @why points to need not outlive the call. */
void link_next_target(struct link *l, const struct link_trouble *why);

/* ---- link_demand.c: what has to protect the connection ---- */
/* A job is taken: finds out what is demanded of its connections, then link_look_up(). */
void link_tls_begin(struct link *l);
/* A target is chosen: finds out what is demanded of it, then link_dial(). */
void link_tls_demand(struct link *l);

/* ---- link_tls.c: what does ---- */
/* Another target: nothing is known of it. */
void link_tls_forget(struct link *l);
/* TLS with the target in hand failed lately. */
bool link_tls_is_plain(const struct link *l);
enum smtp_client_tls link_tls_policy(const struct link *l);
/* The connection becomes one under TLS; then the dialogue begins, or goes on. */
void link_tls_start(struct link *l);
/* It did not: on without it, if that is permitted; or the next target. */
void link_tls_failed(struct link *l, struct link_trouble *t);
/* May it take REQUIRETLS mail? */
bool link_tls_is_secure(const struct link *l);
/* The server is known: what there is to be noted about its TLS. */
void link_tls_note(struct link *l);
void link_tls_log(const struct link *l, struct log_rec *r);

/* ---- link_sts.c: MTA-STS, and reports of how TLS fared ---- */
/* Asks for the domain's policy, then link_look_up(). False: none is wanted. */
bool link_sts_ask(struct link *l);
/* The server is known, under TLS or without. */
void link_sts_report(const struct link *l);
/* TLS was tried or demanded, and is not to be had. */
void link_sts_failed(const struct link *l, enum tls_report_result result, struct span why);
/* Of the handshake, or of the dialogue that came to none. */
enum tls_report_result link_sts_result(const struct link *l);
void link_sts_deinit(struct link *l);

/* ---- link_auth.c: who we are ---- */
/* A job is taken: with what its destination's mail is sent. */
void link_auth_begin(struct link *l);
/* It is our turn in AUTH. True: it is not any more, ask for the next action. */
bool link_auth_step(struct link *l);
/* The server said yes. False: it did not prove who it is; *t says so, until link_auth_over(). */
bool link_auth_accepted(struct link *l, struct link_trouble *t);
/* The server refused us, or we gave up: fills in what follows from it. */
void link_auth_failed(struct link *l, struct link_trouble *t);
/* The exchange is over: its secrets are wiped. */
void link_auth_over(struct link *l);

/* ---- link_talk.c: the dialogue ---- */
void link_talk_begin(struct link *l);
/* A connection is new: in the clear, or under TLS from its start. */
void link_talk_new(struct link *l);
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
