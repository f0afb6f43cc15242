/* delivery_bed.h - delivery between a queue that is the test's and servers on the loopback that say what a script says. */
#pragma once

#include "test.h"

#include <stdlib.h>
#include <unistd.h>

#include "auth/auth_client.h"
#include "base/buf.h"
#include "base/mem.h"
#include "delivery/delivery.h"
#include "io/tcp.h"
#include "tls/tls_stream.h"

#define SECOND INT64_C(1000000)

#ifndef BED_NAP
#define BED_NAP() usleep(200) /* for what comes over the loopback */
#endif

static uint16_t bed_port; /* of the server; 0: any */

#ifdef BED_WITHOUT_SERVER /* whoever includes this is what is behind tcp_connect_start() */

struct server {
	struct ip_endpoint at;
};

static inline void server_start(struct server *sv, struct loop *loop)
{
	(void)loop;
	*sv = (struct server){ .at.port = bed_port };
}

static inline void server_stop(struct server *sv)
{
	(void)sv;
}

static inline void server_free(struct server *sv)
{
	(void)sv;
}

#else

/* ---- the server ------------------------------------------------------------------------------------------------ */

struct server {
	struct listener *listener;
	struct ip_endpoint at;
	const char *greeting, *ehlo, *helo, *mail, *rcpt, *rcpt2, *data, *end, *bdat,
		*quit; /* replies; NULL: hangs up there */
	bool silent_at_quit, slow;
	struct tls_server *tls;                 /* NULL: it cannot */
	const char *starttls, *tls_ehlo, *auth; /* replies; tls_ehlo: under TLS, NULL: as ehlo */
	bool breaks_handshake, implicit;
	struct server_conn *conn[32];
	unsigned nconns, messages, closed, handshakes, handshakes_failed;
	struct buf said, content; /* all commands; all content as it came */
	struct buf clear;         /* commands that came in the clear */
};

struct server_conn {
	struct server *sv;
	struct stream *s; /* NULL: closed, or in a handshake */
	struct scope scope;
	struct tls_handshake handshake;
	bool tls, in_auth;
	bool broken; /* the next octets are a ClientHello, and not welcome */
	bool in_data;
	uint64_t chunk;
	bool last;
	unsigned rcpts;
};

static void server_reply(struct server_conn *c, const char *reply)
{
	if (!reply)
		stream_close(c->s, false);
	else if (reply[0])
		stream_write(c->s, span_of(reply));
}

static void server_shaken(struct op *op);

static void server_starttls(struct server_conn *c)
{
	struct stream *lower = c->s;

	server_reply(c, c->sv->starttls);
	if (!c->sv->tls || !c->sv->starttls || c->sv->starttls[0] != '2')
		return;
	stream_flush(lower);
	c->broken = c->sv->breaks_handshake;
	if (c->broken)
		return;
	c->s = NULL;
	tls_handshake_init(&c->handshake, server_shaken);
	NEED(tls_accept_start(&c->handshake, &c->scope, lower, c->sv->tls, 10 * SECOND) == 0);
}

static void server_command(struct server_conn *c, struct span line)
{
	struct server *sv = c->sv;
	const struct span verb = span_first(line, 4);

	buf_add_span(&sv->said, line);
	buf_add(&sv->said, "\n", 1);
	if (!c->tls) {
		buf_add_span(&sv->clear, line);
		buf_add(&sv->clear, "\n", 1);
	}
	if (c->in_auth) {
		c->in_auth = false;
		server_reply(c, "235 2.7.0 Authentication successful\r\n");
	} else if (span_ieq(verb, SPAN("EHLO")))
		server_reply(c, c->tls && sv->tls_ehlo ? sv->tls_ehlo : sv->ehlo);
	else if (span_ieq(verb, SPAN("STAR")))
		server_starttls(c);
	else if (span_ieq(verb, SPAN("AUTH"))) {
		c->in_auth = sv->auth && sv->auth[0] == '3';
		server_reply(c, sv->auth);
	} else if (span_ieq(verb, SPAN("HELO")))
		server_reply(c, sv->helo);
	else if (span_ieq(verb, SPAN("MAIL")))
		c->rcpts = 0, server_reply(c, sv->mail);
	else if (span_ieq(verb, SPAN("RCPT")))
		server_reply(c, c->rcpts++ && sv->rcpt2 ? sv->rcpt2 : sv->rcpt);
	else if (span_ieq(verb, SPAN("RSET")))
		server_reply(c, "250 reset\r\n");
	else if (span_ieq(verb, SPAN("DATA"))) {
		c->in_data = sv->data && sv->data[0] == '3';
		server_reply(c, sv->data);
	} else if (span_ieq(verb, SPAN("BDAT"))) {
		c->chunk = strtoull(line.p + 5, NULL, 10);
		c->last = line.n > 5 && span_ieq(span_skip(line, line.n - 4), SPAN("LAST"));
		if (!c->chunk)
			server_reply(c, sv->bdat);
	} else if (span_ieq(verb, SPAN("QUIT")) && !sv->silent_at_quit) {
		server_reply(c, sv->quit);
		stream_close(c->s, true);
	}
}

