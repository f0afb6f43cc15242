/* fuzz_delivery_link.c - a next hop that says anything, at any moment, to a link with jobs: replies, pieces of them, nonsense, the end
 * of the connection, handshakes that succeed or fail, logins that come late, a new configuration in the middle.
 *
 * The first octets choose route and messages; each further one is an event, some with octets behind it.
 *
 * What must hold: each job gets its outcomes once, or is given back; what is called delivered was sent whole; where TLS is demanded
 * no word of mail and no login goes out before the handshake; nothing is left behind at the end. */
#define BED_WITHOUT_SERVER
#define BED_NAP() (void)0
#include "delivery/delivery_bed.h"

#include "io/memory_stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CONNS_MAX = 12, EVENTS_MAX = 300 };

struct conn {
	struct memory_peer peer;
	bool tls;
	size_t clear_n; /* octets of its output before the handshake */
};

struct world {
	struct bed b;
	struct conn conn[CONNS_MAX];
	unsigned nconns;
	struct tls_handshake *shaking;
	struct stream *lower; /* of that */
	struct tls_info info;
	struct auth_credential credential;
	const uint8_t *p, *end;
	bool over;    /* nobody is there any more */
	bool stalled; /* a server did not read for a while: what it was sent may not be known */
};

static struct world *world; /* for what delivery calls */

static unsigned octet(struct world *w)
{
	return w->p < w->end ? *w->p++ : 0;
}

static struct conn *now(struct world *w)
{
	return w->nconns ? &w->conn[w->nconns - 1] : NULL;
}

/* ---- instead of io/tcp_connect.c -------------------------------------------------------------------------------- */

void tcp_connect_init(struct tcp_connect *c, void (*done)(struct op *op))
{
	op_init(&c->op, done);
	c->stream_r = NULL;
}

int tcp_connect_start(struct tcp_connect *c, struct scope *scope, const struct ip_endpoint *to,
		      const struct ip_addr *source, int64_t deadline_us)
{
	struct world *w = world;
	const int err = op_begin(&c->op, scope, "connect", deadline_us, bed_op_cancel);

	(void)to, (void)source;
	if (err < 0)
		return err;
	if (w->over || w->nconns == CONNS_MAX) {
		op_complete(&c->op, -ERR_REFUSED);
		return 0;
	}
	struct conn *n = &w->conn[w->nconns++];
	c->stream_r = memory_stream_new(w->b.loop, &n->peer);
	op_complete(&c->op, 0);
	return 0;
}

/* ---- instead of tls/ --------------------------------------------------------------------------------------------- */

static void end_handshake(struct world *w, int status)
{
	struct tls_handshake *h = w->shaking;

	if (!h)
		return;
	w->shaking = NULL;
	if (status == 0) {
		struct conn *c = now(w);
		c->tls = true;
		c->clear_n = c->peer.output.n;
		h->stream_r = w->lower;
	} else {
		snprintf(h->why, sizeof h->why, "the handshake failed");
		if (w->lower)
			stream_close(w->lower, false);
	}
	w->lower = NULL;
	op_complete(&h->op, status);
}

static void lower_closed(struct stream *s, void *owner, int err)
{
	struct world *w = owner;

	(void)err;
	if (w->lower == s) {
		w->lower = NULL;
		end_handshake(w, -ERR_CLOSED);
	}
	stream_free(s);
}

static const struct stream_events lower_events = { .closed = lower_closed };

static void cancel_handshake(struct op *op)
{
	(void)op;
	end_handshake(world, -ERR_CANCELED);
}

void tls_handshake_init(struct tls_handshake *h, void (*done)(struct op *op))
{
	*h = (struct tls_handshake){ 0 };
	op_init(&h->op, done);
}

int tls_connect_start(struct tls_handshake *h, struct scope *scope, struct stream *lower,
		      struct tls_client *tc, const struct tls_connect *how, int64_t deadline_us)
{
	struct world *w = world;
	const int err = op_begin(&h->op, scope, "handshake", deadline_us, cancel_handshake);

