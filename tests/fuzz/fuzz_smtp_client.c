/* The outbound machine against a server that answers anything. A model beside it keeps the commands that were
 * sent and pairs them with the replies; a recipient is delivered if, and only if, MAIL, its RCPT and the
 * complete message were answered 2xx. No transaction begins without the TLS and the login that were required,
 * and no login without the TLS.
 *
 * The first octets choose what the peer offers and the message; each further one is an event: a reply, the
 * body written, or the connection lost. */
#include <stdint.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/err.h"
#include "smtp/smtp_client.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RCPT_MAX = 6, QUEUE_MAX = 640 };

struct sent {
	enum smtp_step step;
	unsigned rcpt;
};

struct model {
	struct sent queue[QUEUE_MAX];
	unsigned head, tail;
	bool rset, mail_ok, rcpt_ok[RCPT_MAX], go, content, message_ok, last_chunk_sent, failed, lost;
	unsigned rcpts_ok, next_rcpt;
};

struct run {
	struct smtp_client c;
	struct smtp_txn txn;
	struct smtp_txn_rcpt rcpt[RCPT_MAX];
	struct arena *mem;
	struct model m;
	bool dirty; /* the server may still have a transaction open */
	bool tls, auth_sent, auth_ok;
	const uint8_t *p, *end;
};

static unsigned octet(struct run *r)
{
	return r->p < r->end ? *r->p++ : 0;
}

static void push(struct model *m, enum smtp_step step, unsigned rcpt)
{
	require(m->tail < QUEUE_MAX);
	m->queue[m->tail++] = (struct sent){ step, rcpt };
}

/* Reads the client's output as a server would. */
static void see_line(struct run *r, struct span line)
{
	struct model *m = &r->m;

	require(span_find_char(line, '\r') < 0);
	if (span_starts(line, SPAN("RSET"))) {
		m->rset = true;
		push(m, SMTP_STEP_RSET, 0);
	} else if (span_starts(line, SPAN("MAIL FROM:<"))) {
		require(m->rset || !r->dirty);
		r->dirty = true;
		push(m, SMTP_STEP_MAIL, 0);
	} else if (span_starts(line, SPAN("RCPT TO:<"))) {
		while (m->next_rcpt < r->txn.nrcpt && r->rcpt[m->next_rcpt].skip)
			m->next_rcpt++;
		require(m->next_rcpt < r->txn.nrcpt);
		push(m, SMTP_STEP_RCPT, m->next_rcpt++);
	} else if (span_eq(line, SPAN("DATA")))
		push(m, SMTP_STEP_DATA, 0);
	else if (span_eq(line, SPAN("."))) {
		require(m->go && (!m->mail_ok || m->rcpts_ok == 0));
		m->go = false;
		push(m, SMTP_STEP_END, 0);
	} else if (span_starts(line, SPAN("BDAT "))) {
		require(!m->failed && !m->last_chunk_sent);
		m->last_chunk_sent = span_ends(line, SPAN(" LAST"));
		push(m, SMTP_STEP_BDAT, 0);
	} else if (span_eq(line, SPAN("STARTTLS")))
		require(!r->tls && r->c.cfg.starttls != SMTP_CLIENT_TLS_NEVER && r->c.tls_offered);
	else
		require(span_eq(line, SPAN("EHLO relay.example")) ||
			span_eq(line, SPAN("HELO relay.example")) || span_eq(line, SPAN("QUIT")));
}

static enum smtp_client_action ask(struct run *r)
{
	enum smtp_client_action act;
	unsigned rounds = 0;

	do {
		struct buf out = BUF_INIT(2 * SMTP_TXN_COMMAND_MAX);
		act = smtp_client_next(&r->c, &out);
		require(!out.overflow && ++rounds < 100);
		for (struct span rest = buf_span(&out); rest.n;) {
			struct span line = span_cut(&rest, '\n');
			require(span_ends(line, SPAN("\r")) && rest.p);
			line.n--;
			see_line(r, line);
		}
		buf_free(&out);
	} while (act == SMTP_CLIENT_MORE);
	/* asked again it says the same, and adds nothing */
	struct buf out = BUF_INIT(2 * SMTP_TXN_COMMAND_MAX);
	require(smtp_client_next(&r->c, &out) == act && out.n == 0);
	buf_free(&out);
	return act;
}