static bool server_step(struct server_conn *c)
{
	struct server *sv = c->sv;
	const struct span in = stream_input(c->s);
	size_t n;

	if (!in.n || c->s->closing)
		return false;
	if (c->chunk) {
		n = in.n < c->chunk ? in.n : (size_t)c->chunk;
		buf_add_span(&sv->content, span_first(in, n));
		stream_consume(c->s, n);
		c->chunk -= n;
		if (!c->chunk) {
			sv->messages += c->last;
			server_reply(c, sv->bdat);
		}
		return true;
	}
	if (c->in_data) {
		buf_add_span(&sv->content, in);
		stream_consume(c->s, in.n);
		if (sv->content.n >= 3 && memcmp(sv->content.p + sv->content.n - 3, ".\r\n", 3) == 0 &&
		    (sv->content.n < 5 || memcmp(sv->content.p + sv->content.n - 5, "\r\n.\r\n", 5) == 0)) {
			c->in_data = false;
			sv->messages++;
			server_reply(c, sv->end);
		}
		return true;
	}
	const char *lf = memchr(in.p, '\n', in.n);
	if (!lf)
		return false;
	char line[2048];
	n = (size_t)(lf - in.p) + 1;
	const size_t keep = n >= 2 && n - 2 < sizeof line ? n - 2 : 0;
	memcpy(line, in.p, keep);
	stream_consume(c->s, n);
	server_command(c, span_make(line, keep));
	return true;
}

static void server_readable(struct stream *s, void *owner)
{
	struct server_conn *c = owner;

	if (c->s != s)
		return;
	if (c->broken && stream_input(s).n) {
		stream_consume(s, stream_input(s).n);
		stream_write(s, SPAN("\x15\x03\x01\x00\x02\x02\x28")); /* an alert: handshake_failure */
		stream_close(s, true);
		return;
	}
	if (c->sv->slow && c->in_data && stream_input(c->s).n > 10000) {
		buf_add_span(&c->sv->content, span_first(stream_input(c->s), 10000));
		stream_consume(c->s, 10000);
		stream_want_input(c->s, true);
		return;
	}
	while (c->s && server_step(c))
		;
	if (c->s && stream_eof(c->s))
		stream_close(c->s, false);
}

static void server_closed(struct stream *s, void *owner, int err)
{
	struct server_conn *c = owner;

	(void)err;
	c->s = NULL;
	c->sv->closed++;
	stream_free(s);
}

static const struct stream_events server_events = { .readable = server_readable, .closed = server_closed };

static void server_shaken(struct op *op)
{
	struct server_conn *c = container_of(op, struct server_conn, handshake.op);

	if (op->status < 0) {
		c->sv->handshakes_failed++;
		c->sv->closed++;
		return;
	}
	c->sv->handshakes++;
	c->tls = true;
	c->s = c->handshake.stream_r;
	stream_set_owner(c->s, &server_events, c);
	stream_want_input(c->s, true);
	if (c->sv->implicit)
		server_reply(c, c->sv->greeting);
}

