/* notice.c - delivery status notifications: made from the outcomes, committed to the spool like any message, then queued.
 *
 *   1. the report is written (mail/mail_dsn): prefix, the original if it was asked for and is in memory, suffix
 *   2. it goes to the spool with the null reverse path; the queue hears "done" when it is durable
 *
 * Ways it fails: the spool takes nothing now (the queue asks again later); the original is too broken to be quoted (an error of
 * mail_dsn_write: reported and given up). A notice that has nobody to go to (the original had the null reverse path) is logged as
 * failed: that is how a device with a bad From address is found.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "delivery/delivery_priv.h"
#include "mail/mail_dsn.h"
#include "mail/mail_head.h"
#include "smtp/smtp_xtext.h"

enum { NOTICE_MEM_MAX = 8 * 1024 * 1024, NOTICE_OCTETS_MAX = 4 * 1024 * 1024 };

struct notice_work {
	struct delivery *d;
	struct queue_notice *notice;
	struct arena *mem;
	struct buf prefix, suffix;
	struct envelope env;
	struct spool_commit commit;
};

static void on_commit(struct op *op);

static void notice_free(struct notice_work *w)
{
	arena_free(&w->mem);
	buf_free(&w->prefix);
	buf_free(&w->suffix);
	free(w);
}

static void log_nobody(struct delivery *d, const struct queue_notice *n)
{
	for (uint32_t i = 0; i < n->n; i++) {
		const struct queue_outcome *o = &n->outcomes[i];
		const struct id id = id_from_u64(n->id);
		struct log_rec r;

		metric_add(d->metrics, METRIC_NOTICES_FAILED_TOTAL, 1);
		if (d->cfg.policies)
			d->hooks.ops->observe(
				d->hooks.impl,
				&(struct hook_event){ .id = OBSERVER_NOTICE_FAILED,
						      .policies = d->cfg.policies,
						      .queue_id = span_of(id.s),
						      .recipient = n->env->rcpt[o->rcpt].address,
						      .device = n->env->device,
						      .remote = o->remote,
						      .text = o->text,
						      .code = o->code });
		if (!log_begin(&r, d->log, LOG_EV_NOTICE_FAILED))
			continue;
		log_cstr(&r, LOG_F_ID, id.s);
		log_str(&r, LOG_F_TO, n->env->rcpt[o->rcpt].address);
		if (n->env->device.n)
			log_str(&r, LOG_F_DEVICE, n->env->device);
		log_str(&r, LOG_F_DSN, o->enhanced);
		log_str(&r, LOG_F_TEXT, o->text);
		log_end(&r);
	}
}

static enum mail_dsn_action action_of(enum queue_notice_kind kind)
{
	return kind == QUEUE_NOTICE_DELAYED   ? MAIL_DSN_DELAYED
	       : kind == QUEUE_NOTICE_RELAYED ? MAIL_DSN_RELAYED
					      : MAIL_DSN_FAILED;
}

static struct mail_dsn_rcpt *rcpts_of(struct notice_work *w)
{
	const struct queue_notice *n = w->notice;
	struct mail_dsn_rcpt *rcpts = arena_array(w->mem, struct mail_dsn_rcpt, n->n);

	for (uint32_t i = 0; rcpts && i < n->n; i++) {
		const struct queue_outcome *o = &n->outcomes[i];
		const struct envelope_rcpt *to = &n->env->rcpt[o->rcpt];
		struct smtp_orcpt orcpt = { { NULL, 0 }, { NULL, 0 } };
		if (to->orcpt.n &&
		    smtp_orcpt_decode(w->mem, to->orcpt, n->env->flags & ENVELOPE_SMTPUTF8, &orcpt) < 0)
			orcpt = (struct smtp_orcpt){ { NULL, 0 }, { NULL, 0 } };
		rcpts[i] = (struct mail_dsn_rcpt){
			.address = to->address,
			.orcpt_type = orcpt.type,
			.orcpt = orcpt.addr,
			.action = action_of(n->kind),
			.status = o->enhanced,
			.remote = o->remote,
			.diagnostic = o->code ? arena_printf(w->mem, "%d %.*s", o->code, SPAN_ARG(o->text))
					      : o->text,
			.attempt_s = loop_wall_us(w->d->loop) / 1000000,
			.retry_until_s = n->retry_until_us / 1000000
		};
	}
	return rcpts;
}

static int write_report(struct notice_work *w, struct mail_dsn_result *result_r)
{
	struct delivery *d = w->d;
	const struct queue_notice *n = w->notice;
	const struct envelope *env = n->env;
	struct span envid = { NULL, 0 };
	/* RET=HDRS, a delay, a success, and what is not in memory: the header section only (RFC 3461 section 4.3); and of
	 * what may not travel unprotected, whatever RET says (RFC 8689 section 5). */
	const bool full = n->kind == QUEUE_NOTICE_FAILED && !n->image->file_bytes &&
			  !(env->flags & (ENVELOPE_RET_HDRS | ENVELOPE_REQUIRETLS));

	if (env->envid.n)
		smtp_xtext_decode(w->mem, env->envid, &envid);
	const struct mail_dsn dsn = { .host = d->cfg.hostname,
				      .from = d->cfg.notice_from,
				      .sender = env->sender,
				      .unique = arena_dup(w->mem, span_of(id_random().s)),
				      .now_s = loop_wall_us(d->loop) / 1000000,
				      .zone_min = d->cfg.zone_min,
				      .envid = envid,
				      .queue_id = arena_dup(w->mem, span_of(id_from_u64(n->id).s)),
				      .arrival_s = env->arrived_at_us / 1000000,
				      .helo = env->helo,
				      .ip = arena_dup(w->mem, span_of(ip_format(&env->client).s)),
				      .help_text = d->cfg.help_text,
				      .help_url = d->cfg.help_url,
				      .full = full,
				      .original_8bit = env->flags & ENVELOPE_HAS_8BIT,
				      .original_utf8 = env->flags & ENVELOPE_SMTPUTF8,
				      .original_head = n->image->head,
				      .width = env->flags & ENVELOPE_SMTPUTF8 ? MAIL_DSN_UTF8 : MAIL_DSN_8BIT,
				      .rcpts = rcpts_of(w),
				      .rcpt_count = n->n };
	return dsn.rcpts ? mail_dsn_write(&dsn, &w->prefix, &w->suffix, result_r) : -ERR_TOOBIG;
}

