#include "main/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "io/signal.h"
#include "io/tcp.h"
#include "session/session.h"

enum { SINK_MESSAGE_MAX = 200 * 1024 * 1024 };

struct sink {
	struct loop *loop;
	struct session_env env;
	struct session_listener listener;
	struct clients_total total;
	struct logger log;
	struct metric_shard metrics;
	struct listener *accepting;
	const char *dir; /* NULL: counted only */
	uint64_t messages, octets, recipients;
	uint64_t count_max; /* 0: until a signal */
	bool quiet, stopping;
	struct scope scope;
};

/* ---- a store that keeps nothing, or a file a message ---------------------------------------------------------- */

struct store_message {
	struct sink *sink;
	struct id id;
	uint64_t octets;
	int fd; /* of the body, -1: counted only */
	char path[PATH_MAX];
};

static int begin(void *impl, uint64_t size_hint, struct store_message **m_r)
{
	struct sink *sink = impl;
	struct store_message *m = mem_alloc(sizeof *m);

	(void)size_hint;
	m->sink = sink;
	m->id = id_random();
	m->fd = -1;
	if (sink->dir) {
		snprintf(m->path, sizeof m->path, "%s/.%s.tmp", sink->dir, m->id.s);
		m->fd = open(m->path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
		if (m->fd < 0) {
			const int err = err_from_errno(errno);
			free(m);
			return -err;
		}
	}
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
	m->octets += piece.n;
	return m->fd < 0 ? 0 : file_write_all(m->fd, piece);
}

static void on_room(void *impl, struct store_message *m, void (*room)(void *arg), void *arg)
{
	(void)impl;
	(void)m;
	room(arg);
}

static struct span peek(void *impl, const struct store_message *m)
{
	(void)impl;
	(void)m;
	return (struct span){ NULL, 0 };
}

static void abort_message(void *impl, struct store_message **m)
{
	(void)impl;
	if ((*m)->fd >= 0) {
		close((*m)->fd);
		unlink((*m)->path);
	}
	free(*m);
	*m = NULL;
}

static void print_message(struct sink *sink, const struct store_message *m, const struct envelope *env)
{
	struct buf line = BUF_INIT(1024 * 1024);
	struct json j = json_to(&line);

	json_object(&j, NULL);
	json_cstr(&j, "event", "message");
	json_cstr(&j, "id", m->id.s);
	json_str(&j, "from", env->sender);
	json_array(&j, "to");
	for (uint32_t i = 0; i < env->nrcpt; i++)
		json_str(&j, NULL, env->rcpt[i].address);
	json_array_end(&j);
	json_cstr(&j, "client", ip_format(&env->client).s);
	json_str(&j, "helo", env->helo);
	json_str(&j, "protocol", env->protocol);
	json_str(&j, "message_id", env->message_id);
	json_str(&j, "subject", env->subject);
	json_int(&j, "bytes", (int64_t)m->octets);
	json_object_end(&j);
	buf_add_char(&line, '\n');
	fwrite(line.p, 1, line.n, stdout);
	fflush(stdout);
	buf_free(&line);
	(void)sink;
}

/* The head is only known now; the body waits in a file without a name that anybody would look for. */
static int finish_file(struct store_message *m, struct span head)
{
	char final[PATH_MAX], head_path[PATH_MAX + 8], chunk[65536];
	ssize_t n;

	snprintf(final, sizeof final, "%s/%s.eml", m->sink->dir, m->id.s);
	snprintf(head_path, sizeof head_path, "%s.head", m->path);
	const int out = open(head_path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
	if (out < 0)
		return -err_from_errno(errno);
	int err = file_write_all(out, head);
	if (lseek(m->fd, 0, SEEK_SET) < 0)
		err = -ERR_IO;
	while (err == 0 && (n = read(m->fd, chunk, sizeof chunk)) != 0)
		err = n < 0 ? -ERR_IO : file_write_all(out, span_make(chunk, (size_t)n));
	if (close(out) != 0 && err == 0)
		err = -ERR_IO;
	if (err == 0 && rename(head_path, final) != 0)
		err = -err_from_errno(errno);
	close(m->fd);
	m->fd = -1;
	unlink(m->path);
	if (err < 0)
		unlink(head_path);
	return err;
}

static void no_cancel(struct op *op)
{
	op_complete(op, -ERR_CANCELED);
}

static void stop(struct sink *sink);

static int commit(void *impl, struct store_commit *c, struct scope *scope, struct store_message **m,
		  const struct envelope *env, struct span head)
{
	struct sink *sink = impl;

	(*m)->octets += head.n;
	const int written = sink->dir ? finish_file(*m, head) : 0;
	const int err = written < 0 ? written : op_begin(&c->op, scope, "commit", 1000000, no_cancel);
	if (err == 0) {
		sink->messages++;
		sink->octets += (*m)->octets;
		sink->recipients += env->nrcpt;
		if (!sink->quiet)
			print_message(sink, *m, env);
		op_complete(&c->op, 0);
	}
	free(*m);
	*m = NULL;
	if (sink->count_max && sink->messages >= sink->count_max)
		stop(sink);
	return err;
}

static const struct session_store_ops store_ops = { .begin = begin,
						    .id = id,
						    .body = body,
						    .on_room = on_room,
						    .peek = peek,
						    .commit = commit,
						    .abort = abort_message };

/* ---- a rule that accepts everything --------------------------------------------------------------------------- */

static bool wants(void *impl, const void *policies, enum hook_id hook)
{
	(void)impl;
	(void)policies;
	return hook == HOOK_RCPT;
}

struct answer {
	struct task task;
	struct hook_call *call;
};

static void on_answer(struct task *t)
{
	struct answer *a = container_of(t, struct answer, task);
	struct hook_call *call = a->call;

	free(a);
	call->done(call);
}

static void ask(void *impl, struct hook_call *call)
{
	struct sink *sink = impl;
	struct answer *a = mem_alloc(sizeof *a);

	a->call = call;
	call->impl = a;
	call->verdict.kind = VERDICT_ACCEPT;
	task_init(&a->task, on_answer);
	task_schedule(sink->loop, &a->task);
}

static void cancel(void *impl, struct hook_call *call)
{
	(void)impl;
	(void)call; /* its answer is on the way already */
}

static void observe(void *impl, const struct hook_event *ev)
{
	(void)impl;
	(void)ev;
}

static const struct hook_ops hook_ops = {
	.wants = wants, .start = ask, .cancel = cancel, .observe = observe
};

/* ---- the program ---------------------------------------------------------------------------------------------- */

static void on_accepted(void *arg, struct stream *stream)
{
	struct sink *sink = arg;

	session_start(&sink->env,
		      &(struct session_setup){ .listener = &sink->listener,
					       .total = &sink->total,
					       .hooks = { &hook_ops, sink } },
		      stream);
}

static void on_gone(void *arg, struct session *s)
{
	struct sink *sink = arg;

	(void)s;
	if (sink->stopping && sink->env.count == 0)
		loop_stop(sink->loop);
}

static void stop(struct sink *sink)
{
	if (sink->stopping)
		return;
	sink->stopping = true;
	listener_close(&sink->accepting);
	session_drain_all(&sink->env);
	if (sink->env.count == 0)
		loop_stop(sink->loop);
}

static void on_signal(void *arg, int signum)
{
	struct sink *sink = arg;

	(void)signum;
	if (sink->stopping)
		session_close_all(&sink->env);
	stop(sink);
}

static void set_listener(struct session_listener *l)
{
	static const struct session_profile tolerant = {
		.name = SPAN_INIT("sink"), .lax = SMTP_LAX_ALL, .nul = true, .early = true
	};

	*l = (struct session_listener){ .name = SPAN("sink"),
					.hostname = SPAN("sink.invalid"),
					.greeting = SPAN("ESMTP Postern sink"),
					.ext = SMTP_EXT_PIPELINING | SMTP_EXT_SIZE | SMTP_EXT_8BITMIME |
					       SMTP_EXT_SMTPUTF8 | SMTP_EXT_CHUNKING | SMTP_EXT_BINARYMIME |
					       SMTP_EXT_ENHANCEDSTATUSCODES | SMTP_EXT_DSN,
					.message_max_bytes = SINK_MESSAGE_MAX,
					.head_max_bytes = 1024 * 1024,
					.line_max_octets = SINK_MESSAGE_MAX,
					.rcpts_max = 10000,
					.messages_max = UINT32_MAX,
					.errors_max = 1000,
					.idle_commands_max = UINT32_MAX,
					.hops_max = 1000,
					.own_hops_max = 1000,
					.command_timeout_us = 300 * INT64_C(1000000),
					.data_timeout_us = 300 * INT64_C(1000000),
					.message_timeout_us = 3600 * INT64_C(1000000),
					.profile = &tolerant };
}

static int usage(void)
{
	fputs("usage: postern sink --listen ADDRESS:PORT [--dir DIR] [--count N] [--hide EXTENSION]... [--quiet] [--public]\n",
	      stderr);
	return 2;
}

struct options {
	struct ip_endpoint listen;
	bool has_listen, public;
	uint64_t count;
	uint32_t hide;
};

static bool parse(int argc, char **argv, struct sink *sink, struct options *o)
{
	for (int i = 0; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : NULL;
		if (strcmp(argv[i], "--quiet") == 0) {
			sink->quiet = true;
		} else if (strcmp(argv[i], "--public") == 0) {
			o->public = true;
		} else if (!value) {
			return false;
		} else if (strcmp(argv[i], "--listen") == 0) {
			if (!ip_endpoint_parse(span_of(value), &o->listen))
				return false;
			o->has_listen = true;
			i++;
		} else if (strcmp(argv[i], "--dir") == 0) {
			sink->dir = value;
			i++;
		} else if (strcmp(argv[i], "--count") == 0) {
			if (!span_to_u64(span_of(value), INT64_MAX, &o->count))
				return false;
			i++;
		} else if (strcmp(argv[i], "--hide") == 0) {
			const uint32_t bit = smtp_ext_from_keyword(span_of(value));
			if (!bit)
				return false;
			o->hide |= bit;
			i++;
		} else {
			return false;
		}
	}
	return o->has_listen;
}

static void print_line(const char *event, const struct ip_endpoint *at, const struct sink *sink)
{
	struct buf line = BUF_INIT(4096);
	struct json j = json_to(&line);

	json_object(&j, NULL);
	json_cstr(&j, "event", event);
	if (at) {
		json_cstr(&j, "address", ip_format(&at->addr).s);
		json_int(&j, "port", at->port);
	} else {
		json_int(&j, "messages", (int64_t)sink->messages);
		json_int(&j, "recipients", (int64_t)sink->recipients);
		json_int(&j, "bytes", (int64_t)sink->octets);
	}
	json_object_end(&j);
	printf("%s\n", buf_cstr(&line));
	fflush(stdout);
	buf_free(&line);
}

static int run(struct sink *sink, const struct options *o)
{
	struct ip_endpoint bound;
	struct errtext e;
	const int fd = tcp_listen_fd(&o->listen, 1024, &bound, &e);

	if (fd < 0) {
		fprintf(stderr, "postern sink: %s\n", e.s);
		return 1;
	}
	struct signal_watch *term = signal_watch_new(sink->loop, SIGTERM, on_signal, sink);
	struct signal_watch *intr = signal_watch_new(sink->loop, SIGINT, on_signal, sink);
	sink->accepting = listener_new(sink->loop, fd, on_accepted, sink);
	print_line("listening", &bound, sink);
	loop_run(sink->loop);
	print_line("finished", NULL, sink);
	signal_watch_free(&term);
	signal_watch_free(&intr);
	return 0;
}

int sink_main(int argc, char **argv)
{
	struct sink sink = { 0 };
	struct options o = { 0 };

	if (!parse(argc, argv, &sink, &o))
		return usage();
	if (!o.public && !ip_is_loopback(&o.listen.addr)) {
		fputs("postern sink: it accepts everything from everybody; outside loopback that needs --public\n",
		      stderr);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	sink.count_max = o.count;
	sink.loop = loop_new();
	loop_set_resident(sink.loop, true);
	set_listener(&sink.listener);
	sink.listener.ext &= ~o.hide;
	logger_init(&sink.log, log_sink_fd(STDERR_FILENO));
	sink.log.level_max = LOG_LEVEL_ERROR;
	metric_shard_init(&sink.metrics);
	sink.env = (struct session_env){ .loop = sink.loop,
					 .store = { &store_ops, &sink },
					 .log = &sink.log,
					 .metrics = &sink.metrics,
					 .gone = on_gone,
					 .arg = &sink };
	session_env_init(&sink.env);
	if (sink.dir && mkdir(sink.dir, 0700) != 0 && errno != EEXIST) {
		fprintf(stderr, "postern sink: %s: %s\n", sink.dir, strerror(errno));
		return 1;
	}
	const int status = run(&sink, &o);
	loop_set_resident(sink.loop, false);
	while (loop_run_once(sink.loop, false)) { /* what is closing */
	}
	loop_free(&sink.loop);
	logger_deinit(&sink.log);
	metric_shard_deinit(&sink.metrics);
	return status;
}
