#include "smtp/smtp_txn.h"

#include "base/utf8.h"

static const struct {
	const char *text;
	unsigned timeout_s;
} steps[SMTP_STEP_MAX_] = {
#define X(name, text, timeout_s) [SMTP_STEP_##name] = { text, timeout_s },
	SMTP_STEP_MAP(X)
#undef X
};

const char *smtp_step_text(enum smtp_step step)
{
	return steps[(unsigned)step < SMTP_STEP_MAX_ ? step : SMTP_STEP_NONE].text;
}

unsigned smtp_step_timeout_s(enum smtp_step step)
{
	return steps[(unsigned)step < SMTP_STEP_MAX_ ? step : SMTP_STEP_NONE].timeout_s;
}

/* ---- results
 * -------------------------------------------------------------------------------------------------- */

struct smtp_result smtp_result_of_reply(struct arena *mem, enum smtp_step step,
					const struct smtp_reply *reply)
{
	static const enum smtp_result_kind kinds[] = {
		[SMTP_REPLY_OK] = SMTP_RESULT_OK,
		[SMTP_REPLY_MORE] = SMTP_RESULT_TEMP, /* out of place wherever a result is made of it */
		[SMTP_REPLY_TEMP] = SMTP_RESULT_TEMP,
		[SMTP_REPLY_PERM] = SMTP_RESULT_PERM,
	};
	const enum smtp_reply_class class = smtp_reply_class(reply->code);
	struct smtp_result r = {
		.kind = kinds[class],
		.step = step,
		.code = reply->code,
		.enhanced = reply->enhanced,
		.text = arena_dup(mem, span_first(reply->text, SMTP_RESULT_TEXT_MAX)),
	};

	/* A peer without enhanced codes gets X.0.0 (RFC 3464 section 2.3.4); one that contradicts itself, the
	 * reply's class. */
	if (r.enhanced.class == 0)
		r.enhanced.subject = r.enhanced.detail = 0;
	r.enhanced.class = r.kind == SMTP_RESULT_TEMP ? 4 : (uint8_t) class;
	return r;
}

void smtp_txn_settle(struct smtp_txn *txn, enum smtp_result_kind kind, const struct smtp_result *result)
{
	for (unsigned i = 0; i < txn->nrcpt; i++) {
		struct smtp_txn_rcpt *const rcpt = &txn->rcpt[i];
		if (rcpt->result.kind != kind)
			continue;
		rcpt->result = *result;
		/* RFC 3461 section 5.2.2 (b) */
		rcpt->notice_is_ours = result->kind == SMTP_RESULT_OK && !txn->dsn &&
				       (rcpt->params.has & SMTP_RCPT_NOTIFY) &&
				       (rcpt->params.notify & SMTP_NOTIFY_SUCCESS);
	}
}

/* ---- the plan
 * ------------------------------------------------------------------------------------------------- */

static struct smtp_result refusal(struct smtp_enhanced enhanced, const char *why)
{
	return (struct smtp_result){ .kind = SMTP_RESULT_PERM, .enhanced = enhanced, .text = span_of(why) };
}

static unsigned refuse_all(struct smtp_txn *txn, struct smtp_enhanced enhanced, const char *why)
{
	const struct smtp_result r = refusal(enhanced, why);

	smtp_txn_settle(txn, SMTP_RESULT_PENDING, &r);
	for (unsigned i = 0; i < txn->nrcpt; i++)
		txn->rcpt[i].skip = true;
	return 0;
}

/* The addresses were parsed once; since then they have been on disk and in policies' hands. */
static bool is_writable(struct span address)
{
	for (size_t i = 0; i < address.n; i++)
		if ((unsigned char)address.p[i] < ' ' || address.p[i] == 0x7f)
			return false;
	return address.n <= SMTP_TXN_ADDRESS_MAX;
}

