#include "spool/spool_priv.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"

/* One barrier in every log; the last one that ends completes the op. */
struct barriers {
	struct op *op;
	unsigned left;
	int status;
	struct barrier {
		struct spool_rec rec;
		struct barriers *all;
	} of[];
};

static void one_ended(struct barriers *all)
{
	if (--all->left)
		return;
	op_complete(all->op, all->status);
	free(all);
}

static void barrier_ended(struct spool_rec *r, int status)
{
	struct barriers *all = container_of(r, struct barrier, rec)->all;

	if (status < 0)
		all->status = status;
	one_ended(all);
}

static void cancel_sync(struct op *op)
{
	(void)op; /* the batch cannot be called back; its end completes the op */
}

int spool_sync_start(struct op *op, struct scope *scope, struct spool *s)
{
	const int r = op_begin(op, scope, "spool sync", SPOOL_COMMIT_US, cancel_sync);

	if (r < 0)
		return r;
	struct barriers *all = mem_alloc(sizeof *all + s->nvolumes * sizeof all->of[0]);
	all->op = op;
	all->left = s->nvolumes + 1;
	for (unsigned i = 0; i < s->nvolumes; i++) {
		all->of[i].all = all;
		all->of[i].rec.done = barrier_ended;
		spool_log_barrier(s->volumes[i].log, &all->of[i].rec);
	}
	one_ended(all);
	spool_kick(s);
	return 0;
}