/* The model's half of a reply in a transaction. */
static void model_reply(struct model *m, unsigned code)
{
	const enum smtp_reply_class class = smtp_reply_class(code);
	const bool complete = !m->content;

	if (m->head == m->tail) {
		m->lost = true;
		return;
	}
	const struct sent s = m->queue[m->head++];
	const bool ok = class == SMTP_REPLY_OK;
	switch (s.step) {
	case SMTP_STEP_MAIL:
		m->mail_ok = ok;
		break;
	case SMTP_STEP_RCPT:
		m->rcpt_ok[s.rcpt] = m->mail_ok && ok;
		m->rcpts_ok += m->rcpt_ok[s.rcpt];
		break;
	case SMTP_STEP_DATA:
		m->go = class == SMTP_REPLY_MORE;
		break;
	case SMTP_STEP_BDAT:
		m->failed |= !ok;
		m->message_ok = ok && !m->failed && complete && m->last_chunk_sent && m->head == m->tail;
		break;
	case SMTP_STEP_END:
		m->message_ok = ok && complete;
		break;
	default:
		break;
	}
}

static void reply(struct run *r, bool in_txn)
{
	static const unsigned codes[] = { 250, 250, 250, 354, 220, 251, 421, 450,
					  452, 500, 503, 550, 552, 554, 334, 221 };
	static const char *const texts[] = { "", "ok", "5.3.4 too large", "5.5.3 many\n5.5.3 more",
					     "4.2.1 later" };
	const unsigned what = octet(r);
	const struct smtp_reply reply = { .code = codes[what % 16],
					  .text = span_of(texts[what / 16 % 5]),
					  .lines = 1 };

	if (in_txn && reply.code == 421)
		r->m.lost = true;
	else if (in_txn)
		model_reply(&r->m, reply.code);
	if (smtp_client_reply(&r->c, &reply) < 0) {
		r->m.lost = true;
		require(r->c.state == SMTP_CLIENT_IN_CLOSED);
	}
	require(r->c.state != SMTP_CLIENT_IN_CLOSED || r->c.failure.kind != SMTP_RESULT_PENDING || !in_txn);
}

/* ---- until READY ---- */

static void opening_reply(struct run *r)
{
	static const unsigned codes[] = { 220, 235, 334, 354, 220, 251, 421, 450,
					  454, 500, 503, 535, 502, 554, 334, 221 };
	static const char *const texts[] = { "mx.example", "mx.example\nSTARTTLS\nAUTH PLAIN LOGIN",
					     "mx.example\nSTARTTLS",
					     "mx.example\nAUTH X\nPIPELINING\nSIZE 9\nCHUNKING\nDSN",
					     "5.7.8 no" };
	const unsigned what = octet(r);
	const enum smtp_client_state state = r->c.state;
	const struct smtp_reply reply = { .code = what % 16 >= 3 ? codes[what % 16]
						  : state == SMTP_CLIENT_IN_GREETING ||
								  state == SMTP_CLIENT_IN_STARTTLS
							  ? 220
						  : state == SMTP_CLIENT_IN_AUTH ? 235 - what % 16
										 : 250,
					  .text = span_of(texts[what / 16 % 5]),
					  .lines = 1 };
	const bool login =
		state == SMTP_CLIENT_IN_AUTH && r->auth_sent && !r->c.aborted && reply.code / 100 == 2;
	const int rc = smtp_client_reply(&r->c, &reply);

	if (rc < 0)
		require(r->c.state == SMTP_CLIENT_IN_CLOSED && r->c.failure.kind != SMTP_RESULT_PENDING);
	if (rc > 0)
		require(r->c.state == SMTP_CLIENT_IN_HANDSHAKE ||
			(r->c.state == SMTP_CLIENT_IN_AUTH && r->c.auth_open));
	if (rc >= 0 && login && r->c.state == SMTP_CLIENT_IN_READY)
		r->auth_ok = true;
	r->auth_sent = false;
}

