/* tls_bed.h - for the tests of TLS: a server and a client of ours, over memory or TCP, in one loop. */
#pragma once

#include <unistd.h>

#include "base/buf.h"
#include "io/memory_stream.h"
#include "io/tcp.h"
#include "tls/tls_stream.h"
#include "tls_certs.h"

#define SECONDS(n) ((n)*INT64_C(1000000))

/* One end: its handshake, then its stream. */
struct end {
	struct loop *loop;
	struct scope scope;
	struct tls_handshake h;
	struct stream *s; /* NULL before and after */
	struct buf got;
	unsigned done, readable, writable, deadline, closed, released;
	int status, err;  /* of the handshake; of `closed` */
	char broken[120]; /* as tls_info() said in `closed` */
	bool eof, leave, echo, paused;
	bool close_on_readable;
	size_t consume_max;
};

struct bed {
	struct loop *l;
	struct memory_peer wire_server, wire_client; /* memory */
	struct stream *lower_server, *lower_client;
	struct listener *listener; /* TCP */
	struct ip_endpoint at;
	struct tcp_connect dial;
	struct end server, client;
	struct tls_server *ts;
	struct tls_client *tc;
	size_t cut; /* octets moved at once between the ends; 0: all */
	bool stuck; /* nothing is moved */
};

/* ---- ends ------------------------------------------------------------------------------------------------- */

static inline void end_readable(struct stream *s, void *owner)
{
	struct end *e = owner;
	struct span in = stream_input(s);

	e->readable++;
	e->eof = stream_eof(s);
	if (e->consume_max)
		in = span_first(in, e->consume_max);
	if (e->echo && in.n)
		CHECK_INT(0, stream_write(s, in));
	if (!e->leave) {
		buf_add_span(&e->got, in);
		stream_consume(s, in.n);
	}
	stream_want_input(s, !e->paused);
	if (e->close_on_readable)
		stream_close(s, true);
}

static inline void end_writable(struct stream *s, void *owner)
{
	CHECK(stream_pending(s) <= STREAM_OUT_LOW);
	((struct end *)owner)->writable++;
}

static inline void end_deadline(struct stream *s, void *owner)
{
	(void)s;
	((struct end *)owner)->deadline++;
}

static inline void end_closed(struct stream *s, void *owner, int err)
{
	struct end *e = owner;

	e->closed++;
	e->err = err;
	snprintf(e->broken, sizeof e->broken, "%.*s", SPAN_ARG(tls_info(s)->broken));
	e->s = NULL;
	stream_free(s);
}

static const struct stream_events end_events = { end_readable, end_writable, end_deadline, end_closed };

static inline void end_released(void *arg)
{
	((struct end *)arg)->released++;
}

static inline void end_shaken(struct op *op)
{
	struct end *e = container_of(container_of(op, struct tls_handshake, op), struct end, h);

	e->done++;
	e->status = op->status;
	if (op->status < 0)
		return;
	e->s = e->h.stream_r;
	stream_set_owner(e->s, &end_events, e);
}

static inline void end_open(struct end *e, struct loop *l)
{
	*e = (struct end){ .loop = l, .got = BUF_INIT(64 * 1024 * 1024), .status = 1, .err = 1 };
	scope_init(&e->scope, l, NULL);
	tls_handshake_init(&e->h, end_shaken);
}

/* ---- over memory ------------------------------------------------------------------------------------------ */

static inline void wire_move(struct bed *b, struct memory_peer *from, struct memory_peer *to)
{
	const struct span all = buf_span(&from->output);
	const size_t n = b->cut && b->cut < all.n ? b->cut : all.n;

	if (b->stuck)
		return;
	if (n > 0) {
		memory_stream_send(to, span_first(all, n));
		buf_consume(&from->output, n);
	}
	if (from->ended && from->output.n == 0)
		memory_stream_send_eof(to);
}

static inline void bed_turn(struct bed *b)
{
	if (b->wire_server.loop_) {
		wire_move(b, &b->wire_server, &b->wire_client);
		wire_move(b, &b->wire_client, &b->wire_server);
	}
	loop_run_once(b->l, false);
}

/* Turns until @cond holds, or many times. */
#define TURNS(b, cond)                                                                                       \
	for (unsigned left_ = 40000; !(cond) && left_ > 0; left_--) {                                        \
		bed_turn(b);                                                                                 \
		if ((b)->listener && !(cond))                                                                \
			usleep(50);                                                                          \
	}

static inline void bed_turns(struct bed *b, unsigned n)
{
	while (n-- > 0) {
		bed_turn(b);
		if (b->listener)
			usleep(200);
	}
}

static inline void bed_init(struct bed *b)
{
	*b = (struct bed){ .l = loop_new() };
	end_open(&b->server, b->l);
	end_open(&b->client, b->l);
}

/* Of a lower stream until its handshake starts, if it ever does. */
static inline void unused_closed(struct stream *s, void *owner, int err)
{
	(void)err;
	*(struct stream **)owner = NULL;
	stream_free(s);
}

static const struct stream_events unused_events = { .closed = unused_closed };

