/* The file of a large message, the happy path:
 *
 *   1. pieces gather in w->p; SPOOL_STREAM_PIECE octets go to a thread of the pool, which writes them and their checksums
 *   2. meanwhile the next ones gather; when they are as many, the writer is told to wait for `room`
 *   3. at the commit the rest is written, then the checksums, and file and name are made durable
 *   4. `finished` is told; only then the record that names the file joins a batch
 *
 * Ways it ends otherwise: a write fails: the next piece and the commit are told, and the writer gives it up. Given up: when no
 * job runs any more, the file is removed by one.
 */
#include "spool/spool_priv.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"

static void start_job(struct spool_stream *st);

void spool_stream_begin(struct spool_write *w)
{
	struct spool *s = w->spool;
	struct spool_stream *st = mem_alloc(sizeof *st);

	st->write = w;
	spool_body_writer_init(&st->writer, s->fs, s->volumes[0].dir, w->id, s->cfg.message_max_bytes,
			       spool_log_body_given(s->volumes[0].log));
	w->stream = st;
}

static void drop_flying(struct spool *s, struct spool_stream *st)
{
	s->memory->used -= st->flying_cap;
	free((void *)(uintptr_t)st->flying.p);
	st->flying = span_make(NULL, 0);
	st->flying_cap = 0;
}

static void run_write(struct spool_job *j)
{
	struct spool_stream *st = container_of(j, struct spool_stream, job);

	st->result = spool_body_write(&st->writer, st->flying);
	if (st->result == 0 && st->finishing)
		st->result = spool_body_finish(&st->writer);
}

static void run_discard(struct spool_job *j)
{
	struct spool_stream *st = container_of(j, struct spool_stream, job);

	spool_body_discard(&st->writer);
}

static void discarded(struct spool_job *j)
{
	free(container_of(j, struct spool_stream, job));
}

static void written(struct spool_job *j)
{
	struct spool_stream *st = container_of(j, struct spool_stream, job);
	struct spool *s = j->spool;
	struct spool_write *w = st->write;

	st->running = false;
	spool_guard_written(s, st->flying.n);
	drop_flying(s, st);
	if (!w) {
		spool_job_start(s, &st->job, run_discard, discarded);
		return;
	}
	if (st->result < 0)
		w->error = st->result;
	if (st->finished && (st->finishing || w->error)) {
		st->finished(st->finished_arg, w->error);
		return;
	}
	if (st->finished || (!w->error && w->n >= SPOOL_STREAM_PIECE))
		start_job(st);
	if (!st->want_room)
		return;
	st->want_room = false;
	if (w->room)
		w->room(w->room_arg); /* may give it up */
}

static void start_job(struct spool_stream *st)
{
	struct spool_write *w = st->write;

	st->running = true;
	st->finishing = st->finished != NULL;
	st->flying = span_make(w->p, w->n);
	st->flying_cap = w->cap;
	w->p = NULL;
	w->n = w->cap = 0;
	spool_job_start(w->spool, &st->job, run_write, written);
}

int spool_stream_more(struct spool_write *w)
{
	struct spool_stream *st = w->stream;

	if (w->n < SPOOL_STREAM_PIECE)
		return 0;
	if (!st->running) {
		start_job(st);
		return 0;
	}
	st->want_room = true;
	return -ERR_AGAIN;
}

void spool_stream_finish(struct spool_write *w, void (*finished)(void *arg, int status), void *arg)
{
	struct spool_stream *st = w->stream;

	st->finished = finished;
	st->finished_arg = arg;
	if (!st->running)
		start_job(st);
}

void spool_stream_end(struct spool_write *w)
{
	free(w->stream);
	w->stream = NULL;
}

void spool_stream_give_up(struct spool_write *w)
{
	struct spool_stream *st = w->stream;

	w->stream = NULL;
	st->write = NULL;
	if (!st->running)
		spool_job_start(w->spool, &st->job, run_discard, discarded);
}
