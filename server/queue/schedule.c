#include "queue/schedule.h"

#include "base/check.h"
#include "base/duration.h"

#define SECOND_US INT64_C(1000000)
#define MINUTE_US (60 * SECOND_US)
#define HOUR_US   (60 * MINUTE_US)
#define DAY_US    (24 * HOUR_US)

void schedule_init(struct schedule *s)
{
	*s = (struct schedule){
		.step_us = { 5 * MINUTE_US, 15 * MINUTE_US, 30 * MINUTE_US, HOUR_US, 2 * HOUR_US,
			     4 * HOUR_US },
		.nsteps = 6,
		.jitter_percent = 10,
		.lifetime_us = 5 * DAY_US, /* RFC 5321 section 4.5.4.1: generally at least 4 to 5 days */
		.bounce_lifetime_us = DAY_US,
		.notice_us = { 4 * HOUR_US },
		.nnotices = 1,
	};
}

/* Reads "5m, 15m" into @list. Returns how many. */
static int parse_list(struct span text, int64_t *list, unsigned list_max, int64_t min_us, struct errtext *e)
{
	unsigned n = 0;

	while (text.p) {
		const struct span word = span_trim(span_cut(&text, ','));
		int64_t us;

		if (!duration_parse(word, &us))
			return errtext_set(e, ERR_SYNTAX, "\"%.*s\" is no duration, like \"5m\" or \"1h30m\"",
					   SPAN_ARG(word));
		if (us < min_us)
			return errtext_set(e, ERR_SYNTAX, "\"%.*s\" is too short", SPAN_ARG(word));
		if (n == list_max)
			return errtext_set(e, ERR_TOOBIG, "more than %u durations", list_max);
		list[n++] = us;
	}
	return (int)n;
}

int schedule_parse_steps(struct schedule *s, struct span text, struct errtext *e)
{
	int64_t list[SCHEDULE_STEPS_MAX] = { 0 };

	if (!text.p)
		text = SPAN("");
	const int n = parse_list(text, list, SCHEDULE_STEPS_MAX, SECOND_US, e);
	if (n < 0)
		return n;
	memcpy(s->step_us, list, sizeof list);
	s->nsteps = (uint32_t)n;
	return 0;
}

int schedule_parse_notices(struct schedule *s, struct span text, struct errtext *e)
{
	int64_t list[SCHEDULE_NOTICES_MAX] = { 0 };
	int n = 0;

	text = span_trim(text);
	if (text.n && !span_eq(text, SPAN("none")))
		n = parse_list(text, list, SCHEDULE_NOTICES_MAX, MINUTE_US, e);
	if (n < 0)
		return n;
	for (int i = 1; i < n; i++)
		if (list[i] <= list[i - 1])
			return errtext_set(e, ERR_SYNTAX, "each notice must be later than the one before");
	memcpy(s->notice_us, list, sizeof list);
	s->nnotices = (uint32_t)n;
	return 0;
}

/* Sums of times do not wrap, whatever a spool says about the past. */
static int64_t later(int64_t at_us, int64_t by_us)
{
	int64_t sum;

	return __builtin_add_overflow(at_us, by_us, &sum) ? INT64_MAX : sum;
}

int64_t schedule_expires_at(const struct schedule *s, const struct schedule_message *m,
			    enum schedule_end *why_r)
{
	const int64_t end = later(m->created_at_us, m->null_sender ? s->bounce_lifetime_us : s->lifetime_us);

	if (m->deliver_by_us && !m->by_notify && m->deliver_by_us < end) {
		*why_r = SCHEDULE_END_DELIVERBY;
		return m->deliver_by_us;
	}
	*why_r = SCHEDULE_END_LIFETIME;
	return end;
}

int64_t schedule_wait_us(const struct schedule *s, unsigned attempt, uint64_t random)
{
	const unsigned step = attempt == 0 ? 0 : attempt - 1;
	const int64_t wait = s->step_us[step < s->nsteps ? step : s->nsteps - 1];
	const uint64_t jitter_max = (uint64_t)wait / 100 * s->jitter_percent;

	return wait + (int64_t)(jitter_max ? random % (jitter_max + 1) : 0);
}

enum schedule_verdict schedule_next(const struct schedule *s, const struct schedule_message *m,
				    int64_t now_us, unsigned attempt, uint64_t random, int64_t *at_r)
{
	enum schedule_end why;
	const int64_t end = schedule_expires_at(s, m, &why);
	int64_t wait = schedule_wait_us(s, attempt, random);

	if (now_us >= end)
		return SCHEDULE_EXPIRED;
	/* Who sets a deadline wants it soon: waits that are longer than what is left of it are cut to
	 * half of that. */
	if (why == SCHEDULE_END_DELIVERBY && wait >= end - now_us && end - now_us >= 2 * MINUTE_US)
		wait = (end - now_us) / 2;
	const int64_t at = later(now_us, wait);
	*at_r = at < end ? at : end;
	return SCHEDULE_RETRY;
}

/* The time of notice number @i, by list and deadline together. */
static int64_t notice_at(const struct schedule *s, const struct schedule_message *m, unsigned i)
{
	if (i < s->nnotices)
		return later(m->created_at_us, s->notice_us[i]);
	return m->deliver_by_us && m->by_notify ? m->deliver_by_us : INT64_MAX;
}

unsigned schedule_notices_due(const struct schedule *s, const struct schedule_message *m, int64_t now_us)
{
	unsigned due = 0;

	for (unsigned i = 0; i <= s->nnotices; i++)
		due += notice_at(s, m, i) <= now_us;
	return due;
}

int64_t schedule_notice_next_at(const struct schedule *s, const struct schedule_message *m, int64_t now_us)
{
	int64_t next = INT64_MAX;

	for (unsigned i = 0; i <= s->nnotices; i++) {
		const int64_t at = notice_at(s, m, i);
		if (at > now_us && at < next)
			next = at;
	}
	return next;
}
