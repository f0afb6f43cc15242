/* control_bed.h - a control with workers of a loop each, on a socket of its own. */
#pragma once

#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "control/control.h"
#include "control/control_priv.h"
#include "http/http_unix.h"
#include "io/thread.h"
#include "state/bans_memory.h"
#include "test.h"

enum { BED_WORKERS = 3 };

struct bed_stop {
	struct letter letter;
	struct loop *loop;
};

struct bed {
	struct loop *loop[BED_WORKERS];
	struct scope scope[BED_WORKERS];
	struct thread *thread[BED_WORKERS];
	struct metric_shard metrics[BED_WORKERS + 1];
	struct control_worker view[BED_WORKERS];
	struct control_worker *views[BED_WORKERS];
	struct bed_stop stop[BED_WORKERS];
	struct session_env sessions[BED_WORKERS];
	struct logger log;
	struct buf lines;
	struct control_env env;
	struct control *control;
	struct bans *bans;
	struct tls_report *tls_report;
	char dir[64], path[96];
	_Atomic int shutdowns, reloads;
	bool reload_fails, not_ready;
};

static void bed_log(void *arg, struct span lines)
{
	buf_add_span(&((struct bed *)arg)->lines, lines);
}

static int bed_reload(void *arg, struct buf *problems)
{
	struct bed *b = arg;

	b->reloads++;
	buf_add_str(problems, b->reload_fails ? "[{\"text\":\"no\"}]" : "[]");
	return b->reload_fails ? -ERR_INVAL : 0;
}

static void bed_shutdown(void *arg)
{
	((struct bed *)arg)->shutdowns++;
}

static uint64_t bed_generation(void *arg)
{
	(void)arg;
	return 7;
}

static int bed_ready(void *arg, struct errtext *e)
{
	return ((struct bed *)arg)->not_ready ? errtext_set(e, ERR_BUSY, "worker 1 does not serve") : 0;
}

static int bed_live(void *arg, struct errtext *e)
{
	(void)arg;
	(void)e;
	return 0;
}

static void bed_run(void *arg)
{
	loop_run(((struct control_worker *)arg)->loop);
}

static void bed_on_stop(struct letter *l)
{
	loop_stop(container_of(l, struct bed_stop, letter)->loop);
}

static void bed_start_worker(struct bed *b, unsigned i)
{
	metric_shard_init(&b->metrics[i]);
	b->loop[i] = loop_new();
	loop_set_resident(b->loop[i], true);
	scope_init(&b->scope[i], b->loop[i], NULL);
	session_env_init(&b->sessions[i]);
	b->view[i] = (struct control_worker){ .loop = b->loop[i],
					      .metrics = &b->metrics[i],
					      .sessions = &b->sessions[i],
					      .scope = &b->scope[i] };
	b->views[i] = &b->view[i];
	b->stop[i].loop = b->loop[i];
	b->stop[i].letter.open = bed_on_stop;
	b->thread[i] = thread_start("bed", bed_run, &b->view[i]);
}

static void bed_open(struct bed *b)
{
	struct errtext e;

	*b = (struct bed){ .lines = BUF_INIT(1 << 20) };
	snprintf(b->dir, sizeof b->dir, "/tmp/postern-control-XXXXXX");
	NEED(mkdtemp(b->dir) != NULL);
	snprintf(b->path, sizeof b->path, "%s/control.sock", b->dir);
	for (unsigned i = 0; i < BED_WORKERS; i++)
		bed_start_worker(b, i);
	metric_shard_init(&b->metrics[BED_WORKERS]);
	logger_init(&b->log, (struct log_sink){ bed_log, b });
	b->bans = bans_memory_new(&(struct bans_memory_config){ .entries_max = 100, .known_us = 1 });
	b->tls_report = tls_report_new();
	b->env = (struct control_env){ .bans = b->bans,
				       .tls_report = b->tls_report,
				       .node = "relay.example.edu",
				       .workers = b->views,
				       .nworkers = BED_WORKERS,
				       .process_metrics = &b->metrics[BED_WORKERS],
				       .log = &b->log,
				       .config_file = "test",
				       .started_at_us = 1000000,
				       .arg = b,
				       .reload = bed_reload,
				       .shutdown = bed_shutdown,
				       .generation = bed_generation,
				       .ready = bed_ready,
				       .live = bed_live };
	const int fd = control_listen(b->path, &e);
	NEED(fd >= 0);
	NEED(control_start(&b->control, &b->env, fd, &e) == 0);
}

static void bed_close(struct bed *b)
{
	control_stop(&b->control);
	for (unsigned i = 0; i < BED_WORKERS; i++) {
		CHECK(loop_post(b->loop[i], &b->stop[i].letter));
		thread_join(&b->thread[i]);
		loop_free(&b->loop[i]);
	}
	for (unsigned i = 0; i <= BED_WORKERS; i++)
		metric_shard_deinit(&b->metrics[i]);
	bans_free(&b->bans);
	tls_report_free(&b->tls_report);
	logger_deinit(&b->log);
	buf_free(&b->lines);
	unlink(b->path);
	rmdir(b->dir);
}

/* Asks; the answer's body is NUL-terminated and must be freed. */
static inline struct http_unix_answer bed_ask_body(struct bed *b, const char *method, const char *target,
						   struct span body)
{
	struct http_unix_answer a = { .status = 0 };
	struct errtext e = { "" };
	const struct http_unix_request req = { .socket = b->path,
					       .method = span_of(method),
					       .target = span_of(target),
					       .body = body,
					       .actor = SPAN("tester"),
					       .timeout_us = 60000000,
					       .answer_max = 1 << 20 };

	if (http_unix(&req, &a, &e) < 0)
		FAIL("%s %s: %s", method, target, e.s);
	buf_cstr(&a.body);
	return a;
}

static inline struct http_unix_answer bed_ask(struct bed *b, const char *method, const char *target)
{
	return bed_ask_body(b, method, target, (struct span){ NULL, 0 });
}

static inline void bed_check(struct bed *b, const char *method, const char *target, unsigned status,
			     const char *part)
{
	struct http_unix_answer a = bed_ask(b, method, target);

	if (a.status != status || (part && span_find(buf_span(&a.body), span_of(part)) < 0))
		FAIL("%s %s: expected %u and %s, got %u %.*s", method, target, status,
		     part ? part : "anything", a.status, SPAN_ARG(buf_span(&a.body)));
	buf_free(&a.body);
}
