/* tcp_bed.h - for the tests of TCP: a stream of ours whose peer is a plain socket of the test's. */
#pragma once

#include <errno.h>
#include <malloc.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/ip.h"
#include "io/tcp.h"
#include "test.h"

struct bed {
	struct loop *loop;
	struct listener *listener;
	struct ip_endpoint at;
	struct stream *s;
	int peer_fd;
	struct buf got; /* what our stream consumed */
	unsigned readable, writable, deadline, closed;
	int err; /* as `closed` said */
	/* what the callbacks do */
	bool leave;         /* consumes nothing */
	bool echo, ask;     /* ask: want_input(true) at the end of `readable` */
	size_t consume_max; /* 0: all */
	enum { NEVER, ON_READABLE, ON_WRITABLE, ON_DEADLINE } close_when;
	bool close_gracefully;
	unsigned released;
};

static inline void bed_close_if(struct bed *b, struct stream *s, int when)
{
	if ((int)b->close_when == when)
		stream_close(s, b->close_gracefully);
}

static inline void bed_readable(struct stream *s, void *owner)
{
	struct bed *b = owner;
	struct span in = stream_input(s);

	b->readable++;
	if (b->echo && in.n)
		CHECK_INT(0, stream_write(s, in));
	if (b->consume_max)
		in = span_first(in, b->consume_max);
	if (!b->leave) {
		buf_add_span(&b->got, in);
		stream_consume(s, in.n);
	}
	if (b->ask)
		stream_want_input(s, true);
	bed_close_if(b, s, ON_READABLE);
	/* The octets are still there, whatever was done to the stream meanwhile. */
	if (in.n)
		CHECK(!b->got.n || b->leave || b->got.p[b->got.n - 1] == in.p[in.n - 1]);
}

static inline void bed_writable(struct stream *s, void *owner)
{
	struct bed *b = owner;

	b->writable++;
	CHECK(stream_pending(s) <= STREAM_OUT_LOW);
	bed_close_if(b, s, ON_WRITABLE);
}

static inline void bed_deadline(struct stream *s, void *owner)
{
	struct bed *b = owner;

	b->deadline++;
	bed_close_if(b, s, ON_DEADLINE);
}

static inline void bed_closed(struct stream *s, void *owner, int err)
{
	struct bed *b = owner;

	b->closed++;
	b->err = err;
	b->s = NULL;
	stream_free(s);
}

static const struct stream_events bed_events = { bed_readable, bed_writable, bed_deadline, bed_closed };

static inline void bed_accepted(void *arg, struct stream *s)
{
	struct bed *b = arg;

	b->s = s;
	stream_set_owner(s, &bed_events, b);
}

/* Turns until @cond holds, at most about two seconds. */
#define UNTIL(loop, cond)                                                                                    \
	for (unsigned left_ = 4000; !(cond) && left_ > 0; left_--) {                                         \
		loop_run_once((loop), false);                                                                \
		if (!(cond))                                                                                 \
			usleep(500);                                                                         \
	}

static inline void spin(struct loop *l, unsigned turns)
{
	for (; turns > 0; turns--) {
		loop_run_once(l, false);
		usleep(500);
	}
}

static inline int bed_listen(const char *addr, uint16_t port, struct ip_endpoint *bound_r)
{
	struct ip_endpoint at = { .port = port };
	struct errtext e = { "" };

	NEED(ip_parse(span_of(addr), &at.addr));
	const int fd = tcp_listen_fd(&at, 128, bound_r, &e);
	CHECK_STR("", e.s);
	NEED(fd >= 0);
	return fd;
}

static inline int peer_connect(const struct ip_endpoint *to)
{
	struct sockaddr_storage sa;
	const socklen_t n = ip_to_sockaddr(to, &sa);
	const int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && connect(fd, (struct sockaddr *)&sa, n) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static inline void bed_open(struct bed *b)
{
	*b = (struct bed){ .got = BUF_INIT(16 * 1024 * 1024), .err = 1 };
	b->loop = loop_new();
	b->listener = listener_new(b->loop, bed_listen("127.0.0.1", 0, &b->at), bed_accepted, b);
	b->peer_fd = peer_connect(&b->at);
	NEED(b->peer_fd >= 0);
	UNTIL(b->loop, b->s);
	NEED(b->s != NULL);
}

/* Every test ends here: closed came once, nothing is left behind (loop_free would say so). */
static inline void bed_end(struct bed *b)
{
	if (b->peer_fd >= 0)
		close(b->peer_fd);
	if (b->s)
		stream_close(b->s, false);
	UNTIL(b->loop, !b->s);
	spin(b->loop, 2);
	CHECK_INT(1, b->closed);
	listener_close(&b->listener);
	loop_free(&b->loop);
	buf_free(&b->got);
}

static inline void peer_send(struct bed *b, struct span data)
{
	CHECK_INT(data.n, send(b->peer_fd, data.p, data.n, MSG_NOSIGNAL));
}

static inline void peer_reset(struct bed *b)
{
	const struct linger hard = { .l_onoff = 1 };

	setsockopt(b->peer_fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
	close(b->peer_fd);
	b->peer_fd = -1;
}

/* Reads until @n octets, the end (*end_r = 0), an error (*end_r = errno) or half a second without anything
 * (*end_r = EAGAIN). */
static inline size_t peer_read(struct bed *b, char *to, size_t n, int *end_r)
{
	size_t have = 0;

	*end_r = EAGAIN;
	for (unsigned idle = 0; have < n && idle < 500;) {
		loop_run_once(b->loop, false);
		const ssize_t got = recv(b->peer_fd, to + have, n - have, MSG_DONTWAIT);
		if (got == 0 || (got < 0 && errno != EAGAIN)) {
			*end_r = got == 0 ? 0 : errno;
			break;
		}
		idle = got > 0 ? 0 : idle + 1;
		have += got > 0 ? (size_t)got : 0;
		if (got < 0)
			usleep(1000);
	}
	return have;
}
