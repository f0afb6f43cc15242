/* One message into the queue, out of the octets of an export.
 *
 *   1. queue_import_feed(): the fixed part, envelope, state and head are gathered, the body goes to the
 *      spool as it comes
 *   2. the checksum: the message has ended
 *   3. queue_import_commit(): it is committed under an id of this node; when that is durable it enters
 *      the queue where its state says, and that state is noted under the new id
 * Until the commit a wrong octet, a full disk or queue_import_deinit() leaves nothing behind.
 */
#include "queue/queue_export.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"
#include "queue/queue_parcel.h"
#include "queue/queue_priv.h"

enum step { STEP_FIXED, STEP_ENVELOPE, STEP_STATE, STEP_HEAD, STEP_BODY, STEP_CRC, STEP_ENDED };

struct queue_import_run {
	struct queue *q;
	struct queue_import *im;
	enum step step;
	struct queue_parcel parcel;
	struct buf fixed, envelope, state, head; /* fixed: the fixed part, then the checksum */
	uint64_t body_n;                         /* of the body, so far */
	uint32_t crc;
	bool behind;
	struct spool_write *write;
	struct spool_commit commit;
	void (*room)(void *arg);
	void *room_arg;
};

static void on_room(void *arg)
{
	struct queue_import_run *run = arg;

	run->behind = false;
	if (run->room)
		run->room(run->room_arg);
}

/* Moves up to what @b lacks of @n octets from *in. True: it has them. */
static bool gather(struct queue_import_run *run, struct buf *b, size_t n, struct span *in)
{
	const struct span piece = span_first(*in, n - b->n);

	buf_add_span(b, piece);
	if (run->step < STEP_CRC)
		run->crc = hash_crc32c(run->crc, piece.p, piece.n);
	*in = span_skip(*in, piece.n);
	return b->n == n;
}

static int begin(struct queue_import_run *run)
{
	if (!queue_parcel_read(run->fixed.p, &run->parcel))
		return -ERR_SYNTAX;
	buf_reset(&run->fixed);
	if (run->parcel.envelope_n > ENVELOPE_OCTETS_MAX || run->parcel.state_n > QUEUE_NOTE_MAX ||
	    run->parcel.head_n > QUEUE_EXPORT_HEAD_MAX)
		return -ERR_TOOBIG;
	const int ret = spool_write_begin(run->q->spool, run->parcel.body_n, &run->write);
	if (ret < 0)
		return ret;
	spool_write_on_room(run->write, on_room, run);
	return 0;
}

static int write_body(struct queue_import_run *run, struct span *in)
{
	const uint64_t left = run->parcel.body_n - run->body_n;
	const struct span piece = span_first(*in, left < SIZE_MAX ? (size_t)left : SIZE_MAX);
	const int ret = piece.n ? spool_write_body(run->write, piece) : 0;

	if (ret < 0 && ret != -ERR_AGAIN)
		return ret;
	run->behind = ret == -ERR_AGAIN;
	run->crc = hash_crc32c(run->crc, piece.p, piece.n);
	run->body_n += piece.n;
	*in = span_skip(*in, piece.n);
	return run->body_n == run->parcel.body_n;
}

/* > 0: the step is done. */
static int take_step(struct queue_import_run *run, struct span *in)
{
	int ret;

	switch (run->step) {
	case STEP_FIXED:
		if (!gather(run, &run->fixed, QUEUE_PARCEL_FIXED, in))
			return 0;
		ret = begin(run);
		return ret < 0 ? ret : 1;
	case STEP_ENVELOPE:
		return gather(run, &run->envelope, run->parcel.envelope_n, in);
	case STEP_STATE:
		return gather(run, &run->state, run->parcel.state_n, in);
	case STEP_HEAD:
		return gather(run, &run->head, run->parcel.head_n, in);
	case STEP_BODY:
		return write_body(run, in);
	case STEP_CRC:
		if (!gather(run, &run->fixed, QUEUE_PARCEL_CRC, in))
			return 0;
		return queue_parcel_read_crc(run->fixed.p) == run->crc ? 1 : -ERR_CORRUPT;
	case STEP_ENDED:
		break;
	}
	return -ERR_BUG;
}

