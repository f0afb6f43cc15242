#include "spool/spool_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/check.h"
#include "base/mem.h"

/* Logs of workers that are no more get but a few notes and drops. */
enum { ADOPTED_SEGMENT = 1024 * 1024, COMPACT_OCTETS_S = 64 * 1024 * 1024, NUMBER_DIGITS = 4 };

static int64_t clock_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t); /* the loop's stands still while we block */
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* ---- which logs ----------------------------------------------------------------------------------------------- */

struct numbers {
	bool there[SPOOL_LOGS_MAX];
};

static int on_name(void *arg, const char *name)
{
	struct numbers *numbers = arg;
	uint64_t n;

	if (strlen(name) < NUMBER_DIGITS && span_to_u64(span_of(name), SPOOL_LOGS_MAX - 1, &n))
		numbers->there[n] = true;
	return 0;
}

static bool is_ours(const struct spool_config *cfg, unsigned number)
{
	require(cfg->workers);
	return number < cfg->workers ? number == cfg->worker : number % cfg->workers == cfg->worker;
}

static void name_volume(struct spool *s, unsigned number)
{
	struct spool_volume *v = &s->volumes[s->nvolumes++];

	v->spool = s;
	v->number = number;
	snprintf(v->dir, sizeof v->dir, "%.*s/%u", SPOOL_DIR_MAX - NUMBER_DIGITS, s->dir, number);
}

static int find_volumes(struct spool *s, struct errtext *e)
{
	const struct spool_fs *fs = s->fs;
	struct numbers numbers = { { false } };

	int r = fs->mkdir(fs->arg, s->dir);
	if (r < 0)
		return spool_fs_error(e, r, "make directory", s->dir);
	r = fs->list(fs->arg, s->dir, on_name, &numbers);
	if (r < 0)
		return spool_fs_error(e, r, "list", s->dir);
	s->volumes = mem_alloc_array(SPOOL_LOGS_MAX, sizeof *s->volumes);
	name_volume(s, s->cfg.worker);
	for (unsigned i = 0; i < SPOOL_LOGS_MAX; i++)
		if (numbers.there[i] && i != s->cfg.worker && is_ours(&s->cfg, i))
			name_volume(s, i);
	s->volumes = mem_realloc(s->volumes, s->nvolumes * sizeof *s->volumes);
	r = fs->mkdir(fs->arg, s->volumes[0].dir);
	if (r < 0)
		return spool_fs_error(e, r, "make directory", s->volumes[0].dir);
	r = fs->sync_dir(fs->arg, s->dir);
	return r < 0 ? spool_fs_error(e, r, "sync", s->dir) : 0;
}

/* ---- open ----------------------------------------------------------------------------------------------------- */

static int open_volume(struct spool *s, struct spool_volume *v, struct spool_found *found, struct errtext *e)
{
	const bool own = v->number == s->cfg.worker;
	struct spool_log_found f;
	const struct spool_log_config cfg = {
		.fs = s->fs,
		.dir = v->dir,
		.number = v->number,
		.segment_octets = own || s->cfg.segment_bytes < ADOPTED_SEGMENT ? s->cfg.segment_bytes
										: ADOPTED_SEGMENT,
		.spares_max = own ? s->cfg.segments_spare_max : 0,
		.ahead = own,
		.compact_octets_s = COMPACT_OCTETS_S,
		.owner = &s->owner,
		.report = spool_on_report,
		.report_arg = s,
	};

	const int r = spool_log_open(&v->log, &cfg, &f, e);
	if (r < 0)
		return r;
	found->messages += f.messages;
	found->notes += f.notes;
	found->segments += f.segments;
	found->octets += f.octets;
	found->torn_octets += f.torn_octets;
	found->corrupt_records += f.corrupt_records;
	return 0;
}

static void free_parts(struct spool *s)
{
	for (unsigned i = 0; i < s->nvolumes; i++)
		spool_log_free(&s->volumes[i].log);
	free(s->volumes);
	spool_memory_unref(s->memory);
	free(s);
}

int spool_open(struct spool **s_r, const struct spool_config *cfg, const struct spool_fs *fs,
	       struct loop *loop, struct work_pool *pool, struct logger *log, struct metric_shard *metrics,
	       const struct spool_recovery *recovery, struct spool_found *found_r, struct errtext *e)
{
	const int64_t started_us = clock_us();
	struct spool_found found = { 0 };
	int r;

	if (strlen(cfg->dir) > SPOOL_DIR_MAX - NUMBER_DIGITS)
		return errtext_set(e, ERR_TOOBIG, "%s: the name is too long", cfg->dir);
	if (!cfg->workers || cfg->workers > SPOOL_LOGS_MAX || cfg->worker >= cfg->workers ||
	    cfg->segment_bytes < SPOOL_SEGMENT_MIN || cfg->segment_bytes > UINT32_MAX ||
	    cfg->small_max_bytes > SPOOL_RECORD_MAX / 2)
		return errtext_set(e, ERR_INVAL,
				   "%s: a number in the configuration of the spool is out of range",
				   cfg->dir);
	struct spool *s = mem_alloc(sizeof *s);
	s->cfg = *cfg;
	snprintf(s->dir, sizeof s->dir, "%s", cfg->dir);
	s->cfg.dir = s->dir;
	s->fs = fs ? fs : spool_fs_posix();
	s->loop = loop;
	s->pool = pool;
	s->log = log;
	s->metrics = metrics;
	s->owner = *recovery;
	s->memory = spool_memory_new(cfg->memory_budget_bytes);
	list_init(&s->jobs);
	task_init(&s->turn, spool_on_turn);
	timer_init(&s->lazy, spool_on_lazy);
	timer_init(&s->chores, spool_on_chores);
	timer_init(&s->retry, spool_jobs_retry);
	scope_init(&s->scope, loop, spool_on_scope_closed);
	r = find_volumes(s, e);
	for (unsigned i = 0; r == 0 && i < s->nvolumes; i++)
		r = open_volume(s, &s->volumes[i], &found, e);
	if (r < 0) {
		free_parts(s);
		return r;
	}
	spool_committer_start(&s->committer, loop, spool_on_written);
	spool_kick(s); /* the first segment is made now */
	found.took_us = clock_us() - started_us;
	*found_r = found;
	*s_r = s;
	return 0;
}

/* ---- close ---------------------------------------------------------------------------------------------------- */

void spool_close(struct spool *s, void (*closed)(void *arg), void *arg)
{
	require(!s->closing);
	s->closing = true;
	s->closed = closed;
	s->closed_arg = arg;
	spool_kick(s);
}

void spool_free(struct spool **s_p)
{
	struct spool *s = *s_p;

	if (!s)
		return;
	*s_p = NULL;
	require(s->closing && !s->committer.thread);
	free_parts(s);
}