	(void)tc;
	if (err < 0)
		return err;
	require(!w->shaking && (how->verify == TLS_VERIFY_NONE || how->nnames > 0));
	require(stream_input(lower).n == 0 || bed_route->tls.implicit);
	w->shaking = h;
	w->lower = lower;
	w->info = (struct tls_info){ .version = SPAN("TLSv1.3"),
				     .cipher = SPAN("X"),
				     .cert_ok = how->verify != TLS_VERIFY_NONE };
	stream_set_owner(lower, &lower_events, w);
	return 0;
}

const struct tls_info *tls_info(const struct stream *s)
{
	(void)s;
	return &world->info;
}

int tls_channel_binding(const struct stream *s, struct span type, uint8_t *out, size_t max)
{
	(void)s, (void)type, (void)out, (void)max;
	return -ERR_UNSUPPORTED;
}

bool tls_tlsa_usable(const struct tls_tlsa *t)
{
	return t->usage == 3;
}

/* ---- what happens ------------------------------------------------------------------------------------------------ */

static const char *const said[] = {
	"220 mx.example ESMTP\r\n",
	"250-mx.example\r\n250-STARTTLS\r\n250-AUTH PLAIN LOGIN\r\n250-PIPELINING\r\n250 SIZE 1000000\r\n",
	"250-mx.example\r\n250-AUTH LOGIN\r\n250-CHUNKING\r\n250-REQUIRETLS\r\n250 PIPELINING\r\n",
	"250 mx.example\r\n",
	"250 2.0.0 ok\r\n",
	"250 ok\r\n250 ok\r\n354 go\r\n",
	"354 go\r\n",
	"334 \r\n",
	"235 2.7.0 Authentication successful\r\n",
	"535 5.7.8 no\r\n",
	"454 4.7.0 not now\r\n",
	"421 4.4.2 bye\r\n",
	"550 5.1.1 nobody\r\n",
	"452-4.5.3 too\r\n452 4.5.3 many\r\n",
	"220 go\r\n250 forged\r\n",
	"221 bye\r\n",
};

enum event { SAY = 192, CLOSE = 224, BREAK, LATER, SHAKEN, NOT_SHAKEN, LOGIN, RELOAD, MAIL, STALL, GO_ON };

static void happen(struct world *w, unsigned what)
{
	struct conn *c = now(w);

	if (what < SAY && c) {
		const size_t left = (size_t)(w->end - w->p), n = what % 64 < left ? what % 64 : left;
		memory_stream_send(&c->peer, span_make(w->p, n));
		w->p += n;
	} else if (what < CLOSE && c) {
		memory_stream_send(&c->peer, span_of(said[(what - SAY) % ARRAY_LEN(said)]));
	} else if (what == CLOSE && c) {
		memory_stream_send_eof(&c->peer);
	} else if (what == BREAK && c) {
		memory_stream_reset(&c->peer, -ERR_CLOSED);
	} else if (what == LATER) {
		loop_clock_advance(w->b.loop, (1 + (int64_t)octet(w)) * 4 * SECOND);
	} else if (what == SHAKEN) {
		end_handshake(w, w->lower ? 0 : -ERR_CLOSED);
	} else if (what == NOT_SHAKEN) {
		end_handshake(w, -ERR_DENIED);
	} else if (what == LOGIN && w->credential.waits) {
		struct op *op = w->credential.waits;
		w->credential.waits = NULL;
		if (op_pending(op))
			op_complete(op, 0);
	} else if (what == RELOAD) {
		delivery_configure(w->b.d, &w->b.cfg, &(struct hooks){ NULL, NULL });
	} else if (what == MAIL && w->b.njobs < 4) {
		bed_mail(&w->b, 1 + octet(w) % 2);
	} else if ((what == STALL || what == GO_ON) && c) {
		memory_stream_stall(&c->peer, what == STALL);
		w->stalled = true;
	}
}

static void turn(struct world *w)
{
	for (int i = 0; i < 6; i++) {
		bed_ready(&w->b);
		loop_run_once(w->b.loop, false);
	}
}

/* ---- what must hold ---------------------------------------------------------------------------------------------- */

static bool holds(struct span s, const char *what)
{
	return span_find(s, span_of(what)) >= 0;
}

