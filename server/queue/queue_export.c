/* One message out of the queue.
 *
 *   1. queue_export_start(): it is in the queue and not with delivery; it is loaded if it is not in memory
 *   2. the fixed part, envelope, state, head and a small body are handed out piece by piece; a large body
 *      as it is read
 *   3. the checksum; the op completes
 * Whoever takes the pieces may ask for a pause after any of them. Cancelled or late: it stops where it is.
 */
#include "queue/queue_export.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"
#include "queue/queue_parcel.h"
#include "queue/queue_priv.h"

enum { READ_SIZE = 64 * 1024 };

enum step { STEP_FIXED, STEP_ENVELOPE, STEP_STATE, STEP_HEAD, STEP_BODY, STEP_FILE, STEP_CRC, STEP_END };

struct queue_export_run {
	struct list link; /* in q->exports */
	struct queue *q;
	struct queue_export *x;
	uint64_t id;
	enum step step;
	struct queue_parcel parcel;
	struct buf state;
	struct spool_image *image;
	struct spool_load load;
	struct spool_read read;
	uint64_t read_bytes;
	uint32_t crc;
	bool loading, reading, paused, ended;
	int status;       /* once ended */
	struct task task; /* goes on */
	char buf[READ_SIZE];
};

static void run_end(struct queue_export_run *run, int status)
{
	if (!run->ended)
		run->status = status;
	run->ended = true;
	if (run->loading || run->reading) {
		op_cancel(&run->load.op);
		op_cancel(&run->read.op);
		return; /* its completion comes here again */
	}
	struct queue_export *x = run->x;
	const int ret = run->status;

	list_remove(&run->link);
	queue_kick(run->q); /* it may be closing */
	task_unschedule(&run->task);
	spool_image_unref(&run->image);
	buf_free(&run->state);
	free(run);
	x->run_ = NULL;
	op_complete(&x->op, ret);
}

/* 0, or -ERR_AGAIN for a pause. */
static int hand_out(struct queue_export_run *run, struct span piece)
{
	if (piece.n == 0)
		return 0;
	run->crc = hash_crc32c(run->crc, piece.p, piece.n);
	return run->x->out(run->x, piece);
}

static int read_file(struct queue_export_run *run)
{
	run->read.buf = run->buf;
	run->read.size = READ_SIZE;
	run->read.offset = run->read_bytes;
	run->read.body_octets = run->image->file_bytes;
	const int ret = spool_read_start(&run->read, &run->q->scope, run->q->spool, run->id);
	run->reading = ret >= 0;
	return ret;
}

static int take_step(struct queue_export_run *run)
{
	char octets[QUEUE_PARCEL_FIXED];
	int ret;

	switch (run->step++) {
	case STEP_FIXED:
		queue_parcel_write(&run->parcel, octets);
		return hand_out(run, span_make(octets, sizeof octets));
	case STEP_ENVELOPE:
		return hand_out(run, run->image->meta);
	case STEP_STATE:
		return hand_out(run, buf_span(&run->state));
	case STEP_HEAD:
		return hand_out(run, run->image->head);
	case STEP_BODY:
		return hand_out(run, run->image->body);
	case STEP_FILE:
		if (run->read_bytes >= run->image->file_bytes)
			return 0;
		run->step = STEP_FILE; /* comes here again with the next piece */
		return read_file(run);
	case STEP_CRC:
		queue_parcel_write_crc(run->crc, octets);
		ret = run->x->out(run->x, span_make(octets, QUEUE_PARCEL_CRC));
		return ret == -ERR_AGAIN ? 0 : ret; /* nothing comes after it */
	case STEP_END:
		break;
	}
	return -ERR_BUG;
}

static void go_on(struct queue_export_run *run)
{
	while (!run->paused && !run->reading) {
		if (run->step == STEP_END) {
			run_end(run, 0);
			return;
		}
		const int ret = take_step(run);
		if (ret == -ERR_AGAIN) {
			run->paused = true;
		} else if (ret < 0) {
			run_end(run, ret);
			return;
		}
	}
}