static void server_accepted(void *arg, struct stream *s)
{
	struct server *sv = arg;
	struct server_conn *c = mem_alloc(sizeof *c);

	NEED(sv->nconns < ARRAY_LEN(sv->conn));
	*c = (struct server_conn){ .sv = sv, .s = s };
	scope_init(&c->scope, s->loop, NULL);
	sv->conn[sv->nconns++] = c;
	stream_set_owner(s, &server_events, c);
	if (sv->implicit) {
		c->s = NULL;
		tls_handshake_init(&c->handshake, server_shaken);
		NEED(tls_accept_start(&c->handshake, &c->scope, s, sv->tls, 10 * SECOND) == 0);
		return;
	}
	server_reply(c, sv->greeting);
}

static void server_start(struct server *sv, struct loop *loop)
{
	struct ip_endpoint at = { .port = bed_port };
	struct errtext e;

	*sv = (struct server){
		.greeting = "220 mx.example ESMTP\r\n",
		.ehlo = "250-mx.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-DSN\r\n250 SIZE 50000000\r\n",
		.helo = "250 mx.example\r\n",
		.mail = "250 2.1.0 ok\r\n",
		.rcpt = "250 2.1.5 ok\r\n",
		.data = "354 go\r\n",
		.end = "250 2.0.0 taken\r\n",
		.bdat = "250 2.0.0 chunk\r\n",
		.quit = "221 bye\r\n",
		.starttls = "220 go\r\n",
		.auth = "235 2.7.0 Authentication successful\r\n",
		.said = BUF_INIT(1 << 20),
		.clear = BUF_INIT(1 << 20),
		.content = BUF_INIT(32 << 20)
	};
	NEED(ip_parse(SPAN("127.0.0.1"), &at.addr));
	const int fd = tcp_listen_fd(&at, 16, &sv->at, &e);
	NEED(fd >= 0);
	sv->listener = listener_new(loop, fd, server_accepted, sv);
}

static void server_stop(struct server *sv)
{
	for (unsigned i = 0; i < sv->nconns; i++) {
		scope_close(&sv->conn[i]->scope);
		if (sv->conn[i]->s)
			stream_close(sv->conn[i]->s, false);
	}
	if (sv->listener)
		listener_close(&sv->listener);
}

static void server_free(struct server *sv)
{
	for (unsigned i = 0; i < sv->nconns; i++)
		free(sv->conn[i]);
	tls_server_unref(&sv->tls);
	buf_free(&sv->said);
	buf_free(&sv->clear);
	buf_free(&sv->content);
}

#endif

/* ---- the queue and the spool ----------------------------------------------------------------------------------- */

enum { JOBS_MAX = 16, OUTCOMES_MAX = 64 };

struct queue_job {
	struct spool_image image;
	struct buf meta, body;
	uint32_t rcpts[4], nrcpt;
	bool ready, out, load;
};

struct told {
	uint32_t rcpt;
	enum queue_status status;
	int code;
	char enhanced[16], text[300], remote[200];
};

struct queue {
	struct bed *bed;
};

struct spool {
	struct bed *bed;
};

struct bed {
	struct loop *loop;
	struct server sv;
	struct route_table routes;
	struct route route;
	struct dns *dns;
	struct logger log;
	struct buf lines;
	struct metric_shard metrics;
	struct delivery_config cfg;
	struct delivery *d;
	struct queue_ops ops;
	struct queue queue;
	struct spool spool;
	struct queue_dest dest;
	struct queue_job job[JOBS_MAX];
	unsigned njobs, conns, puts_back, dest_failed, dest_ok, pokes, load_busy;
	unsigned in_ready;
	bool wanted, read_waits;
	char *sender;                       /* of messages; NULL: a@example.edu */
	uint32_t env_flags;                 /* likewise */
	struct auth_credential *credential; /* the fake's, see below */
	struct told told[OUTCOMES_MAX];
	unsigned ntold;
	struct told failed; /* the last reason of queue_dest_failed() */
	struct spool_read *read;
	struct buf report, report_meta;
	int notice_status;
	unsigned notices_done, added;
	bool closed;
};

static inline void bed_ready(struct bed *b)
{
	for (int i = 0; i < 20; i++) {
		const unsigned conns = b->conns;
		unsigned ready = 0, after = 0;
		for (unsigned k = 0; k < b->njobs; k++)
			ready += b->job[k].ready;
		if (!ready)
			return;
		b->in_ready++;
		b->ops.ready(b->ops.arg, &b->dest);
		b->in_ready--;
		for (unsigned k = 0; k < b->njobs; k++)
			after += b->job[k].ready;
		if (after == ready && conns == b->conns)
			return;
	}
}