/* The report's own envelope: to the sender, from nobody, and never answered (RFC 3461 section 6.1). */
static bool fill_envelope(struct notice_work *w, enum mail_dsn_width needs)
{
	const struct queue_notice *n = w->notice;
	const ptrdiff_t at = span_rfind_char(n->env->sender, '@');
	struct envelope_rcpt *to = arena_new_of(w->mem, struct envelope_rcpt);

	if (!to || at < 0)
		return false;
	*to = (struct envelope_rcpt){ .address = n->env->sender,
				      .domain = span_skip(n->env->sender, (size_t)at + 1),
				      .notify = NOTIFY_NEVER };
	w->env = (struct envelope){ .flags = ENVELOPE_BOUNCE,
				    .arrived_at_us = loop_wall_us(w->d->loop),
				    .device = n->env->device,
				    .session = n->env->session,
				    .listener = n->env->listener,
				    .protocol = SPAN("notice"),
				    .rcpt = to,
				    .nrcpt = 1 };
	w->env.flags |= n->env->flags & ENVELOPE_REQUIRETLS; /* RFC 8689 section 5 */
	if (needs != MAIL_DSN_7BIT)
		w->env.flags |= ENVELOPE_8BITMIME | ENVELOPE_HAS_8BIT;
	if (needs == MAIL_DSN_UTF8)
		w->env.flags |= ENVELOPE_SMTPUTF8;
	return true;
}

