/* Happy path of a check:
 *
 *   1. connect to the socket; a queue that is full is tried again every RETRY_US
 *   2. send the request, wait for room if need be
 *   3. read until the reply is whole, hang up, complete
 *
 * Whatever fails, also a reply that makes no sense: TEMPFAIL with the reason, and the socket is closed. Cancelled or late:
 * likewise.
 */
#include "auth/auth_saslauthd.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "auth/auth_saslauthd_wire.h"
#include "base/check.h"
#include "base/mem.h"
#include "io/poll.h"

#define TIMEOUT_US INT64_C(5000000)
#define RETRY_US   INT64_C(50000)

enum { CONCURRENT_MAX = 64 };

struct saslauthd {
	struct auth_backend backend;
	struct sockaddr_un at;
	char service[SASLAUTHD_FIELD_MAX + 1], realm[AUTH_REALM_MAX];
	unsigned concurrent_max;
	_Atomic unsigned pending; /* over all loops */
	int64_t timeout_us;
};

/* One check under way. */
struct talk {
	struct saslauthd *s;
	struct auth_check *c;
	struct loop *loop;
	int fd;
	struct poll *poll;
	struct timer retry;
	struct buf out;
	size_t sent;
	struct auth_identity who;
	size_t in_n;
	char in[2 + SASLAUTHD_REPLY_MAX];
};

static struct saslauthd *saslauthd_of(struct auth_backend *b)
{
	return container_of(b, struct saslauthd, backend);
}

/* ---- the end ------------------------------------------------------------------------------------------- */

static void talk_free(struct talk *t)
{
	timer_unset(t->loop, &t->retry);
	poll_free(&t->poll);
	if (t->fd >= 0)
		close(t->fd);
	buf_wipe(&t->out);
	atomic_fetch_sub_explicit(&t->s->pending, 1, memory_order_relaxed);
	free(t);
}

static void talk_end(struct talk *t, enum auth_answer answer)
{
	struct auth_check *c = t->c;

	c->answer = answer;
	if (answer == AUTH_ANSWER_RIGHT)
		c->identity = t->who;
	c->impl = NULL;
	talk_free(t);
	op_complete(&c->op, 0);
}

static void talk_failed(struct talk *t, const char *what, int errno_value)
{
	struct auth_check *c = t->c;

	snprintf(c->why, sizeof c->why, "saslauthd at %.110s: %s%s%s", t->s->at.sun_path, what,
		 errno_value ? ": " : "", errno_value ? strerror(errno_value) : "");
	talk_end(t, AUTH_ANSWER_TEMPFAIL);
}

static void check_cancel(struct op *op)
{
	struct auth_check *c = container_of(op, struct auth_check, op);
	struct talk *t = c->impl;

	c->impl = NULL;
	c->answer = AUTH_ANSWER_TEMPFAIL;
	if (t) {
		snprintf(c->why, sizeof c->why, "saslauthd at %.110s: no answer in time", t->s->at.sun_path);
		talk_free(t);
	}
	op_complete(op, -ERR_CANCELED);
}

/* ---- the dialogue -------------------------------------------------------------------------------------- */

/* Peer's words for the log: printable, cut. */
static void note_reason(struct auth_check *c, struct span text)
{
	size_t n = 0;

	for (; n < text.n && n < sizeof c->why - 1; n++)
		c->why[n] = text.p[n] >= ' ' && text.p[n] < 127 ? text.p[n] : '?';
	c->why[n] = 0;
}