bool queue_open_connection(struct queue *q, struct queue_dest *dest)
{
	(void)dest;
	q->bed->conns++;
	return true;
}

void queue_close_connection(struct queue *q, struct queue_dest *dest)
{
	CHECK(dest == &q->bed->dest);
	q->bed->conns--;
}

bool queue_connection_wanted(const struct queue *q, const struct queue_dest *dest)
{
	(void)dest;
	return q->bed->wanted;
}

bool queue_take(struct queue *q, struct queue_dest *dest, struct queue_work *work_r)
{
	struct bed *b = q->bed;

	(void)dest;
	for (unsigned i = 0; i < b->njobs; i++) {
		struct queue_job *j = &b->job[i];
		if (!j->ready)
			continue;
		j->ready = false;
		j->out = true;
		*work_r = (struct queue_work){ .job = j,
					       .id = j->image.id,
					       .rcpts = j->rcpts,
					       .nrcpt = j->nrcpt,
					       .attempt = 1,
					       .image = j->load ? NULL : &j->image,
					       .ready_at_us = loop_now_us(b->loop) };
		return true;
	}
	return false;
}

void queue_done(struct queue *q, struct queue_job *job, const struct queue_outcome *o, uint32_t n)
{
	struct bed *b = q->bed;

	CHECK(!b->in_ready);
	CHECK(job->out);
	job->out = false;
	for (uint32_t i = 0; i < n; i++) {
		NEED(b->ntold < OUTCOMES_MAX);
		struct told *t = &b->told[b->ntold++];
		*t = (struct told){ .rcpt = o[i].rcpt, .status = o[i].status, .code = o[i].code };
		snprintf(t->enhanced, sizeof t->enhanced, "%.*s", SPAN_ARG(o[i].enhanced));
		snprintf(t->text, sizeof t->text, "%.*s", SPAN_ARG(o[i].text));
		snprintf(t->remote, sizeof t->remote, "%.*s", SPAN_ARG(o[i].remote));
	}
}

void queue_put_back(struct queue *q, struct queue_job *job)
{
	CHECK(!q->bed->in_ready);
	CHECK(job->out);
	job->out = false;
	job->ready = true;
	q->bed->puts_back++;
}

void queue_dest_failed(struct queue *q, struct queue_dest *dest, const struct queue_outcome *why)
{
	struct bed *b = q->bed;

	(void)dest;
	b->dest_failed++;
	b->failed = (struct told){ .status = why->status, .code = why->code };
	snprintf(b->failed.enhanced, sizeof b->failed.enhanced, "%.*s", SPAN_ARG(why->enhanced));
	snprintf(b->failed.text, sizeof b->failed.text, "%.*s", SPAN_ARG(why->text));
}

void queue_dest_ok(struct queue *q, struct queue_dest *dest)
{
	(void)dest;
	q->bed->dest_ok++;
}

void queue_poke(struct queue *q)
{
	q->bed->pokes++;
}

void queue_add(struct queue *q, uint64_t id, const struct envelope *env, struct spool_image *image,
	       uint64_t size)
{
	(void)id, (void)image, (void)size;
	q->bed->added++;
	CHECK(env->flags & ENVELOPE_BOUNCE);
	CHECK_INT(0, env->sender.n);
	CHECK_INT(NOTIFY_NEVER, env->rcpt[0].notify);
}

void queue_notice_done(struct queue *q, struct queue_notice *notice, int status)
{
	(void)notice;
	q->bed->notices_done++;
	q->bed->notice_status = status;
}

const char *queue_notice_name(enum queue_notice_kind k)
{
	return k == QUEUE_NOTICE_FAILED ? "failed" : "other";
}

struct spool_image *spool_image_ref(struct spool_image *img)
{
	img->refs++;
	return img;
}

void spool_image_unref(struct spool_image **img)
{
	if (*img)
		(*img)->refs--;
	*img = NULL;
}

static void bed_op_cancel(struct op *op)
{
	op_complete(op, -ERR_CANCELED);
}