/* Each recipient for itself: what it needs, and can it be written. Returns whether one needs SMTPUTF8. */
static bool plan_rcpts(struct smtp_txn *txn, bool peer_utf8)
{
	bool utf8 = false;

	for (unsigned i = 0; i < txn->nrcpt; i++) {
		struct smtp_txn_rcpt *const rcpt = &txn->rcpt[i];
		*rcpt = (struct smtp_txn_rcpt){ .address = rcpt->address, .params = rcpt->params };
		if (rcpt->address.n == 0 || !is_writable(rcpt->address)) {
			rcpt->result = refusal(SMTP_ENHANCED(5, 1, 3), "recipient address cannot be sent");
			rcpt->skip = true;
		} else if (!ascii_only(rcpt->address)) {
			utf8 = true;
			if (peer_utf8)
				continue;
			rcpt->result = refusal(
				SMTP_ENHANCED(5, 6, 7),
				"recipient address needs SMTPUTF8, which the next server does not offer");
			rcpt->skip = true;
		}
	}
	return utf8 && peer_utf8;
}

static bool wants_dsn(const struct smtp_txn *txn)
{
	bool wants = txn->params.has & (SMTP_MAIL_RET | SMTP_MAIL_ENVID);

	for (unsigned i = 0; i < txn->nrcpt; i++)
		wants |= txn->rcpt[i].params.has != 0;
	return wants;
}

/* What the content is, and what the peer takes. Returns NULL, or why it cannot be sent. */
static const char *plan_body(struct smtp_txn *txn, uint32_t ext)
{
	const bool declared = txn->params.has & SMTP_MAIL_BODY;
	const bool has_8bit = txn->needs & (SMTP_TXN_HAS_8BIT | SMTP_TXN_HAS_UTF8);

	txn->bdat = (txn->needs & SMTP_TXN_USE_BDAT) && (ext & SMTP_EXT_CHUNKING);
	if (declared && txn->params.body == SMTP_BODY_BINARYMIME) {
		if (!(ext & SMTP_EXT_BINARYMIME) || !(ext & SMTP_EXT_CHUNKING))
			return "binary content, which the next server does not take";
		txn->bdat = true;
		txn->send.body = SMTP_BODY_BINARYMIME;
		txn->send.has |= SMTP_MAIL_BODY;
	} else if (has_8bit || txn->utf8 || (declared && txn->params.body == SMTP_BODY_8BITMIME)) {
		if (ext & SMTP_EXT_8BITMIME) {
			txn->send.body = SMTP_BODY_8BITMIME;
			txn->send.has |= SMTP_MAIL_BODY;
		} else if (has_8bit) {
			/* Everybody takes it; converting it would break signatures. */
			txn->notes |= SMTP_TXN_8BIT_UNDECLARED;
		}
	}
	return NULL;
}

/* RFC 2852: a message to be returned when it is late must not go where nobody watches the time. */
static bool plan_by(struct smtp_txn *txn, uint32_t ext)
{
	const struct smtp_by *const by = &txn->params.by;

	if (!(txn->params.has & SMTP_MAIL_BY))
		return true;
	if (by->is_return && by->seconds <= 0) {
		refuse_all(txn, SMTP_ENHANCED(5, 4, 7),
			   "the time that the sender allowed for delivery is over");
		return false;
	}
	if (ext & SMTP_EXT_DELIVERBY) {
		txn->send.by = *by;
		txn->send.has |= SMTP_MAIL_BY;
	} else if (by->is_return) {
		refuse_all(txn, SMTP_ENHANCED(5, 3, 3),
			   "delivery by a given time is not offered by the next server");
		return false;
	} else {
		txn->notes |= SMTP_TXN_BY_LOST;
	}
	return true;
}

/* RFC 8689 section 4.2.1 */
static bool plan_requiretls(struct smtp_txn *txn, uint32_t ext, bool secure)
{
	if (!(txn->params.has & SMTP_MAIL_REQUIRETLS))
		return true;
	/* What is offered in the clear, or by a stranger, anybody may have written. */
	if (secure && (ext & SMTP_EXT_REQUIRETLS)) {
		txn->send.has |= SMTP_MAIL_REQUIRETLS;
		return true;
	}
	if (txn->sender.n && !secure) {
		refuse_all(
			txn, SMTP_ENHANCED(5, 7, 10),
			"encryption needed: no TLS connection to a server that could be verified (REQUIRETLS)");
		return false;
	}
	if (txn->sender.n) {
		refuse_all(txn, SMTP_ENHANCED(5, 7, 30), "REQUIRETLS is not offered by the next server");
		return false;
	}
	txn->notes |= SMTP_TXN_REQUIRETLS_LOST;
	return true;
}

