/* simulate.c - see simulate.h.
 *
 * Differences from a live server, all of them on purpose: the wait before the greeting is left out, the queue id and the times are
 * this run's, limits begin unused.
 */
#include "main/simulate.h"

#include <stdlib.h>

#include "base/mem.h"
#include "main/config.h"
#include "main/simulate_client.h"
#include "session/session.h"
#include "state/limit_memory.h"

enum { LOG_MAX = 16 * 1024 * 1024, PROBLEMS_MEM = 1024 * 1024, LIMIT_KEYS = 10000 };

#define SIMULATE_DEADLINE_US INT64_C(300000000)

struct simulation {
	const struct simulate_request *req;
	struct config *cfg;
	struct session_listener listener; /* the configured one, without its delay */
	struct loop *loop;
	struct dns *dns;
	struct dns_hosts *hosts;
	struct logger log;
	struct buf log_lines;
	struct metric_shard metrics;
	struct limit_store *limits;
	struct clients *clients;
	struct clients_total total;
	struct policy_runtime *policies;
	struct session_env env;
	struct simulate_client client;
	struct timer deadline;
	bool gone, policies_closed, late;
	/* of the decision paths of the connection, of HELO and of the transaction: what was written down */
	const struct decision_path *seen_path[3];
	unsigned seen[3];
	struct buf queued, head; /* JSON, as they were committed */
	bool held;
	struct session_pretend pretend;
};

/* ---- a store that forgets ------------------------------------------------------------------------------------- */

struct store_message {
	struct id id;
	struct buf body;
	bool large; /* the spool would have written it to a file: policies see no body */
};

static int begin(void *impl, uint64_t size_hint, struct store_message **m_r)
{
	const struct simulation *s = impl;
	struct store_message *m = mem_alloc(sizeof *m);

	(void)size_hint;
	m->id = id_random();
	buf_init(&m->body, s->cfg->spool.small_max_bytes);
	*m_r = m;
	return 0;
}

static struct id id(void *impl, const struct store_message *m)
{
	(void)impl;
	return m->id;
}

static int body(void *impl, struct store_message *m, struct span piece)
{
	(void)impl;
	if (!m->large && !buf_add_span(&m->body, piece)) {
		m->large = true;
		buf_free(&m->body);
	}
	return 0;
}

static void on_room(void *impl, struct store_message *m, void (*room)(void *arg), void *arg)
{
	(void)impl;
	(void)m;
	room(arg); /* never asked for: body() has always room */
}

static struct span peek(void *impl, const struct store_message *m)
{
	(void)impl;
	return m->large ? (struct span){ NULL, 0 } : buf_span(&m->body);
}

static void forget(void *impl, struct store_message **m)
{
	(void)impl;
	buf_free(&(*m)->body);
	free(*m);
	*m = NULL;
}

static void no_cancel(struct op *op)
{
	op_complete(op, -ERR_CANCELED);
}

static void write_queued(struct simulation *s, const struct envelope *env)
{
	struct json j = json_to(&s->queued);

	json_object(&j, NULL);
	json_str(&j, "from", env->sender);
	json_str(&j, "device", env->device);
	if (env->vars.n)
		json_raw(&j, "meta", env->vars);
	if (env->flags & ENVELOPE_HELD)
		json_str(&j, "hold_reason", env->hold_reason);
	json_array(&j, "recipients");
	for (uint32_t i = 0; i < env->nrcpt; i++) {
		const struct envelope_rcpt *r = &env->rcpt[i];
		json_object(&j, NULL);
		json_str(&j, "address", r->address);
		json_str(&j, "route", r->route.n ? r->route : route_find(&s->cfg->routes, r->domain)->name);
		json_object_end(&j);
	}
	json_array_end(&j);
	json_object_end(&j);
	s->held = env->flags & ENVELOPE_HELD;
}