static inline void bed_memory(struct bed *b)
{
	bed_init(b);
	b->lower_server = memory_stream_new(b->l, &b->wire_server);
	b->lower_client = memory_stream_new(b->l, &b->wire_client);
	stream_set_owner(b->lower_server, &unused_events, &b->lower_server);
	stream_set_owner(b->lower_client, &unused_events, &b->lower_client);
}

/* ---- over TCP --------------------------------------------------------------------------------------------- */

static inline void bed_accepted(void *arg, struct stream *s)
{
	struct bed *b = arg;

	CHECK(b->lower_server == NULL);
	b->lower_server = s;
	stream_set_owner(s, &unused_events, &b->lower_server);
	stream_want_input(s, false);
}

static inline void bed_dialled(struct op *op)
{
	struct bed *b = container_of(container_of(op, struct tcp_connect, op), struct bed, dial);

	NEED(op->status == 0);
	b->lower_client = b->dial.stream_r;
	stream_set_owner(b->lower_client, &unused_events, &b->lower_client);
}

static inline void bed_tcp(struct bed *b)
{
	struct errtext e = { "" };
	struct ip_endpoint any = { .port = 0 };

	bed_init(b);
	NEED(ip_parse(SPAN("127.0.0.1"), &any.addr));
	const int fd = tcp_listen_fd(&any, 16, &b->at, &e);
	NEED(fd >= 0);
	b->listener = listener_new(b->l, fd, bed_accepted, b);
	tcp_connect_init(&b->dial, bed_dialled);
	CHECK_INT(0, tcp_connect_start(&b->dial, &b->client.scope, &b->at, NULL, SECONDS(5)));
	TURNS(b, b->lower_client && b->lower_server);
	NEED(b->lower_client && b->lower_server);
}

/* ---- both ------------------------------------------------------------------------------------------------- */

static inline void bed_accept(struct bed *b, struct tls_server *ts)
{
	struct stream *lower = b->lower_server;

	b->lower_server = NULL;
	CHECK_INT(0, tls_accept_start(&b->server.h, &b->server.scope, lower, ts, SECONDS(30)));
	CHECK_INT(0, b->server.done);
}

static inline void bed_connect(struct bed *b, struct tls_client *tc, const struct tls_connect *how)
{
	struct stream *lower = b->lower_client;

	b->lower_client = NULL;
	CHECK_INT(0, tls_connect_start(&b->client.h, &b->client.scope, lower, tc, how, SECONDS(30)));
	CHECK_INT(0, b->client.done);
}

/* Both handshakes, to whatever end. */
static inline void bed_shake(struct bed *b, struct tls_server *ts, struct tls_client *tc,
			     const struct tls_connect *how)
{
	bed_accept(b, ts);
	bed_connect(b, tc, how);
	TURNS(b, b->server.done && b->client.done);
	CHECK_INT(1, b->server.done);
	CHECK_INT(1, b->client.done);
}

/* Everything goes; each stream said `closed` once. */
static inline void bed_end(struct bed *b)
{
	struct end *const ends[] = { &b->server, &b->client };

	b->stuck = false;
	for (unsigned i = 0; i < 2; i++) {
		struct end *e = ends[i];
		if (e->s)
			stream_close(e->s, false);
		scope_close(&e->scope);
	}
	if (b->lower_server)
		stream_close(b->lower_server, false);
	if (b->lower_client)
		stream_close(b->lower_client, false);
	TURNS(b, !b->server.s && !b->client.s);
	bed_turns(b, 4);
	for (unsigned i = 0; i < 2; i++) {
		CHECK(ends[i]->s == NULL);
		CHECK(scope_idle(&ends[i]->scope));
		if (ends[i]->h.op.done == end_shaken)
			CHECK_INT(ends[i]->done && ends[i]->status == 0, ends[i]->closed);
		buf_free(&ends[i]->got);
	}
	if (b->wire_server.loop_) {
		memory_stream_peer_deinit(&b->wire_server);
		memory_stream_peer_deinit(&b->wire_client);
	}
	listener_close(&b->listener);
	loop_free(&b->l);
}

/* ---- contexts --------------------------------------------------------------------------------------------- */

static inline struct tls_server *serve(const struct tls_server_config *cfg)
{
	struct tls_server *ts = NULL;
	struct errtext e = { "" };

	if (tls_server_new(cfg, &ts, &e) < 0)
		FAIL("tls_server_new: %s", e.s);
	NEED(ts != NULL);
	return ts;
}

static inline struct tls_server *serve_pair(const char *cert, const char *key)
{
	const struct tls_cert one = { span_of(cert), span_of(key) };

	return serve(&(struct tls_server_config){
		.certs = &one, .ncerts = 1, .security_level = -1, .session_lifetime_s = 3600 });
}

static inline struct tls_client *connecting(const char *ca_file)
{
	const struct tls_client_config cfg = { .security_level = -1, .ca_file = span_of(ca_file) };
	struct tls_client *tc = NULL;
	struct errtext e = { "" };

	if (tls_client_new(&cfg, &tc, &e) < 0)
		FAIL("tls_client_new: %s", e.s);
	NEED(tc != NULL);
	return tc;
}
