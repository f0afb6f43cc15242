#include "main/worker_sts.h"

#include <stdio.h>

#include "base/file.h"

#define SAVE_US  (60 * INT64_C(1000000))
#define WRITE_US (60 * INT64_C(1000000))

enum { FILE_MAX_OCTETS = 64 * 1024 * 1024 };

static int run_write(struct work *w)
{
	struct worker_sts *ws = container_of(w, struct worker_sts, write);

	return file_replace(ws->path, buf_span(&ws->text), NULL);
}

static void on_written(struct op *op)
{
	struct worker_sts *ws = container_of(op, struct worker_sts, write.op);

	if (op->status < 0 && op->status != -ERR_CANCELED)
		log_text(ws->log, LOG_EV_SERVER_NOTICE, "MTA-STS policies cannot be saved in %s: %s",
			 ws->path, err_text(op->status));
	buf_free(&ws->text);
}

static void on_timer(struct timer *t)
{
	struct worker_sts *ws = container_of(t, struct worker_sts, timer);

	timer_set_in(ws->loop, t, SAVE_US);
	if (op_pending(&ws->write.op) || !sts_changed(ws->sts))
		return;
	sts_save(ws->sts, &ws->text);
	work_init(&ws->write, run_write, on_written);
	if (work_start(&ws->write, ws->pool, &ws->scope, "MTA-STS policies to their file", WRITE_US) < 0)
		buf_free(&ws->text);
}

static void load(struct worker_sts *ws)
{
	struct buf text = BUF_INIT(FILE_MAX_OCTETS);
	struct errtext e;

	const int err = file_read(ws->path, &text, &e);
	if (err == 0)
		sts_load(ws->sts, buf_span(&text));
	else if (err != -ERR_NOTFOUND)
		log_text(ws->log, LOG_EV_SERVER_NOTICE, "MTA-STS policies: %s", e.s);
	buf_free(&text);
}

void worker_sts_open(struct worker_sts *ws, const struct config *cfg, unsigned worker, struct loop *loop,
		     struct dns *dns, struct http_client *http, struct work_pool *pool, struct logger *log)
{
	struct sts_config sc = cfg->sts;

	*ws = (struct worker_sts){ .loop = loop, .pool = pool, .log = log };
	snprintf(ws->ca, sizeof ws->ca, "%.*s", SPAN_ARG(sc.ca_file));
	sc.ca_file = span_of(ws->ca);
	ws->sts = sts_new(&sc, loop, dns, http);
	ws->text = BUF_INIT(FILE_MAX_OCTETS);
	snprintf(ws->path, sizeof ws->path, "%.*s/sts-%u", SPAN_ARG(cfg->data_dir), worker);
	scope_init(&ws->scope, loop, NULL);
	work_init(&ws->write, run_write, on_written);
	load(ws);
	timer_init(&ws->timer, on_timer);
	timer_set_in(loop, &ws->timer, SAVE_US);
}

static void on_sts_closed(void *arg)
{
	struct worker_sts *ws = arg;

	sts_free(&ws->sts);
	ws->closed(ws->closed_arg);
}

/* The worker's thread has nothing else to do by now: it may wait for the disk. */
static void on_scope_closed(struct scope *scope)
{
	struct worker_sts *ws = container_of(scope, struct worker_sts, scope);

	buf_free(&ws->text);
	if (sts_changed(ws->sts)) {
		sts_save(ws->sts, &ws->text);
		(void)file_replace(ws->path, buf_span(&ws->text), NULL);
		buf_free(&ws->text);
	}
	sts_close(ws->sts, on_sts_closed, ws);
}

void worker_sts_close(struct worker_sts *ws, void (*closed)(void *arg), void *arg)
{
	ws->closed = closed;
	ws->closed_arg = arg;
	timer_unset(ws->loop, &ws->timer);
	ws->scope.closed = on_scope_closed;
	scope_close(&ws->scope);
}