int spool_load_start(struct spool_load *ld, struct scope *scope, struct spool *s, uint64_t id)
{
	const int err = op_begin(&ld->op, scope, "load", 60 * SECOND, bed_op_cancel);

	if (err < 0)
		return err;
	if (s->bed->load_busy) {
		s->bed->load_busy--;
		op_complete(&ld->op, -ERR_BUSY);
		return 0;
	}
	for (unsigned i = 0; i < s->bed->njobs; i++)
		if (s->bed->job[i].image.id == id)
			ld->image = spool_image_ref(&s->bed->job[i].image);
	op_complete(&ld->op, ld->image ? 0 : -ERR_NOTFOUND);
	return 0;
}

int spool_read_start(struct spool_read *r, struct scope *scope, struct spool *s, uint64_t id)
{
	struct bed *b = s->bed;
	const int err = op_begin(&r->op, scope, "read", 60 * SECOND, bed_op_cancel);

	if (err < 0)
		return err;
	for (unsigned i = 0; i < b->njobs; i++) {
		if (b->job[i].image.id != id)
			continue;
		const struct span rest = span_skip(buf_span(&b->job[i].body), (size_t)r->offset);
		const struct span piece = span_first(rest, r->size);
		memcpy(r->buf, piece.p, piece.n);
		b->read = r;
		if (!b->read_waits)
			op_complete(&r->op, (int)piece.n);
	}
	return 0;
}

struct spool_write {
	struct buf body;
	struct bed *bed;
};

int spool_write_begin(struct spool *s, uint64_t size_hint, struct spool_write **w_r)
{
	(void)size_hint;
	*w_r = mem_alloc(sizeof **w_r);
	**w_r = (struct spool_write){ .body = BUF_INIT(1 << 20), .bed = s->bed };
	return 0;
}

int spool_write_body(struct spool_write *w, struct span piece)
{
	return buf_add_span(&w->body, piece) ? 0 : -ERR_TOOBIG;
}

void spool_write_abort(struct spool_write **w)
{
	buf_free(&(*w)->body);
	free(*w);
	*w = NULL;
}

int spool_commit_start(struct spool_commit *c, struct scope *scope, struct spool_write **w, struct span meta,
		       struct span head)
{
	struct bed *b = (*w)->bed;
	const int err = op_begin(&c->op, scope, "commit", 60 * SECOND, bed_op_cancel);

	if (err < 0)
		return err;
	buf_reset(&b->report);
	buf_add_span(&b->report, head);
	buf_add_span(&b->report, buf_span(&(*w)->body));
	buf_reset(&b->report_meta);
	buf_add_span(&b->report_meta, meta);
	spool_write_abort(w);
	c->id = 77;
	op_complete(&c->op, 0);
	return 0;
}

/* ---- a login ---------------------------------------------------------------------------------------------------- */

/* Stands in for auth/auth_client.c: PLAIN, or LOGIN in two steps, at once or later. */
struct auth_credential {
	const char *user;
	bool later, fails, proof_fails;
	unsigned started, stepped, accepted, refused, alive;
	int refused_code;
	struct op *waits;
};

void auth_client_init(struct auth_client *x, struct auth_credential *credential,
		      const struct auth_client_channel *channel, void (*done)(struct op *op))
{
	*x = (struct auth_client){ .credential = credential, .channel = *channel };
	op_init(&x->op, done);
	credential->alive++;
}

static inline int auth_fake(struct auth_client *x, struct scope *scope, int64_t deadline_us)
{
	const int err = op_begin(&x->op, scope, "login", deadline_us, bed_op_cancel);

	if (err < 0)
		return err;
	x->result = x->credential->fails ? AUTH_CLIENT_FAILED : AUTH_CLIENT_SEND;
	snprintf(x->why, sizeof x->why, "the token endpoint says no");
	if (x->credential->later)
		x->credential->waits = &x->op;
	else
		op_complete(&x->op, 0);
	return 0;
}

int auth_client_start(struct auth_client *x, struct scope *scope, struct span offered, int64_t deadline_us)
{
	const bool plain = span_find(offered, SPAN("PLAIN")) >= 0;

	CHECK(x->channel.verified || x->channel.host.n > 0);
	x->credential->started++;
	x->mech = plain ? "PLAIN" : "LOGIN";
	x->has_response = plain;
	x->response = SPAN("AHNlY3JldA==");
	return auth_fake(x, scope, deadline_us);
}

