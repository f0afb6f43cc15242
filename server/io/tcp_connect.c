/* Happy path: socket, bind to the source if there is one, connect() in the background; when the descriptor
 * becomes writable SO_ERROR tells how it went, and the descriptor becomes a stream. Whatever fails on the way
 * completes the op with its error. Cancelled or late: the descriptor is closed; what is left of the dial goes
 * with uv's close callback. */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/check.h"
#include "base/mem.h"
#include "io/loop_priv.h"
#include "io/tcp_priv.h"

/* Lives as long as uv knows its handle, which may be longer than the owner of the op. */
struct tcp_dial {
	uv_poll_t poll;
	int fd;
	struct tcp_connect *c;
	struct ip_endpoint to;
};

static void on_dial_closed(uv_handle_t *h)
{
	free(container_of((uv_poll_t *)h, struct tcp_dial, poll));
}

/* Returns the descriptor, which is the caller's now. */
static int dial_end(struct tcp_connect *c)
{
	struct tcp_dial *d = c->dial_;
	const int fd = d->fd;

	c->dial_ = NULL;
	uv_close((uv_handle_t *)&d->poll, on_dial_closed);
	return fd;
}

static void dial_cancel(struct op *op)
{
	struct tcp_connect *c = container_of(op, struct tcp_connect, op);

	close(dial_end(c));
	op_complete(op, -ERR_CANCELED);
}

static void on_dialled(uv_poll_t *h, int status, int events)
{
	struct tcp_dial *d = container_of(h, struct tcp_dial, poll);
	struct tcp_connect *c = d->c;
	const struct ip_endpoint to = d->to;
	int err = 0;
	socklen_t n = sizeof err;

	(void)status; /* SO_ERROR knows better */
	(void)events;
	const int fd = dial_end(c);
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &n) < 0)
		err = errno;
	if (err) {
		close(fd);
		op_complete(&c->op, -err_from_errno(err));
		return;
	}
	c->stream_r = tcp_stream_new(c->op.scope->loop, fd, &to);
	op_complete(&c->op, c->stream_r ? 0 : -ERR_IO);
}

/* Returns a descriptor that is connecting, or -ERR_x. */
static int dial(const struct ip_endpoint *to, const struct ip_addr *source)
{
	struct sockaddr_storage sa;
	const socklen_t sa_n = ip_to_sockaddr(to, &sa);
	const int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	const int on = 1;

	if (fd < 0)
		return -err_from_errno(errno);
	if (source && source->len) {
		struct sockaddr_storage from;
		const struct ip_endpoint at = { .addr = *source };
		const socklen_t from_n = ip_to_sockaddr(&at, &from);
		/* Leaves the port to connect(): else every connection takes one of the 28,000. */
		setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
		if (bind(fd, (struct sockaddr *)&from, from_n) < 0)
			goto failed;
	}
	if (connect(fd, (struct sockaddr *)&sa, sa_n) < 0 && errno != EINPROGRESS)
		goto failed;
	return fd;
failed:;
	const int err = err_from_errno(errno);
	close(fd);
	return -err;
}

void tcp_connect_init(struct tcp_connect *c, void (*done)(struct op *op))
{
	*c = (struct tcp_connect){ 0 };
	op_init(&c->op, done);
}

static void no_dial_cancel(struct op *op)
{
	op_complete(op, -ERR_CANCELED);
}

int tcp_connect_start(struct tcp_connect *c, struct scope *scope, const struct ip_endpoint *to,
		      const struct ip_addr *source, int64_t deadline_us)
{
	const int err = op_begin(&c->op, scope, "tcp connect", deadline_us, no_dial_cancel);

	if (err < 0)
		return err;
	c->stream_r = NULL;
	c->dial_ = NULL;
	const int fd = dial(to, source);
	if (fd < 0) {
		op_complete(&c->op, fd);
		return 0;
	}
	struct tcp_dial *d = mem_alloc(sizeof *d);
	d->fd = fd;
	d->c = c;
	d->to = *to;
	if (uv_poll_init(&scope->loop->uv, &d->poll, fd) < 0) {
		close(fd);
		free(d);
		op_complete(&c->op, -ERR_IO);
		return 0;
	}
	c->dial_ = d;
	c->op.cancel = dial_cancel;
	if (uv_poll_start(&d->poll, UV_WRITABLE, on_dialled) < 0) {
		close(dial_end(c));
		op_complete(&c->op, -ERR_IO);
	}
	return 0;
}
