/* One spool: the logs of a worker, its committer and its jobs.
 *
 *   spool_on_turn()     at the end of a loop turn in which something happened: if the committer rests, the next log with something
 *                       urgent or due gives it a batch; every log is asked for a chore
 *   spool_on_written()  the committer's letter: the batch's messages are told, and the turn comes again
 *
 * What gathers lazily alone becomes due after lazy_commit_us. When the spool closes everything is due, and it is closed when
 * nothing gathers (or cannot be written), no job runs and no write is open.
 */
#include "spool/spool_priv.h"

#include <stdlib.h>

#include "base/mem.h"

struct volume_chore {
	struct spool_job job;
	struct spool_volume *volume;
};

/* ---- chores --------------------------------------------------------------------------------------------------- */

static void run_chore(struct spool_job *j)
{
	spool_chore_run(container_of(j, struct volume_chore, job)->volume->chore);
}

static void chore_done(struct spool_job *j)
{
	struct volume_chore *vc = container_of(j, struct volume_chore, job);

	spool_log_chore_done(vc->volume->log, &vc->volume->chore, loop_now_us(j->spool->loop));
	free(vc);
}

static void start_chores(struct spool *s)
{
	const int64_t now_us = loop_now_us(s->loop);
	int64_t soonest = 0;

	for (unsigned i = 0; i < s->nvolumes && !s->closing; i++) {
		struct spool_volume *v = &s->volumes[i];
		int64_t again = 0;

		if (v->chore)
			continue;
		v->chore = spool_log_chore(v->log, now_us, loop_wall_us(s->loop), &again);
		if (v->chore) {
			struct volume_chore *vc = mem_alloc(sizeof *vc);
			vc->volume = v;
			spool_job_start(s, &vc->job, run_chore, chore_done);
		}
		if (again && (!soonest || again < soonest))
			soonest = again;
	}
	if (soonest)
		timer_set_at(s->loop, &s->chores, soonest);
}

void spool_on_chores(struct timer *t)
{
	spool_kick(container_of(t, struct spool, chores));
}

/* ---- batches -------------------------------------------------------------------------------------------------- */

static void show(struct spool *s)
{
	struct spool_log_state sum = { 0 }, st;

	for (unsigned i = 0; i < s->nvolumes; i++) {
		spool_log_state(s->volumes[i].log, &st);
		sum.disk_octets += st.disk_octets;
		sum.live_octets += st.live_octets;
		sum.segments += st.segments + st.spares;
	}
	spool_log_state(s->volumes[0].log, &st);
	metric_set(s->metrics, METRIC_SPOOL_BYTES, (int64_t)sum.disk_octets);
	metric_set(s->metrics, METRIC_SPOOL_LIVE_BYTES, (int64_t)sum.live_octets);
	metric_set(s->metrics, METRIC_SPOOL_SEGMENTS, (int64_t)sum.segments);
	metric_set(s->metrics, METRIC_SPOOL_REFUSING, st.broken != 0);
}

static void start_batch(struct spool *s)
{
	bool lazy = false;

	for (unsigned i = 0; i < s->nvolumes; i++) {
		struct spool_volume *v = &s->volumes[(s->next_volume + i) % s->nvolumes];
		if (!spool_log_gathers(v->log))
			continue;
		lazy |= !v->due;
		if (!v->due && !s->closing && !spool_log_urgent(v->log))
			continue;
		struct spool_batch *b =
			s->committer.out ? NULL : spool_log_seal(v->log, loop_wall_us(s->loop));
		if (!b)
			continue;
		v->due = false;
		s->next_volume = (s->next_volume + i + 1) % s->nvolumes;
		spool_committer_give(&s->committer, v, b, loop_now_us(s->loop));
	}
	if (lazy && !s->lazy.due_us)
		timer_set_in(s->loop, &s->lazy, s->cfg.lazy_commit_us > 0 ? s->cfg.lazy_commit_us : 1);
}

void spool_on_lazy(struct timer *t)
{
	struct spool *s = container_of(t, struct spool, lazy);

	for (unsigned i = 0; i < s->nvolumes; i++)
		s->volumes[i].due = spool_log_gathers(s->volumes[i].log);
	spool_kick(s);
}