int auth_client_next(struct auth_client *x, struct scope *scope, struct span challenge, int64_t deadline_us)
{
	(void)challenge;
	x->credential->stepped++;
	x->response = SPAN("c2VjcmV0");
	return auth_fake(x, scope, deadline_us);
}

int auth_client_accepted(struct auth_client *x)
{
	x->credential->accepted++;
	snprintf(x->why, sizeof x->why, "the server did not prove itself");
	return x->credential->proof_fails ? -ERR_DENIED : 0;
}

void auth_client_refused(struct auth_client *x, int code, struct span text)
{
	(void)text;
	x->credential->refused++;
	x->credential->refused_code = code;
}

bool auth_client_shows(const struct auth_client *x, struct span words)
{
	(void)x;
	return span_find(words, SPAN("secret")) >= 0;
}

void auth_client_deinit(struct auth_client *x)
{
	CHECK(!op_pending(&x->op));
	if (x->credential->waits == &x->op)
		x->credential->waits = NULL;
	x->credential->alive--;
}

struct span auth_credential_user(const struct auth_credential *c)
{
	return span_of(c->user);
}

/* ---- the bed --------------------------------------------------------------------------------------------------- */

static void bed_sink(void *arg, struct span lines)
{
	buf_add_span(&((struct bed *)arg)->lines, lines);
}

static struct route *bed_route; /* the only one, for tests to change before the first message */

/* What a test adds to the DNS. */
static void (*bed_more_hosts)(struct dns_hosts *hosts);

static inline void bed_hosts(struct dns_hosts *hosts)
{
	if (bed_more_hosts)
		bed_more_hosts(hosts);
}

static inline void bed_start(struct bed *b)
{
	struct dns_config dc = dns_config_default();
	struct dns_hosts *hosts = dns_hosts_new();
	struct errtext why;
	char hop[64];

	*b = (struct bed){ .lines = BUF_INIT(1 << 24),
			   .report = BUF_INIT(1 << 20),
			   .report_meta = BUF_INIT(1 << 20) };
	b->loop = loop_new();
	loop_set_resident(b->loop, false);
	server_start(&b->sv, b->loop);
	dns_hosts_add(hosts, SPAN("example.org"), DNS_MX, SPAN("10 dead.example.org"), &why);
	dns_hosts_add(hosts, SPAN("example.org"), DNS_MX, SPAN("20 live.example.org"), &why);
	dns_hosts_add(hosts, SPAN("dead.example.org"), DNS_A, SPAN("127.0.0.2"), &why); /* nobody listens */
	dns_hosts_add(hosts, SPAN("live.example.org"), DNS_A, SPAN("127.0.0.1"), &why);
	bed_hosts(hosts);
	dns_hosts_add_result(hosts, SPAN("gone.example"), DNS_MX, DNS_NXDOMAIN, &why);
	dns_hosts_add_result(hosts, SPAN("down.example"), DNS_MX, DNS_TEMPFAIL, &why);
	dc.offline = true;
	dc.hosts = hosts;
	b->dns = dns_new(b->loop, &dc, &why);
	NEED(b->dns != NULL);
	dns_hosts_free(&hosts);
	logger_init(&b->log, (struct log_sink){ .write = bed_sink, .arg = b });
	metric_shard_init(&b->metrics);
	route_table_init(&b->routes);
	b->route = (struct route){ .name = SPAN("default"),
				   .port = b->sv.at.port,
				   .connect_timeout_us = 5 * SECOND,
				   .idle_timeout_us = 60 * SECOND,
				   .timeout_percent = 100 };
	schedule_init(&b->route.schedule);
	b->routes.other = bed_route = route_table_add(&b->routes, &b->route);
	b->cfg = (struct delivery_config){ .hostname = SPAN("relay.example.edu"),
					   .routes = &b->routes,
					   .links_max = 10,
					   .help_text = SPAN("Ask us") };
	b->d = delivery_new(&b->cfg, b->loop, b->dns, &(struct hooks){ NULL, NULL }, &b->log, &b->metrics);
	b->ops = delivery_queue_ops(b->d);
	b->queue.bed = b->spool.bed = b;
	delivery_attach(b->d, &b->queue, &b->spool);
	snprintf(hop, sizeof hop, "[127.0.0.1]:%u", b->sv.at.port);
	char *kept = mem_alloc(64);
	memcpy(kept, hop, sizeof hop);
	b->dest = (struct queue_dest){ .route = SPAN("default"),
				       .next_hop = span_of(kept),
				       .route_config = b->routes.other,
				       .schedule = &b->routes.other->schedule };
}

