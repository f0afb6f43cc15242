/* io/tcp.h - TCP streams and listeners (io/stream.h over libuv).
 *
 * Ownership: tcp_connect() and a listener's `accepted` give a stream that the receiver owns.
 * Threads: the loop's.  Tests: tests/unit/io/test_tcp.c
 */
#pragma once

#include "base/err.h"
#include "io/op.h"
#include "io/stream.h"

/* ---- listening ---- */

/* Binds and listens, for the main thread before privileges are dropped: one descriptor per worker (SO_REUSEPORT), dual-stack
 * off for IPv6 (each family is bound by its own address). Returns the descriptor or -ERR_x. Port 0 binds any; *bound_r says. */
int tcp_listen_fd(const struct ip_endpoint *at, int backlog, struct ip_endpoint *bound_r, struct errtext *e);

struct listener;
/* @accepted owns the stream; it must set the events before it returns. Not called while the listener is paused. */
struct listener *listener_new(struct loop *l, int fd, void (*accepted)(void *arg, struct stream *s), void *arg);
void listener_pause(struct listener *ls, bool paused);
/* Stops accepting and frees itself when libuv is done with it; *ls becomes NULL. */
void listener_close(struct listener **ls);

/* ---- connecting ---- */

struct tcp_connect {
	struct op op;               /* op.status: 0, or -ERR_REFUSED, -ERR_UNREACH, -ERR_TIMEOUT, ... */
	struct stream *stream_r;    /* on success, in op.done; the caller's */
	struct stream *pending_;    /* internal */
};

/* @source.addr.len == 0: the system chooses. */
int tcp_connect_start(struct tcp_connect *c, struct scope *scope, const struct ip_endpoint *to, const struct ip_addr *source,
		      int64_t deadline_us);