void spool_on_written(struct letter *l)
{
	struct spool *s = container_of(l, struct spool, committer.written);
	struct spool_batch *b = s->committer.out;
	struct spool_volume *v = s->committer.out_of;

	metric_add(s->metrics, METRIC_SPOOL_FSYNCS_TOTAL, spool_batch_syncs(b));
	metric_add(s->metrics, METRIC_SPOOL_WRITTEN_BYTES_TOTAL, (int64_t)spool_batch_octets(b));
	spool_guard_written(s, spool_batch_octets(b));
	s->committer.out = NULL;
	spool_log_written(v->log, &b, loop_now_us(s->loop));
	spool_kick(s);
}

/* ---- the end of a turn ---------------------------------------------------------------------------------------- */

static bool at_rest(const struct spool *s)
{
	struct spool_log_state st;

	if (s->committer.out || s->njobs || s->writes)
		return false;
	for (unsigned i = 0; i < s->nvolumes; i++) {
		spool_log_state(s->volumes[i].log, &st);
		if (spool_log_gathers(s->volumes[i].log) && !st.broken)
			return false;
	}
	return true;
}

void spool_on_scope_closed(struct scope *scope)
{
	struct spool *s = container_of(scope, struct spool, scope);

	timer_unset(s->loop, &s->lazy);
	timer_unset(s->loop, &s->chores);
	timer_unset(s->loop, &s->retry);
	task_unschedule(&s->turn);
	spool_committer_stop(&s->committer);
	if (s->closed)
		s->closed(s->closed_arg);
}

void spool_on_turn(struct task *t)
{
	struct spool *s = container_of(t, struct spool, turn);

	start_batch(s);
	start_chores(s);
	show(s);
	if (!s->closing || s->scope.closing || !at_rest(s))
		return;
	if (!s->ended) { /* all is written: say so on the disk, and write that */
		s->ended = true;
		for (unsigned i = 0; i < s->nvolumes; i++)
			spool_log_end(s->volumes[i].log);
		spool_kick(s);
		return;
	}
	scope_close(&s->scope);
}

void spool_kick(struct spool *s)
{
	task_schedule_last(s->loop, &s->turn);
}

/* ---- outcomes ------------------------------------------------------------------------------------------------- */

struct spool_volume *spool_volume_of(const struct spool *s, uint64_t id)
{
	const unsigned number = spool_log_number_of(id);

	for (unsigned i = 0; i < s->nvolumes; i++)
		if (s->volumes[i].number == number)
			return &s->volumes[i];
	return NULL;
}

void spool_note(struct spool *s, uint64_t id, struct span note)
{
	struct spool_volume *v = spool_volume_of(s, id);

	if (!v)
		return;
	spool_log_note(v->log, id, note);
	spool_kick(s);
}

void spool_drop(struct spool *s, uint64_t id)
{
	struct spool_volume *v = spool_volume_of(s, id);

	if (!v)
		return;
	spool_log_drop(v->log, id);
	spool_kick(s);
}

/* ---- state ---------------------------------------------------------------------------------------------------- */

void spool_stats(const struct spool *s, struct spool_stats *st_r)
{
	struct spool_stats sum = { .accepting = !s->closing, .why = s->closing ? "it is closing" : NULL };
	struct spool_log_state st;

	for (unsigned i = 0; i < s->nvolumes; i++) {
		spool_log_state(s->volumes[i].log, &st);
		sum.messages += st.messages;
		sum.segments += st.segments;
		sum.segments_spare += st.spares;
		sum.live_octets += st.live_octets;
		sum.disk_octets += st.disk_octets;
	}
	sum.free_octets = s->guard.free_octets;
	sum.memory_octets = s->memory->used;
	spool_log_state(s->volumes[0].log, &st);
	if (sum.accepting && st.broken) {
		sum.accepting = false;
		sum.why = st.why;
	} else if (sum.accepting && s->guard.refusing) {
		sum.accepting = false;
		sum.why = "not enough free disk space";
	}
	*st_r = sum;
}