int64_t queue_import_feed(struct queue_import *im, struct span in, bool *ended_r)
{
	struct queue_import_run *run = im->run_;
	const size_t n = in.n;

	while (run->step != STEP_ENDED && !run->behind) {
		const int ret = take_step(run, &in);
		if (ret < 0)
			return ret;
		if (ret == 0)
			break; /* more octets are needed */
		run->step++;
	}
	*ended_r = run->step == STEP_ENDED;
	return (int64_t)(n - in.n);
}

/* ---- the commit ---------------------------------------------------------------------------------------- */

static void enter(struct queue_import_run *run, const struct envelope *env)
{
	struct queue *q = run->q;
	struct queue_entry *e = queue_entry_new(q, run->commit.id, env, run->head.n + run->body_n);
	struct buf note = BUF_INIT(QUEUE_NOTE_MAX);

	require(e);
	queue_entry_as_it_came(q, e, env);
	if (run->state.n > 0 && queue_state_apply(q, e, buf_span(&run->state)) < 0)
		queue_entry_hold_unreadable(q, e);
	queue_entry_merge(q, e);
	queue_image_keep(q, e, run->commit.image);
	run->commit.image = NULL;
	queue_for_each_job_safe(job, e) queue_job_enter(q, job, (enum queue_state)job->state);
	queue_state_snapshot(e, &note);
	if (!queue_entry_check(q, e) && note.n > 0)
		spool_note(q->spool, e->id, buf_span(&note));
	buf_free(&note);
}

static void on_committed(struct op *op)
{
	struct queue_import_run *run = container_of(op, struct queue_import_run, commit.op);
	struct queue_import *im = run->im;
	struct queue *q = run->q;
	struct envelope env;

	q->nimports--;
	queue_kick(q);
	if (op->status >= 0) {
		arena_reset(q->arena);
		/* It was decoded before: it can be again. */
		require(envelope_decode(buf_span(&run->envelope), q->arena, &env) >= 0);
		im->id = run->commit.id;
		enter(run, &env);
		arena_release(q->arena);
	}
	op_complete(&im->op, op->status);
}

static void on_cancel(struct op *op)
{
	op_cancel(&container_of(op, struct queue_import, op)->run_->commit.op);
}

int queue_import_commit(struct queue_import *im, struct scope *scope)
{
	struct queue_import_run *run = im->run_;
	struct queue *q = run->q;
	struct envelope env;

	require(run->step == STEP_ENDED && run->write);
	arena_reset(q->arena);
	int ret = envelope_decode(buf_span(&run->envelope), q->arena, &env);
	if (ret >= 0 && env.nrcpt == 0)
		ret = -ERR_CORRUPT;
	arena_release(q->arena);
	if (ret < 0 || q->closing)
		return ret < 0 ? ret : -ERR_CANCELED;
	ret = op_begin(&im->op, scope, "queue import", SPOOL_COMMIT_US, on_cancel);
	if (ret < 0)
		return ret;
	q->nimports++;
	ret = spool_commit_start(&run->commit, &q->scope, &run->write, buf_span(&run->envelope),
				 buf_span(&run->head));
	if (ret < 0) {
		q->nimports--;
		op_complete(&im->op, ret);
	}
	return 0;
}

/* ---- life ---------------------------------------------------------------------------------------------- */

void queue_import_init(struct queue_import *im, struct queue *q, void (*done)(struct op *op))
{
	struct queue_import_run *run = mem_alloc(sizeof *run);

	*im = (struct queue_import){ .run_ = run };
	op_init(&im->op, done);
	op_init(&run->commit.op, on_committed);
	run->q = q;
	run->im = im;
	buf_init(&run->fixed, QUEUE_PARCEL_FIXED);
	buf_init(&run->envelope, ENVELOPE_OCTETS_MAX);
	buf_init(&run->state, QUEUE_NOTE_MAX);
	buf_init(&run->head, QUEUE_EXPORT_HEAD_MAX);
}

void queue_import_on_room(struct queue_import *im, void (*room)(void *arg), void *arg)
{
	im->run_->room = room;
	im->run_->room_arg = arg;
}

void queue_import_deinit(struct queue_import *im)
{
	struct queue_import_run *run = im->run_;

	if (!run)
		return;
	im->run_ = NULL;
	require(!op_pending(&im->op) && !op_pending(&run->commit.op));
	if (run->write)
		spool_write_abort(&run->write);
	buf_free(&run->fixed);
	buf_free(&run->envelope);
	buf_free(&run->state);
	buf_free(&run->head);
	free(run);
}