static int put(struct spool_write *sw, struct span s)
{
	const int err = s.n ? spool_write_body(sw, s) : 0;

	return err == -ERR_AGAIN ? 0 : err; /* a report is small: a slow disk may have it wait */
}

static int keep(struct notice_work *w, bool full)
{
	const struct spool_image *original = w->notice->image;
	struct buf meta = BUF_INIT(ENVELOPE_OCTETS_MAX);
	const struct span report = buf_span(&w->prefix);
	struct mail_head_scan scan = MAIL_HEAD_SCAN_INIT;
	struct spool_write *sw = NULL;

	mail_head_scan_feed(&scan, report);
	const size_t head = (size_t)scan.line_octets;
	int err = envelope_encode(&w->env, &meta) ? spool_write_begin(w->d->spool, 0, &sw) : -ERR_TOOBIG;
	if (err == 0)
		err = put(sw, span_skip(report, head));
	if (err == 0 && full)
		err = put(sw, original->head);
	if (err == 0 && full)
		err = put(sw, original->body);
	if (err == 0)
		err = put(sw, buf_span(&w->suffix));
	if (err == 0) {
		op_init(&w->commit.op, on_commit);
		err = spool_commit_start(&w->commit, &w->d->notices, &sw, buf_span(&meta),
					 span_first(report, head));
	}
	if (err < 0 && sw)
		spool_write_abort(&sw);
	buf_free(&meta);
	return err;
}

static void log_queued(struct notice_work *w)
{
	const struct queue_notice *n = w->notice;
	const enum log_event ev = n->kind == QUEUE_NOTICE_DELAYED   ? LOG_EV_DELAY_NOTICE_QUEUED
				  : n->kind == QUEUE_NOTICE_RELAYED ? LOG_EV_SUCCESS_NOTICE_QUEUED
								    : LOG_EV_BOUNCE_QUEUED;
	struct log_rec r;

	metric_add_label(w->d->metrics, METRIC_BOUNCES_TOTAL, span_of(queue_notice_name(n->kind)), 1);
	if (!log_begin(&r, w->d->log, ev))
		return;
	log_cstr(&r, LOG_F_ID, id_from_u64(n->id).s);
	log_cstr(&r, LOG_F_NOTICE_ID, id_from_u64(w->commit.id).s);
	log_str(&r, LOG_F_FROM, n->env->sender);
	log_int(&r, LOG_F_NRCPT, n->n);
	log_end(&r);
}

static void on_commit(struct op *op)
{
	struct notice_work *w = container_of(op, struct notice_work, commit.op);
	struct delivery *d = w->d;

	if (op->status >= 0) {
		const uint64_t size = w->commit.image ? w->commit.image->head.n + w->commit.image->body.n
						      : w->prefix.n + w->suffix.n;
		log_queued(w);
		queue_add(d->queue, w->commit.id, &w->env, w->commit.image, size);
	}
	queue_notice_done(d->queue, w->notice, op->status < 0 ? op->status : 0);
	notice_free(w);
}

void notice_make(struct delivery *d, struct queue_notice *notice)
{
	struct mail_dsn_result result;

	if (notice->kind == QUEUE_NOTICE_NOBODY || !notice->env->sender.n) {
		log_nobody(d, notice);
		queue_notice_done(d->queue, notice, 0);
		return;
	}
	struct notice_work *w = mem_alloc(sizeof *w);
	w->d = d;
	w->notice = notice;
	w->mem = arena_new(NOTICE_MEM_MAX);
	buf_init(&w->prefix, NOTICE_OCTETS_MAX);
	buf_init(&w->suffix, 4096);
	int err = write_report(w, &result);
	if (err == -ERR_INVAL || (err == 0 && !fill_envelope(w, result.needs))) {
		log_nobody(d, notice); /* the sender is no address that a report could go to */
		queue_notice_done(d->queue, notice, 0);
		notice_free(w);
		return;
	}
	if (err == 0)
		err = keep(w, result.full);
	if (err < 0) {
		queue_notice_done(d->queue, notice, err);
		notice_free(w);
	}
}
