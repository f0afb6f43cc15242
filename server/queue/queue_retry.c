/* Trying now what waits: one job, or all for some domains (ETRN, RFC 1985).
 *
 * Domains that are to be tried are marked; one walk over all entries, in slices, finds their jobs. A
 * domain that is asked for while a walk is under way is found by the next one.
 */
#include "queue/queue_match.h"
#include "queue/queue_priv.h"

enum { SLICE = 2048 };

bool queue_job_retry(struct queue *q, struct queue_job *job)
{
	switch ((enum queue_state)job->state) {
	case QUEUE_STATE_WAITING:
		queue_job_leave(q, job);
		queue_job_enter(q, job, QUEUE_STATE_READY);
		break;
	case QUEUE_STATE_READY:
		break;
	case QUEUE_STATE_ENDING:
		if (heap_node_in(&job->wake)) { /* its notice could not be made */
			heap_remove(&q->wakes, &job->wake);
			list_push_back(&q->endings, &job->link);
			queue_kick(q);
		}
		return true;
	default:
		return false;
	}
	queue_dest_probe_now(job->dest);
	return true;
}

static bool is_retried(struct queue_job *job)
{
	const struct queue_rcpt *r = queue_job_rcpts(job);

	if (job->state != QUEUE_STATE_READY && job->state != QUEUE_STATE_WAITING)
		return false;
	for (uint32_t i = 0; i < job->nrcpt; i++)
		if (r[i].domain->retry == DOMAIN_RETRYING)
			return true;
	return false;
}

static void mark(struct queue *q, struct queue_domain *d)
{
	if (d->retry == DOMAIN_QUIET) {
		d->refs++;
		list_push_back(&q->retries, &d->link);
	}
	d->retry = DOMAIN_RETRY_WANTED;
}

static void unmark(struct queue *q, struct queue_domain *d)
{
	list_remove(&d->link);
	d->retry = DOMAIN_QUIET;
	queue_domain_put(&q->domains, &d);
}

uint64_t queue_retry_domain(struct queue *q, struct span domain)
{
	uint64_t n = 0;

	if (domain.n == 0 || q->closing)
		return 0;
	if (domain.p[0] != '@') {
		struct queue_domain *d = NULL;
		char lower[256];

		for (size_t i = 0; i < domain.n && i < sizeof lower; i++)
			lower[i] = ascii_lower(domain.p[i]);
		if (domain.n <= sizeof lower)
			d = queue_domain_find(&q->domains, span_make(lower, domain.n));
		if (d && d->pending > 0) {
			mark(q, d);
			n = d->pending;
		}
	} else {
		map_for_each(node, &q->domains.map) {
			struct queue_domain *d = map_entry(node, struct queue_domain, node);
			if (d->pending == 0 || !queue_match_domain(domain, queue_domain_name(d)))
				continue;
			mark(q, d);
			n += d->pending;
		}
	}
	queue_kick(q);
	return n;
}

static void slice(struct timer *t)
{
	struct queue *q = container_of(t, struct queue, retry_timer);
	struct queue_entry *e = NULL;

	for (unsigned n = 0; n < SLICE && (e = queue_cursor_next(&q->retry_at, q)) != NULL; n++)
		queue_for_each_job(job, e) if (is_retried(job)) queue_job_retry(q, job);
	if (e) {
		timer_set_in(q->loop, &q->retry_timer, 1);
		return;
	}
	queue_cursor_stop(&q->retry_at);
	list_for_each_safe(link, &q->retries) {
		struct queue_domain *d = list_entry(link, struct queue_domain, link);
		if (d->retry == DOMAIN_RETRYING)
			unmark(q, d);
	}
	queue_kick(q); /* for those that were asked for meanwhile */
}

void queue_retry_pump(struct queue *q)
{
	if (q->closing || list_empty(&q->retries) || !list_empty(&q->retry_at.link))
		return;
	list_for_each(link, &q->retries)
		list_entry(link, struct queue_domain, link)->retry = DOMAIN_RETRYING;
	queue_cursor_start(q, &q->retry_at);
	timer_set_in(q->loop, &q->retry_timer, 1);
}

void queue_retry_init(struct queue *q)
{
	list_init(&q->retry_at.link);
	timer_init(&q->retry_timer, slice);
}

void queue_retry_forget(struct queue *q)
{
	timer_unset(q->loop, &q->retry_timer);
	queue_cursor_stop(&q->retry_at);
	while (!list_empty(&q->retries))
		unmark(q, list_entry(list_first(&q->retries), struct queue_domain, link));
}