static void on_task(struct task *t)
{
	go_on(container_of(t, struct queue_export_run, task));
}

static void on_read(struct op *op)
{
	struct queue_export_run *run = container_of(op, struct queue_export_run, read.op);

	run->reading = false;
	if (run->ended || op->status <= 0) {
		run_end(run, op->status < 0 ? op->status : -ERR_CORRUPT); /* 0: shorter than it says */
		return;
	}
	run->read_bytes += (uint64_t)op->status;
	const int ret = hand_out(run, span_make(run->buf, (size_t)op->status));
	run->paused = ret == -ERR_AGAIN;
	if (ret < 0 && !run->paused)
		run_end(run, ret);
	else
		go_on(run);
}

/* ---- its start ----------------------------------------------------------------------------------------- */

static int find(struct queue *q, uint64_t id, struct queue_entry **e_r)
{
	struct queue_entry *e = queue_find(q, id);

	if (!e)
		return -ERR_NOTFOUND;
	queue_for_each_job(job, e) if (job->state == QUEUE_STATE_OUT ||
				       job->flags & JOB_IN_NOTICE) return -ERR_BUSY;
	*e_r = e;
	return 0;
}

static void begin(struct queue_export_run *run)
{
	struct queue_entry *e;
	const int ret = find(run->q, run->id, &e); /* it may have gone while it was loaded */

	if (ret < 0) {
		run_end(run, ret);
		return;
	}
	queue_state_snapshot(e, &run->state);
	run->parcel = (struct queue_parcel){
		.envelope_n = (uint32_t)run->image->meta.n,
		.state_n = (uint32_t)run->state.n,
		.head_n = (uint32_t)run->image->head.n,
		.body_n = run->image->file_bytes ? run->image->file_bytes : run->image->body.n,
	};
	go_on(run);
}

static void on_loaded(struct op *op)
{
	struct queue_export_run *run = container_of(op, struct queue_export_run, load.op);

	run->loading = false;
	if (op->status >= 0)
		run->image = run->load.image;
	if (op->status < 0 || run->ended)
		run_end(run, op->status);
	else
		begin(run);
}

static void on_cancel(struct op *op)
{
	run_end(container_of(op, struct queue_export, op)->run_, -ERR_CANCELED);
}

void queue_export_init(struct queue_export *x, void (*done)(struct op *op))
{
	*x = (struct queue_export){ 0 };
	op_init(&x->op, done);
}

int queue_export_start(struct queue_export *x, struct scope *scope, struct queue *q, uint64_t id,
		       int64_t deadline_us)
{
	struct queue_entry *e;
	int ret = q->closing ? -ERR_CANCELED : find(q, id, &e);

	if (ret >= 0)
		ret = op_begin(&x->op, scope, "queue export", deadline_us, on_cancel);
	if (ret < 0)
		return ret;
	struct queue_export_run *run = mem_alloc(sizeof *run);
	run->q = q;
	run->x = x;
	run->id = id;
	buf_init(&run->state, QUEUE_NOTE_MAX);
	op_init(&run->load.op, on_loaded);
	op_init(&run->read.op, on_read);
	task_init(&run->task, on_task);
	list_push_back(&q->exports, &run->link);
	x->run_ = run;
	ret = spool_load_start(&run->load, &q->scope, q->spool, id);
	run->loading = ret >= 0;
	if (ret < 0)
		run_end(run, ret);
	return 0;
}

void queue_exports_cancel(struct queue *q)
{
	list_for_each_safe(link, &q->exports)
		run_end(list_entry(link, struct queue_export_run, link), -ERR_CANCELED);
}

void queue_export_more(struct queue_export *x)
{
	struct queue_export_run *run = x->run_;

	if (!run || !run->paused)
		return;
	run->paused = false;
	task_schedule(run->q->loop, &run->task);
}
