#include "io/tcp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/ip.h"
#include "test.h"

/* One accepted stream of ours, and the peer as a plain socket of the test's. */
struct side {
	struct loop *loop;
	struct listener *listener;
	struct stream *s;
	int peer_fd;
	struct buf got;
	unsigned readable, writable, deadline, closed;
	int err;
	bool consume_all, echo, close_on_readable, free_in_closed;
};

static void side_readable(struct stream *s, void *owner)
{
	struct side *x = owner;
	const struct span in = stream_input(s);

	x->readable++;
	if (x->echo && in.n)
		CHECK_INT(0, stream_write(s, in));
	if (x->consume_all) {
		buf_add_span(&x->got, in);
		stream_consume(s, in.n);
	}
	if (x->close_on_readable)
		stream_close(s, true);
}

static void side_writable(struct stream *s, void *owner)
{
	struct side *x = owner;

	x->writable++;
	CHECK(stream_pending(s) <= STREAM_OUT_LOW);
}

static void side_deadline(struct stream *s, void *owner)
{
	struct side *x = owner;

	(void)s;
	x->deadline++;
}

static void side_closed(struct stream *s, void *owner, int err)
{
	struct side *x = owner;

	x->closed++;
	x->err = err;
	stream_free(s);
	x->s = NULL;
}

static const struct stream_events side_events = { side_readable, side_writable, side_deadline, side_closed };

static void side_accepted(void *arg, struct stream *s)
{
	struct side *x = arg;

	x->s = s;
	stream_set_owner(s, &side_events, x);
}

static int peer_connect(const struct ip_endpoint *to)
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

static void spin(struct loop *l, unsigned turns)
{
	while (turns-- > 0)
		loop_run_once(l, false);
}

/* Turns until @cond holds, at most about two seconds. */
#define UNTIL(loop, cond)                                                                                    \
	for (unsigned left_ = 2000; !(cond) && left_ > 0; left_--) {                                         \
		loop_run_once((loop), false);                                                                \
		if (!(cond))                                                                                 \
			usleep(1000);                                                                        \
	}

static void side_open(struct side *x)
{
	struct ip_endpoint at = { 0 }, bound;
	struct errtext e;

	*x = (struct side){ .consume_all = true, .got = BUF_INIT(16 * 1024 * 1024) };
	x->loop = loop_new();
	NEED(ip_parse(SPAN("127.0.0.1"), &at.addr));
	const int fd = tcp_listen_fd(&at, 16, &bound, &e);
	NEED(fd >= 0);
	CHECK(bound.port != 0);
	x->listener = listener_new(x->loop, fd, side_accepted, x);
	x->peer_fd = peer_connect(&bound);
	NEED(x->peer_fd >= 0);
	UNTIL(x->loop, x->s);
	NEED(x->s != NULL);
}

static void side_end(struct side *x)
{
	if (x->peer_fd >= 0)
		close(x->peer_fd);
	if (x->s)
		stream_close(x->s, false);
	UNTIL(x->loop, !x->s);
	CHECK_INT(1, x->closed);
	listener_close(&x->listener);
	loop_free(&x->loop);
	buf_free(&x->got);
}

static void peer_send(struct side *x, struct span data)
{
	CHECK_INT(data.n, send(x->peer_fd, data.p, data.n, MSG_NOSIGNAL));
}

/* What the peer gets until it has @n octets, end of file or nothing for a while. */
static size_t peer_read(struct side *x, char *to, size_t n)
{
	size_t have = 0;

	for (unsigned idle = 0; have < n && idle < 500;) {
		spin(x->loop, 1);
		const ssize_t got = recv(x->peer_fd, to + have, n - have, MSG_DONTWAIT);
		if (got == 0)
			break;
		if (got < 0 && errno != EAGAIN)
			break;
		idle = got > 0 ? 0 : idle + 1;
		have += got > 0 ? (size_t)got : 0;
		if (got < 0)
			usleep(1000);
	}
	return have;
}

static void octets_come_and_go(void)
{
	struct side x;
	char answer[64];

	side_open(&x);
	x.echo = true;
	peer_send(&x, SPAN("EHLO one\r\n"));
	CHECK_INT(10, peer_read(&x, answer, 10));
	CHECK_SPAN("EHLO one\r\n", buf_span(&x.got));
	CHECK_SPAN("EHLO one\r\n", span_make(answer, 10));
	CHECK_INT(10, x.s->bytes_in);
	CHECK_INT(10, x.s->bytes_out);
	CHECK(!stream_eof(x.s));
	side_end(&x);
	CHECK_INT(0, x.err);
}

TEST_MAIN(TEST(octets_come_and_go))