/* False: it is over, and @t is gone. */
static bool talk_read(struct talk *t)
{
	for (;;) {
		const ssize_t n = recv(t->fd, t->in + t->in_n, sizeof t->in - t->in_n, MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return true;
		if (n <= 0) {
			talk_failed(t, n < 0 ? "reading" : "it hung up without an answer", n < 0 ? errno : 0);
			return false;
		}
		t->in_n += (size_t)n;
		enum auth_answer answer;
		struct span text;
		const int used = saslauthd_reply(span_make(t->in, t->in_n), &answer, &text);
		if (used == -ERR_AGAIN)
			continue;
		if (used < 0) {
			talk_failed(t, "it does not speak as saslauthd does", 0);
		} else {
			note_reason(t->c, text);
			talk_end(t, answer);
		}
		return false;
	}
}

static bool talk_write(struct talk *t)
{
	while (t->sent < t->out.n) {
		const ssize_t n =
			send(t->fd, t->out.p + t->sent, t->out.n - t->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return true;
		if (n < 0) {
			talk_failed(t, "writing", errno);
			return false;
		}
		t->sent += (size_t)n;
	}
	return true;
}

static void on_ready(void *arg, int fd, bool readable, bool writable)
{
	struct talk *t = arg;

	(void)fd;
	if (writable && !talk_write(t))
		return;
	if (readable && !talk_read(t))
		return;
	poll_set(t->poll, true, t->sent < t->out.n);
}

static void talk_connect(struct talk *t)
{
	t->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (t->fd < 0) {
		talk_failed(t, "socket", errno);
		return;
	}
	if (connect(t->fd, (const struct sockaddr *)&t->s->at, sizeof t->s->at) == 0) {
		t->poll = poll_new(t->loop, t->fd, on_ready, t);
		if (t->poll)
			poll_set(t->poll, true, true);
		else
			talk_failed(t, "poll", 0);
	} else if (errno == EAGAIN) {
		close(t->fd);
		t->fd = -1;
		timer_set_in(t->loop, &t->retry, RETRY_US); /* its queue is full */
	} else {
		talk_failed(t, "connecting", errno);
	}
}

static void on_retry(struct timer *timer)
{
	talk_connect(container_of(timer, struct talk, retry));
}

/* ---- the backend --------------------------------------------------------------------------------------- */

/* Who is meant, and what of it goes as login and realm. False: too long to be anybody. */
static bool identify(const struct saslauthd *s, struct span user, struct auth_identity *who_r,
		     struct span *login_r, struct span *realm_r)
{
	const ptrdiff_t at = span_rfind_char(user, '@');

	*login_r = at < 0 ? user : span_first(user, (size_t)at);
	*realm_r = at < 0 ? span_of(s->realm) : span_skip(user, (size_t)at + 1);
	if (login_r->n == 0 || realm_r->n >= sizeof who_r->realm)
		return false;
	const int n = snprintf(who_r->user, sizeof who_r->user, "%.*s%s%.*s", SPAN_ARG(*login_r),
			       realm_r->n ? "@" : "", SPAN_ARG(*realm_r));
	snprintf(who_r->realm, sizeof who_r->realm, "%.*s", SPAN_ARG(*realm_r));
	return n > 0 && (size_t)n < sizeof who_r->user;
}

static bool pending_enter(struct saslauthd *s)
{
	if (atomic_fetch_add_explicit(&s->pending, 1, memory_order_relaxed) < s->concurrent_max)
		return true;
	atomic_fetch_sub_explicit(&s->pending, 1, memory_order_relaxed);
	return false;
}

static int saslauthd_check(struct auth_backend *b, struct auth_check *c, struct scope *scope)
{
	struct saslauthd *s = saslauthd_of(b);
	const struct span password = secret_span(c->password);
	struct span login, realm;

	if (scope->closing)
		return -ERR_CANCELED;
	if (!pending_enter(s))
		return -ERR_BUSY;
	const int err = op_begin(&c->op, scope, "saslauthd", s->timeout_us, check_cancel);
	if (err < 0) {
		atomic_fetch_sub_explicit(&s->pending, 1, memory_order_relaxed);
		return err;
	}
	struct talk *t = mem_alloc(sizeof *t);
	*t = (struct talk){
		.s = s, .c = c, .loop = scope->loop, .fd = -1, .out = BUF_INIT(SASLAUTHD_REQUEST_MAX)
	};
	timer_init(&t->retry, on_retry);
	c->impl = t;
	c->why[0] = 0;
	/* An empty password is an anonymous bind for LDAP, which succeeds. */
	if (!identify(s, c->user, &t->who, &login, &realm) || password.n == 0 ||
	    !buf_reserve(&t->out,
			 SASLAUTHD_REQUEST_MAX) || /* never moved: no copy of the password stays behind */
	    !saslauthd_request(&t->out, login, password, span_of(s->service), realm)) {
		snprintf(c->why, sizeof c->why,
			 "not asked: a name or password that saslauthd cannot be given");
		talk_end(t, AUTH_ANSWER_WRONG);
		return 0;
	}
	talk_connect(t);
	return 0;
}

static void saslauthd_free(struct auth_backend *b)
{
	struct saslauthd *s = saslauthd_of(b);

	verify(atomic_load_explicit(&s->pending, memory_order_relaxed) == 0);
	free(s);
}

static const struct auth_backend_ops saslauthd_ops = {
	.name = "saslauthd",
	.check = saslauthd_check,
	.free = saslauthd_free,
};

static bool copy(char *to, size_t size, struct span s)
{
	if (s.n >= size || span_find_char(s, 0) >= 0)
		return false;
	memcpy(to, s.p ? s.p : "", s.n);
	to[s.n] = 0;
	return true;
}

int auth_saslauthd_new(const struct auth_saslauthd_config *cfg, struct auth_backend **b_r, struct errtext *e)
{
	struct saslauthd *s = mem_alloc(sizeof *s);
	int err = 0;

	s->backend.ops = &saslauthd_ops;
	s->at.sun_family = AF_UNIX;
	s->concurrent_max = cfg->concurrent_max ? cfg->concurrent_max : CONCURRENT_MAX;
	s->timeout_us = cfg->timeout_us ? cfg->timeout_us : TIMEOUT_US;
	if (!copy(s->at.sun_path, sizeof s->at.sun_path,
		  cfg->socket.n ? cfg->socket : SPAN("/run/saslauthd/mux")))
		err = errtext_set(e, ERR_INVAL, "saslauthd: the path of a socket has at most %zu octets",
				  sizeof s->at.sun_path - 1);
	else if (!copy(s->service, sizeof s->service, cfg->service.n ? cfg->service : SPAN("smtp")))
		err = errtext_set(e, ERR_INVAL, "saslauthd: the service is too long");
	else if (!copy(s->realm, sizeof s->realm, cfg->realm) || span_find_char(cfg->realm, '@') >= 0)
		err = errtext_set(e, ERR_INVAL, "saslauthd: the realm is too long or has an \"@\"");
	if (err < 0)
		free(s);
	else
		*b_r = &s->backend;
	return err;
}