static bool plan_utf8(struct smtp_txn *txn, uint32_t ext, bool rcpt_utf8)
{
	const bool sender_utf8 = !ascii_only(txn->sender), head_utf8 = txn->needs & SMTP_TXN_HAS_UTF8;

	if ((sender_utf8 || head_utf8) && !(ext & SMTP_EXT_SMTPUTF8)) {
		if (sender_utf8)
			refuse_all(txn, SMTP_ENHANCED(5, 6, 7),
				   "sender address needs SMTPUTF8, which the next server does not offer");
		else
			refuse_all(txn, SMTP_ENHANCED(5, 6, 9),
				   "header fields need SMTPUTF8, which the next server does not offer");
		return false;
	}
	/* RFC 6531 section 3.4: not if nothing needs it. */
	txn->utf8 = sender_utf8 || head_utf8 || rcpt_utf8;
	if (txn->utf8)
		txn->send.has |= SMTP_MAIL_SMTPUTF8;
	return true;
}

static void plan_dsn(struct smtp_txn *txn, uint32_t ext)
{
	txn->dsn = ext & SMTP_EXT_DSN;
	if (!txn->dsn) {
		if (wants_dsn(txn))
			txn->notes |= SMTP_TXN_DSN_LOST;
		return;
	}
	/* RFC 3461 section 5.2.1: exactly what came, nothing added. */
	txn->send.has |= txn->params.has & (SMTP_MAIL_RET | SMTP_MAIL_ENVID);
	txn->send.ret = txn->params.ret;
	txn->send.envid = txn->params.envid;
}

unsigned smtp_txn_plan(struct smtp_txn *txn, const struct smtp_ehlo *peer, bool secure)
{
	const uint32_t ext = peer->ext;
	unsigned left = 0;

	txn->send = (struct smtp_mail_params){ 0 };
	txn->notes = 0;
	txn->progress = SMTP_TXN_UNTRIED;
	txn->utf8 = txn->dsn = txn->bdat = false;
	const bool rcpt_utf8 = plan_rcpts(txn, ext & SMTP_EXT_SMTPUTF8);

	if (!is_writable(txn->sender))
		return refuse_all(txn, SMTP_ENHANCED(5, 1, 7), "sender address cannot be sent");
	if (peer->size_octets_max && txn->octets > peer->size_octets_max)
		return refuse_all(txn, SMTP_ENHANCED(5, 3, 4),
				  "message is larger than the next server takes");
	if (!plan_utf8(txn, ext, rcpt_utf8) || !plan_requiretls(txn, ext, secure) || !plan_by(txn, ext))
		return 0;
	const char *const why = plan_body(txn, ext);
	if (why)
		return refuse_all(txn, SMTP_ENHANCED(5, 6, 3), why);
	plan_dsn(txn, ext);
	if (ext & SMTP_EXT_SIZE) {
		txn->send.size_octets = txn->octets;
		txn->send.has |= SMTP_MAIL_SIZE;
	}
	for (unsigned i = 0; i < txn->nrcpt; i++)
		left += !txn->rcpt[i].skip;
	return left;
}

/* ---- commands
 * ------------------------------------------------------------------------------------------------- */

/* Parameters that cannot be written are left out rather than the message lost: they were valid when they
 * came. */
bool smtp_txn_format_mail(const struct smtp_txn *txn, struct buf *out)
{
	const size_t before = out->n;
	bool ok = buf_add_str(out, "MAIL FROM:<") && buf_add_span(out, txn->sender) && buf_add_char(out, '>');

	if (ok)
		(void)smtp_mail_params_format(&txn->send, out);
	ok = ok && buf_add(out, "\r\n", 2);
	if (!ok)
		out->n = before;
	return ok;
}

bool smtp_txn_format_rcpt(const struct smtp_txn *txn, unsigned i, struct buf *out)
{
	const struct smtp_txn_rcpt *const rcpt = &txn->rcpt[i];
	const size_t before = out->n;
	bool ok = buf_add_str(out, "RCPT TO:<") && buf_add_span(out, rcpt->address) && buf_add_char(out, '>');

	if (ok && txn->dsn)
		(void)smtp_rcpt_params_format(&rcpt->params, !txn->utf8, out);
	ok = ok && buf_add(out, "\r\n", 2);
	if (!ok)
		out->n = before;
	return ok;
}