static int commit(void *impl, struct store_commit *c, struct scope *scope, struct store_message **m,
		  const struct envelope *env, struct span head)
{
	struct simulation *s = impl;
	const int err = op_begin(&c->op, scope, "commit", 1000000, no_cancel);

	if (err < 0)
		return err;
	write_queued(s, env);
	buf_add_span(&s->head, head);
	forget(impl, m);
	op_complete(&c->op, 0);
	return 0;
}

static const struct session_store_ops store_ops = { .begin = begin,
						    .id = id,
						    .body = body,
						    .on_room = on_room,
						    .peek = peek,
						    .commit = commit,
						    .abort = forget };

/* ---- what is seen --------------------------------------------------------------------------------------------- */

/* The path grows from call to call: what is new was decided for the reply that comes next. */
static void on_trace(void *arg, struct session *session, const struct decision_path *path)
{
	struct simulation *s = arg;
	unsigned at = 0;

	(void)session;
	while (at < ARRAY_LEN(s->seen_path) && s->seen_path[at] && s->seen_path[at] != path)
		at++;
	if (!verify(at < ARRAY_LEN(s->seen_path))) /* one connection, one HELO, one transaction */
		return;
	s->seen_path[at] = path;
	if (path->n < s->seen[at]) /* HELO anew, after STARTTLS */
		s->seen[at] = 0;
	for (; s->seen[at] < path->n; s->seen[at]++)
		simulate_client_decided(&s->client, &path->step[s->seen[at]]);
}

static uint64_t on_etrn(void *arg, struct span domain)
{
	(void)arg;
	(void)domain;
	return 0;
}

static void on_gone(void *arg, struct session *session)
{
	(void)session;
	((struct simulation *)arg)->gone = true;
}

static void on_log(void *arg, struct span lines)
{
	buf_add_span(&((struct simulation *)arg)->log_lines, lines);
}

static void on_deadline(struct timer *t)
{
	struct simulation *s = container_of(t, struct simulation, deadline);

	s->late = true;
	session_close_all(&s->env);
}

static void on_policies_closed(void *arg)
{
	((struct simulation *)arg)->policies_closed = true;
}

/* ---- its parts ------------------------------------------------------------------------------------------------ */

static int add_ptr(struct simulation *s, struct errtext *why)
{
	const struct simulate_request *req = s->req;
	const struct ip_text addr = ip_format(&req->client);
	const enum dns_type type = req->client.len == 4 ? DNS_A : DNS_AAAA;
	int err;

	s->hosts = s->cfg->dns.hosts ? dns_hosts_copy(s->cfg->dns.hosts) : dns_hosts_new();
	if (!req->ptr.n)
		return 0;
	err = dns_hosts_add(s->hosts, span_of(addr.s), DNS_PTR, req->ptr, why);
	if (err == 0)
		err = dns_hosts_add(s->hosts, req->ptr, type, span_of(addr.s), why);
	if (err < 0)
		errtext_wrap(why, "--ptr");
	return err;
}

static int open_policies(struct simulation *s, struct errtext *why)
{
	struct dns_config dc = s->cfg->dns;
	int err = add_ptr(s, why);

	if (err < 0)
		return err;
	dc.hosts = s->hosts;
	dc.offline = dc.offline || s->req->offline;
	s->dns = dns_new(s->loop, &dc, why);
	if (!s->dns)
		return -ERR_INVAL;
	const struct policy_env env = { .loop = s->loop,
					.dns = s->dns,
					.limits = s->limits,
					.log = &s->log,
					.metrics = &s->metrics,
					.budget = s->cfg->limits,
					.worker = 0 };
	err = policy_runtime_new(&env, s->cfg->bundle, why, &s->policies);
	return err;
}

static int find_listener(struct simulation *s, struct ip_endpoint *at_r, struct errtext *why)
{
	const struct config_listener *l =
		s->req->listener.n ? config_listener_by_name(s->cfg, s->req->listener) : s->cfg->listeners;

	if (!l)
		return errtext_set(why, ERR_NOTFOUND,
				   "--listener: the configuration has none that is called \"%.*s\"",
				   SPAN_ARG(span_first(s->req->listener, 80)));
	s->listener = l->session;
	s->listener.greet_delay_us = 0;
	*at_r = l->bind[0];
	return 0;
}

