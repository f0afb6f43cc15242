/* outcome.c - from what a server said to what the queue, the log and the observers are told. */
#include "delivery/delivery_priv.h"

static const char *status_word(const struct queue_outcome *o)
{
	switch (o->status) {
	case QUEUE_DELIVERED:
	case QUEUE_RELAYED_NO_DSN:
	case QUEUE_RELAYED_NO_BY:
		return "sent";
	case QUEUE_BOUNCED:
		return o->cause == QUEUE_CAUSE_EXPIRED ? "expired" : "bounced";
	case QUEUE_HELD:
		return "held";
	default:
		return "deferred";
	}
}

static void observe(struct delivery *d, uint64_t id, const struct envelope *env,
		    const struct queue_outcome *o, struct span status)
{
	const struct id text = id_from_u64(id);
	const enum observer_id what = o->status == QUEUE_BOUNCED    ? OBSERVER_BOUNCED
				      : o->status == QUEUE_DEFERRED ? OBSERVER_DEFERRED
								    : OBSERVER_DELIVERED;

	/* The policies that accepted it hear of it; notices are nobody's, the configuration says who hears of them. */
	const void *policies =
		env->listener.n ? d->hooks.ops->list(d->hooks.impl, env->listener) : d->cfg.policies;
	if (!policies)
		policies = d->cfg.policies; /* that listener is no more */
	if (!policies)
		return;
	d->hooks.ops->observe(d->hooks.impl, &(struct hook_event){ .id = what,
								   .policies = policies,
								   .queue_id = span_of(text.s),
								   .recipient = env->rcpt[o->rcpt].address,
								   .sender = env->sender,
								   .device = env->device,
								   .remote = o->remote,
								   .status = status,
								   .text = o->text,
								   .code = o->code });
}

/* "delays": before the queue, in the queue, connecting, transferring. */
static void delays(struct log_rec *r, const struct link *l, int64_t now)
{
	log_int(r, LOG_F_QUEUED_US, l->taken_us - l->work.ready_at_us);
	if (!l->connected_us || l->connected_us < l->taken_us)
		return;
	log_int(r, LOG_F_CONNECT_US, l->connected_us - l->taken_us);
	log_int(r, LOG_F_TRANSFER_US, now - l->connected_us);
}

void outcome_log(struct delivery *d, const struct link *l, uint64_t id, const struct envelope *env,
		 const struct queue_outcome *o)
{
	const struct envelope_rcpt *to = &env->rcpt[o->rcpt];
	const struct span status = span_of(status_word(o));
	const int64_t age_us = loop_wall_us(d->loop) - env->arrived_at_us;
	struct log_rec r;

	metric_add_label(d->metrics, METRIC_DELIVERIES_TOTAL, status, 1);
	if (o->status == QUEUE_DELIVERED)
		metric_observe(d->metrics, METRIC_DELIVERY_SECONDS, age_us);
	observe(d, id, env, o, status);
	if (!log_begin(&r, d->log, LOG_EV_ATTEMPT_FINISHED))
		return;
	log_cstr(&r, LOG_F_ID, id_from_u64(id).s);
	log_str(&r, LOG_F_FROM, env->sender);
	log_str(&r, LOG_F_TO, to->address);
	log_str(&r, LOG_F_RELAY, o->remote.n ? o->remote : SPAN("none"));
	if (l) {
		log_str(&r, LOG_F_ROUTE, l->dest->route);
		log_int(&r, LOG_F_ATTEMPT, l->work.attempt);
		if (l->connected_us >= l->taken_us)
			link_tls_log(l, &r);
		else if (l->trouble.tls)
			log_cstr(&r, LOG_F_REASON, "tls_required");
		delays(&r, l, loop_now_us(d->loop));
	}
	log_str(&r, LOG_F_DOMAIN, to->domain);
	if (env->device.n)
		log_str(&r, LOG_F_DEVICE, env->device);
	log_int(&r, LOG_F_DELAY_US, age_us);
	log_str(&r, LOG_F_DSN, o->enhanced);
	if (o->code)
		log_int(&r, LOG_F_CODE, o->code);
	log_str(&r, LOG_F_STATUS, status);
	log_str(&r, LOG_F_TEXT, o->text);
	log_end(&r);
}

static enum queue_status status_of(const struct link *l, const struct smtp_txn_rcpt *rcpt)
{
	switch (rcpt->result.kind) {
	case SMTP_RESULT_OK:
		if (rcpt->notice_is_ours)
			return QUEUE_RELAYED_NO_DSN;
		if ((l->txn.notes & SMTP_TXN_BY_LOST) && (l->env.flags & ENVELOPE_BY_NOTIFY))
			return QUEUE_RELAYED_NO_BY;
		return QUEUE_DELIVERED;
	case SMTP_RESULT_PERM:
		return QUEUE_BOUNCED;
	default:
		return QUEUE_DEFERRED;
	}
}

static void finish(struct link *l, struct queue_outcome *outcomes, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (l->env.nrcpt)
			outcome_log(l->d, l, l->work.id, &l->env, &outcomes[i]);
	queue_done(l->d->queue, l->work.job, outcomes, n);
}

void outcome_of_txn(struct link *l)
{
	const uint32_t n = l->work.nrcpt;
	struct queue_outcome *outcomes = arena_array(l->mem, struct queue_outcome, n);
	struct smtp_enhanced_text *enhanced = arena_array(l->mem, struct smtp_enhanced_text, n);

	if (!outcomes || !enhanced) {
		queue_done(l->d->queue, l->work.job, NULL, 0);
		return;
	}
	for (uint32_t i = 0; i < n; i++) {
		const struct smtp_txn_rcpt *rcpt = &l->txn.rcpt[i];
		enhanced[i] = smtp_enhanced_format(rcpt->result.enhanced);
		outcomes[i] = (struct queue_outcome){ .rcpt = l->work.rcpts[i],
						      .status = status_of(l, rcpt),
						      .code = (int)rcpt->result.code,
						      .enhanced = span_of(enhanced[i].s),
						      .text = rcpt->result.text,
						      .remote = span_of(l->remote) };
	}
	metric_add(l->d->metrics, METRIC_DELIVERED_BYTES_TOTAL, (int64_t)body_octets(&l->body));
	finish(l, outcomes, n);
}

void outcome_of_all(struct link *l, enum queue_status status, int code, const char *enhanced,
		    struct span text)
{
	const uint32_t n = l->work.nrcpt;
	struct queue_outcome *outcomes = arena_array(l->mem, struct queue_outcome, n);

	if (!outcomes) {
		queue_done(l->d->queue, l->work.job, NULL, 0);
		return;
	}
	for (uint32_t i = 0; i < n; i++)
		outcomes[i] = (struct queue_outcome){ .rcpt = l->work.rcpts[i],
						      .status = status,
						      .code = code,
						      .enhanced = span_of(enhanced),
						      .text = text,
						      .remote = span_of(l->remote) };
	finish(l, outcomes, n);
}