/* A message to @n recipients: r0@example.org ... */
static inline struct queue_job *bed_job(struct bed *b, uint32_t n, struct span head, struct span body,
					bool large)
{
	static const char *const addresses[] = { "r0@example.org", "r1@example.org", "r2@example.org",
						 "r3@example.org" };
	struct envelope_rcpt rcpt[4];
	struct envelope env = { .sender = b->sender ? span_of(b->sender) : SPAN("a@example.edu"),
				.flags = b->env_flags,
				.arrived_at_us = loop_wall_us(b->loop),
				.rcpt = rcpt,
				.nrcpt = n };

	NEED(b->njobs < JOBS_MAX);
	struct queue_job *j = &b->job[b->njobs++];
	*j = (struct queue_job){
		.meta = BUF_INIT(1 << 20), .body = BUF_INIT(32 << 20), .nrcpt = n, .ready = true
	};
	for (uint32_t i = 0; i < n; i++) {
		rcpt[i] = (struct envelope_rcpt){ .address = span_of(addresses[i]),
						  .domain = SPAN("example.org") };
		j->rcpts[i] = i;
	}
	NEED(envelope_encode(&env, &j->meta));
	buf_add_span(&j->body, body);
	j->image = (struct spool_image){ .refs = 1,
					 .id = 100 + b->njobs,
					 .meta = buf_span(&j->meta),
					 .head = head,
					 .body = large ? (struct span){ NULL, 0 } : buf_span(&j->body),
					 .file_bytes = large ? body.n : 0 };
	return j;
}

static inline struct queue_job *bed_mail(struct bed *b, uint32_t n)
{
	return bed_job(b, n, SPAN("Subject: x\r\n\r\n"), SPAN("hello\r\n.dot\r\n"), false);
}

/* Turns until @n outcomes are told, at most a second or two. */
static inline void bed_until(struct bed *b, unsigned n)
{
	for (int i = 0; i < 4000 && b->ntold < n; i++) {
		bed_ready(b);
		loop_run_once(b->loop, false);
		if (b->ntold < n && i > 100)
			BED_NAP();
	}
	CHECK_INT(n, b->ntold);
}

static inline void bed_spin(struct bed *b, int turns)
{
	for (int i = 0; i < turns; i++) {
		loop_run_once(b->loop, false);
		BED_NAP();
	}
}

static void bed_on_closed(void *arg)
{
	((struct bed *)arg)->closed = true;
}

static inline void bed_end(struct bed *b)
{
	delivery_stop(b->d, SECOND);
	for (int i = 0; i < 200 && delivery_stats(b->d).busy; i++)
		bed_spin(b, 1);
	CHECK_INT(0, delivery_stats(b->d).busy);
	b->ops.dest_gone(b->ops.arg, &b->dest);
	CHECK_INT(0, b->conns);
	server_stop(&b->sv);
	delivery_close(b->d, bed_on_closed, b);
	for (int i = 0; i < 4000 && !b->closed; i++)
		bed_spin(b, 1);
	CHECK(b->closed);
	delivery_free(&b->d);
	dns_free(&b->dns);
	bed_spin(b, 20);
	for (unsigned i = 0; i < b->njobs; i++) {
		CHECK_INT(1, b->job[i].image.refs);
		buf_free(&b->job[i].meta);
		buf_free(&b->job[i].body);
	}
	server_free(&b->sv);
	route_table_deinit(&b->routes);
	logger_deinit(&b->log);
	metric_shard_deinit(&b->metrics);
	loop_free(&b->loop);
	free((void *)(uintptr_t)b->dest.next_hop.p);
	buf_free(&b->lines);
	buf_free(&b->report);
	buf_free(&b->report_meta);
}