/* "user@REALM" has a realm. */
static struct session_pretend pretend_of(const struct simulate_request *req)
{
	const ptrdiff_t at = span_rfind_char(req->auth, '@');

	return (struct session_pretend){ .user = req->auth,
					 .realm = at < 0 ? SPAN("") : span_skip(req->auth, (size_t)at + 1) };
}

static void start_session(struct simulation *s, const struct ip_endpoint *at)
{
	struct stream *stream = simulate_client_connect(&s->client, s->loop);
	const struct hooks hooks = { &policy_hook_ops, s->policies };

	stream->peer = (struct ip_endpoint){ .addr = s->req->client, .port = 49152 };
	stream->local = *at;
	s->pretend = pretend_of(s->req);
	s->env = (struct session_env){ .loop = s->loop,
				       .dns = s->dns,
				       .store = { &store_ops, s },
				       .clients = s->clients,
				       .log = &s->log,
				       .metrics = &s->metrics,
				       .etrn = on_etrn,
				       .gone = on_gone,
				       .trace = on_trace,
				       .pretend = &s->pretend,
				       .arg = s };
	session_env_init(&s->env);
	const struct session_setup setup = { .listener = &s->listener,
					     .total = &s->total,
					     .hooks = hooks,
					     .policies = hooks.ops->list(hooks.impl, s->listener.name) };
	timer_set_in(s->loop, &s->deadline, SIMULATE_DEADLINE_US);
	session_start(&s->env, &setup, stream);
}

/* ---- the result ----------------------------------------------------------------------------------------------- */

static void write_list(struct json *j, const char *key, const struct buf *items)
{
	json_array(j, key);
	if (items->n && !items->overflow)
		json_raw(j, NULL, buf_span(items));
	json_array_end(j);
}

static void write_log(struct json *j, struct span lines)
{
	json_array(j, "log");
	while (lines.n) {
		const struct span line = span_cut(&lines, '\n');
		if (line.n && line.p[0] == '{')
			json_raw(j, NULL, line);
	}
	json_array_end(j);
}

static const char *outcome(const struct simulation *s)
{
	const struct simulate_client *c = &s->client;

	if (!c->message_ok)
		return c->answer.n ? "refused" : "not sent";
	return s->held ? "held" : s->queued.n ? "accepted" : "discarded";
}

/* The header section as the client sends it: up to the empty line, or all of it. */
static struct span head_of(struct span message)
{
	const ptrdiff_t at = span_starts(message, SPAN("\r\n")) ? 0 : span_find(message, SPAN("\r\n\r\n"));

	return at < 0 ? message : span_first(message, at ? (size_t)at + 2 : 0);
}

static void write_result(struct simulation *s, struct json *j)
{
	const struct simulate_client *c = &s->client;

	json_str(j, "listener", s->listener.name);
	write_list(j, "dialogue", &c->dialogue);
	write_list(j, "recipients", &c->recipients);
	json_object(j, "message");
	json_cstr(j, "outcome", outcome(s));
	if (c->answer.n)
		json_raw(j, NULL, buf_span(&c->answer));
	json_object_end(j);
	if (s->queued.n) {
		json_raw(j, "queued", buf_span(&s->queued));
		json_object(j, "head");
		json_str(j, "sent", head_of(c->message));
		json_str(j, "queued", buf_span(&s->head));
		json_object_end(j);
	}
	write_log(j, buf_span(&s->log_lines));
	json_bool(j, "accepted", c->message_ok && c->rcpts_accepted == s->req->nto);
}

/* ---- the whole ------------------------------------------------------------------------------------------------ */