static void check(struct world *w, bool forced, bool login_forced)
{
	bool whole = false;

	for (unsigned i = 0; i < w->nconns; i++) {
		const struct conn *c = &w->conn[i];
		const struct span all = buf_span(&c->peer.output),
				  clear = c->tls ? span_first(all, c->clear_n) : all;
		if (forced)
			require(!holds(clear, "MAIL FROM") && !holds(clear, "Subject:"));
		if (login_forced)
			require(!holds(clear, "AUTH ") && !holds(clear, "c2VjcmV0"));
		whole |= holds(all, "MAIL FROM:<a@example.edu>") &&
			 (holds(all, "..dot\r\n.\r\n") ||
			  (holds(all, "LAST\r\n") && holds(all, "\r\n.dot\r\n")));
	}
	for (unsigned i = 0; i < w->b.ntold; i++) {
		const struct told *t = &w->b.told[i];
		require(t->status != QUEUE_DELIVERED || whole || w->stalled);
		require(t->enhanced[0] == (t->status == QUEUE_DELIVERED ? '2'
					   : t->status == QUEUE_BOUNCED ? '5'
									: '4'));
	}
	require(test_failures == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 4 || size > 3000)
		return 0;
	struct world *w = world = mem_alloc(sizeof *w);
	static int context; /* a tls_client that nobody looks into */

	w->p = data;
	w->end = data + size;
	bed_port = 2525;
	bed_start(&w->b);
	loop_clock_hold(w->b.loop, INT64_C(1700000000) * SECOND);
	w->b.cfg.links_max = 1; /* so that the last connection is the one that is spoken on */
	delivery_configure(w->b.d, &w->b.cfg, &(struct hooks){ NULL, NULL });
	const unsigned flags = octet(w), more = octet(w);
	bed_route->tls.level = (enum route_tls_level)(flags % 5);
	bed_route->tls.context =
		bed_route->tls.level == ROUTE_TLS_OFF ? NULL : (struct tls_client *)(void *)&context;
	bed_route->tls.implicit =
		(flags >> 3 & 1) && (flags % 5 == ROUTE_TLS_ENCRYPT || flags % 5 == ROUTE_TLS_VERIFY);
	bed_route->auth_unverified = flags >> 4 & 1;
	w->credential = (struct auth_credential){ .user = "relay",
						  .later = flags >> 6 & 1,
						  .fails = (flags >> 7) & (more >> 7) & 1 };
	if (flags >> 5 & 1)
		bed_route->auth = &w->credential;
	if (more & 1)
		w->b.dest.variant = SPAN("requiretls");
	if (more & 1)
		w->b.env_flags = ENVELOPE_REQUIRETLS;
	w->b.wanted = more >> 1 & 1;
	bed_route->idle_timeout_us = more >> 2 & 1 ? 0 : 60 * SECOND;
	bed_route->helo_only = more >> 3 & 1;
	bed_mail(&w->b, 1 + (more >> 4 & 1));

	const bool login = bed_route->auth && !bed_route->auth_unverified;
	const bool forced =
		flags % 5 == ROUTE_TLS_ENCRYPT || flags % 5 == ROUTE_TLS_VERIFY || (more & 1) || login;
	for (unsigned n = 0; w->p < w->end && n < EVENTS_MAX; n++) {
		turn(w);
		happen(w, octet(w));
	}
	turn(w);
	w->over = true;
	for (unsigned i = 0; i < w->nconns; i++) {
		memory_stream_stall(&w->conn[i].peer, false);
		memory_stream_reset(&w->conn[i].peer, -ERR_CLOSED);
	}
	end_handshake(w, -ERR_CLOSED);
	for (unsigned i = 0; i < 20 && delivery_stats(w->b.d).busy; i++) {
		loop_clock_advance(w->b.loop, 100 * SECOND);
		turn(w);
	}
	bed_end(&w->b);
	require(w->credential.alive == 0);
	check(w, forced, login);
	for (unsigned i = 0; i < w->nconns; i++)
		memory_stream_peer_deinit(&w->conn[i].peer);
	free(w);
	return 0;
}
