/* io/tcp.h - TCP streams and listeners (io/stream.h over libuv).
 *
 * A stream wants input from the start. Output that the peer does not take for TCP_STALL_US breaks the stream
 * with -ERR_TIMEOUT. A graceful close sends what is pending (at most TCP_DRAIN_US), ends our side, and throws
 * away what the peer still sends for at most TCP_LINGER_US: closing at once with input unread would be a
 * reset, which destroys the last reply on its way.
 *
 * Ownership: tcp_connect() and a listener's `accepted` give a stream that the receiver owns.
 * Threads: the loop's.  Tests: tests/unit/io/test_tcp.c
 */
#pragma once

#include "base/err.h"
#include "io/op.h"
#include "io/stream.h"

#define TCP_STALL_US  (300 * INT64_C(1000000)) /* as RFC 5321 section 4.5.3.2 has it for the next command */
#define TCP_DRAIN_US  (5 * INT64_C(1000000))
#define TCP_LINGER_US (2 * INT64_C(1000000))

/* ---- listening ----------------------------------------------------------------------------------------- */

/* Binds and listens, for the main thread before privileges are dropped: one descriptor per worker
 * (SO_REUSEPORT), dual-stack off for IPv6 (each family is bound by its own address). Returns the descriptor
 * or -ERR_x. Port 0 binds any; *bound_r says. */
int tcp_listen_fd(const struct ip_endpoint *at, int backlog, struct ip_endpoint *bound_r, struct errtext *e);

struct listener;
/* Takes the descriptor over. @accepted owns the stream; it must set the events before it returns. Not called
 * while the listener is paused. */
struct listener *listener_new(struct loop *l, int fd, void (*accepted)(void *arg, struct stream *s),
			      void *arg);
void listener_pause(struct listener *ls, bool paused);
/* Stops accepting and frees itself when libuv is done with it; *ls becomes NULL. */
void listener_close(struct listener **ls);

/* ---- connecting ---------------------------------------------------------------------------------------- */

struct tcp_connect {
	struct op op;            /* op.status: 0, or -ERR_REFUSED, -ERR_UNREACH, -ERR_TIMEOUT, ... */
	struct stream *stream_r; /* on success, in op.done; the caller's */
	struct tcp_dial *dial_;  /* internal */
};

/* Sets up what tcp_connect_start needs: who is told. */
void tcp_connect_init(struct tcp_connect *c, void (*done)(struct op *op));
/* @source NULL or none: the system chooses. Returns -ERR_CANCELED when the scope is closing; all else comes
 * by op.done. */
int tcp_connect_start(struct tcp_connect *c, struct scope *scope, const struct ip_endpoint *to,
		      const struct ip_addr *source, int64_t deadline_us);