static void open_all(struct simulation *s)
{
	s->loop = loop_new();
	loop_set_resident(s->loop, false);
	timer_init(&s->deadline, on_deadline);
	buf_init(&s->log_lines, LOG_MAX);
	buf_init(&s->queued, LOG_MAX);
	buf_init(&s->head, LOG_MAX);
	logger_init(&s->log, (struct log_sink){ on_log, s });
	s->log.level_max = LOG_LEVEL_DEBUG;
	s->log.worker = -1;
	metric_shard_init(&s->metrics);
	s->limits = limit_memory_new(
		&(struct limit_memory_config){ .keys_max = LIMIT_KEYS, .source = LIMIT_SOURCE_MEMORY });
	s->clients = clients_new();
}

static void close_all(struct simulation *s)
{
	if (s->policies) {
		policy_runtime_close(&s->policies, on_policies_closed, s);
		while (!s->policies_closed && loop_run_once(s->loop, true)) {
		}
	}
	timer_unset(s->loop, &s->deadline);
	simulate_client_deinit(&s->client);
	dns_free(&s->dns);
	dns_hosts_free(&s->hosts);
	while (loop_run_once(s->loop, false)) { /* what is closing */
	}
	loop_free(&s->loop);
	clients_free(&s->clients);
	limit_memory_free(&s->limits);
	logger_deinit(&s->log);
	metric_shard_deinit(&s->metrics);
	buf_free(&s->log_lines);
	buf_free(&s->queued);
	buf_free(&s->head);
	config_unref(&s->cfg);
}

/* Line ends as SMTP has them; a file on disk has LF alone. */
static void add_message(const struct simulate_request *req, struct buf *out)
{
	if (!req->message.p) {
		buf_addf(
			out,
			"From: <%.*s>\r\nTo: <%.*s>\r\nSubject: postern simulate\r\n\r\nNothing is sent.\r\n",
			SPAN_ARG(req->from), SPAN_ARG(req->to[0]));
		return;
	}
	for (size_t i = 0; i < req->message.n; i++) {
		const char ch = req->message.p[i];
		if (ch == '\n' && (i == 0 || req->message.p[i - 1] != '\r'))
			buf_add_char(out, '\r');
		buf_add_char(out, ch);
	}
}

static int run(struct simulation *s, struct span message, struct json *j, struct errtext *why)
{
	struct ip_endpoint at;
	int err = find_listener(s, &at, why);

	simulate_client_init(&s->client, s->req, message);
	if (err == 0)
		err = open_policies(s, why);
	if (err < 0)
		return err;
	start_session(s, &at);
	while (!s->gone && loop_run_once(s->loop, true)) {
	}
	log_flush(&s->log);
	if (s->late)
		return errtext_set(why, ERR_TIMEOUT, "the session did not end");
	if (s->client.broken)
		return errtext_set(why, ERR_BUG, "the session said what is no reply: %s", s->client.broken);
	write_result(s, j);
	return 0;
}

int simulate(const struct simulate_request *req, struct buf *out, struct errtext *why)
{
	struct simulation *s = mem_alloc(sizeof *s);
	struct arena *mem = arena_new(PROBLEMS_MEM);
	struct buf message = BUF_INIT(SIMULATE_MESSAGE_MAX);
	struct config_problems problems;
	const char *file = arena_strdup(mem, req->config);
	struct json j = json_to(out);
	int err;

	s->req = req;
	config_problems_init(&problems, mem);
	add_message(req, &message);
	if (message.overflow)
		err = errtext_set(why, ERR_TOOBIG, "--message: over %d octets", SIMULATE_MESSAGE_MAX);
	else if (!file)
		err = errtext_set(why, ERR_TOOBIG, "--config: the path is too long");
	else
		err = dns_global_init();
	if (err < 0)
		goto out;
	err = config_global_init(why);
	if (err < 0) {
		dns_global_deinit();
		goto out;
	}
	json_object(&j, NULL);
	const int loaded = config_load(file, &problems, &s->cfg);
	config_problems_json(&problems, &j);
	if (loaded == 0) {
		open_all(s);
		err = run(s, buf_span(&message), &j, why);
		close_all(s);
	} else {
		json_bool(&j, "accepted", false);
	}
	json_object_end(&j);
	dns_global_deinit();
out:
	buf_free(&message);
	arena_free(&mem);
	free(s);
	return err;
}