static void handshake(struct run *r)
{
	const unsigned what = octet(r);

	if (what & 1) {
		smtp_client_lost(&r->c, SMTP_ENHANCED(4, 7, 5), "no common cipher");
		require(r->c.state == SMTP_CLIENT_IN_CLOSED);
		return;
	}
	if (what & 2) { /* a driver that reads what it should not have */
		opening_reply(r);
		require(r->c.state == SMTP_CLIENT_IN_CLOSED);
		return;
	}
	smtp_client_tls_done(&r->c, what & 4);
	r->tls = true;
	require(r->c.peer.ext == 0 && !r->c.peer.auth[0]);
}

static void authenticate(struct run *r)
{
	static const char *const words[] = { "AA==", "", "A\r\nMAIL", NULL };
	struct buf out = BUF_INIT(SMTP_CLIENT_RESPONSE_MAX + 2);
	const unsigned what = octet(r);
	const struct span word = span_of(words[what >> 2 & 3]);

	require(r->tls || r->c.cfg.starttls != SMTP_CLIENT_TLS_REQUIRED);
	require(r->c.peer.ext & SMTP_EXT_AUTH);
	if ((what & 3) == 3 || r->p == r->end)
		smtp_client_auth_abort(&r->c, SMTP_ENHANCED(4, 7, 0), "no token", &out);
	else if ((what & 3) == 2)
		opening_reply(r); /* unasked */
	else
		r->auth_sent = r->c.auth_open ? smtp_client_auth_next(&r->c, word, &out)
					      : smtp_client_auth_send(&r->c, SPAN("PLAIN"), word, &out);
	for (size_t i = 0; i + 2 < out.n; i++)
		require(out.p[i] != '\r' && out.p[i] != '\n');
	buf_free(&out);
}

static void opening(struct run *r)
{
	while (r->c.state < SMTP_CLIENT_IN_READY) {
		const enum smtp_client_action act = ask(r);
		if (act == SMTP_CLIENT_STARTTLS)
			handshake(r);
		else if (act == SMTP_CLIENT_AUTH)
			authenticate(r);
		else if (r->p == r->end)
			smtp_client_lost(&r->c, SMTP_ENHANCED(4, 4, 2), "connection lost");
		else
			opening_reply(r);
	}
	if (r->c.state != SMTP_CLIENT_IN_READY)
		return;
	require(r->tls || r->c.cfg.starttls != SMTP_CLIENT_TLS_REQUIRED);
	require(r->auth_ok || !r->c.cfg.auth);
	require(r->c.tls == r->tls);
}

static void check_results(struct run *r)
{
	struct model *m = &r->m;

	for (unsigned i = 0; i < r->txn.nrcpt; i++) {
		const struct smtp_result *res = &r->rcpt[i].result;
		require(res->kind >= SMTP_RESULT_OK && res->kind <= SMTP_RESULT_PERM);
		require(res->enhanced.class == (res->kind == SMTP_RESULT_OK     ? 2
						: res->kind == SMTP_RESULT_TEMP ? 4
										: 5));
		require(res->text.n <= SMTP_RESULT_TEXT_MAX);
		const bool delivered = !r->rcpt[i].skip && m->mail_ok && m->rcpt_ok[i] && m->message_ok;
		require((res->kind == SMTP_RESULT_OK) == delivered);
		require(!r->rcpt[i].notice_is_ours || delivered);
	}
}

