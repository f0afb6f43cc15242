/* The outbound machine against a server that answers anything. A model beside it keeps the commands that were
 * sent and pairs them with the replies; a recipient is delivered if, and only if, MAIL, its RCPT and the
 * complete message were answered 2xx.
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
	} else
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
	const struct smtp_client_config cfg = { .name = SPAN("relay.example"),
						.window = octet(r) % 8,
						.chunk_octets = 1 + octet(r),
						.tls = octet(r) & 1,
						.helo_only = octet(r) == 7 };
	const uint32_t ext = octet(r) | octet(r) << 8 | octet(r) << 16;

	smtp_client_init(&r->c, &cfg);
	while (r->c.state < SMTP_CLIENT_IN_READY && ask(r) == SMTP_CLIENT_WAIT) {
		if (r->p == r->end)
			smtp_client_lost(&r->c, SMTP_ENHANCED(4, 4, 2), "connection lost");
		else
			reply(r, false);
	}
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