static void transaction(struct run *r)
{
	static const char *const addresses[] = { "a@b.example", "\"x y\"@c", "\xc3\xbc@d", "",
						 "r\r\nQUIT@e", "root" };
	const unsigned what = octet(r), size = octet(r);
	enum smtp_client_action act;

	r->m = (struct model){ 0 };
	r->txn = (struct smtp_txn){ .mem = r->mem,
				    .sender = span_of(what & 1 ? "s@d" : ""),
				    .octets = size * 2u,
				    .needs = what >> 1 & 15,
				    .rcpt = r->rcpt,
				    .nrcpt = what >> 5 };
	r->txn.nrcpt = r->txn.nrcpt > RCPT_MAX ? RCPT_MAX : r->txn.nrcpt;
	for (unsigned i = 0; i < r->txn.nrcpt; i++) {
		const unsigned rcpt = octet(r);
		r->rcpt[i] =
			(struct smtp_txn_rcpt){ .address = span_of(addresses[rcpt % 6]),
						.params = { .has = rcpt >> 3 & 1, .notify = rcpt >> 4 & 7 } };
	}
	smtp_client_begin(&r->c, &r->txn);
	while ((act = ask(r)) != SMTP_CLIENT_DONE) {
		const bool content = act == SMTP_CLIENT_BODY_DATA || act == SMTP_CLIENT_BODY_CHUNK;
		require(content || act == SMTP_CLIENT_WAIT);
		require(smtp_client_take(&r->c) == NULL);
		if (act == SMTP_CLIENT_BODY_DATA && !r->m.content)
			require(r->m.go && r->m.mail_ok && r->m.rcpts_ok > 0 && r->m.head == r->m.tail);
		if (act == SMTP_CLIENT_BODY_CHUNK)
			require(r->c.chunk_at + r->c.chunk_octets <= r->txn.octets);
		r->m.content = content;
		if (r->p == r->end || (*r->p & 0x80 && !content)) {
			smtp_client_lost(&r->c, SMTP_ENHANCED(4, 4, 2), "connection lost");
			r->m.lost = true;
			octet(r);
		} else if (content && !(*r->p & 0x80)) {
			octet(r);
			smtp_client_body_done(&r->c);
			r->m.content = false;
			if (act == SMTP_CLIENT_BODY_DATA) {
				r->m.go = false;
				push(&r->m, SMTP_STEP_END, 0);
			}
		} else {
			/* a server that answers while the message is on its way */
			const bool early =
				content && r->m.head + (act == SMTP_CLIENT_BODY_CHUNK) == r->m.tail;
			reply(r, true);
			require(!early || r->c.state == SMTP_CLIENT_IN_CLOSED);
		}
	}
	check_results(r);
	if (r->m.message_ok)
		r->dirty = false;
	require(smtp_client_take(&r->c) == &r->txn);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 8 || size > 2000)
		return 0;
	struct run *const r = calloc(1, sizeof *r);
	r->p = data;
	r->end = data + size;
	r->mem = arena_new(1 << 16);
	struct smtp_client_config cfg = { .name = SPAN("relay.example"),
					  .window = octet(r) % 8,
					  .chunk_octets = 1 + octet(r) };
	const unsigned flags = octet(r);

	cfg.tls = flags & 1;
	cfg.secure = flags & 2;
	cfg.auth = flags & 4;
	cfg.starttls = (enum smtp_client_tls)((flags >> 3) % 3);
	cfg.helo_only = octet(r) == 7;
	const uint32_t ext = octet(r) | octet(r) << 8 | octet(r) << 16;

	r->tls = cfg.tls;
	smtp_client_init(&r->c, &cfg);
	opening(r);
	r->c.peer.ext |= ext & ((1u << SMTP_EXT_COUNT_) - 1);
	for (unsigned n = 0; n < 4 && r->c.state == SMTP_CLIENT_IN_READY && r->p < r->end; n++)
		transaction(r);
	if (r->c.state == SMTP_CLIENT_IN_READY)
		smtp_client_quit(&r->c);
	for (unsigned n = 0; ask(r) != SMTP_CLIENT_CLOSE; n++) {
		require(n < 3);
		reply(r, false);
	}
	arena_free(&r->mem);
	free(r);
	return 0;
}
