#include "io/tcp.h"

#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>

#include "base/check.h"
#include "tcp_bed.h"

enum { MS = 1000, LONG_US = 60 * 1000000 };

static unsigned open_fds(void)
{
	unsigned n = 0;
	DIR *d = opendir("/proc/self/fd");

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

/* ---- listening ----------------------------------------------------------------------------------------- */

/* A listener that counts and keeps up to KEEP streams. */
enum { KEEP = 1200 };

struct house {
	struct loop *loop;
	struct listener *listener;
	struct ip_endpoint at;
	unsigned accepted, closed;
	struct stream *streams[KEEP];
	unsigned close_listener_at, pause_at; /* within `accepted`, at that many */
};

static void house_closed(struct stream *s, void *owner, int err)
{
	struct house *h = owner;

	(void)err;
	h->closed++;
	stream_free(s);
}

static void house_readable(struct stream *s, void *owner)
{
	(void)owner;
	CHECK_INT(0, stream_write(s, stream_input(s)));
	stream_consume(s, stream_input(s).n);
	if (stream_eof(s))
		stream_close(s, true);
}

static const struct stream_events house_events = { .readable = house_readable, .closed = house_closed };

static void house_accepted(void *arg, struct stream *s)
{
	struct house *h = arg;

	stream_set_owner(s, &house_events, h);
	NEED(h->accepted < KEEP);
	h->streams[h->accepted++] = s;
	if (h->close_listener_at == h->accepted)
		listener_close(&h->listener);
	if (h->pause_at == h->accepted)
		listener_pause(h->listener, true);
}

static void house_open(struct house *h)
{
	*h = (struct house){ .loop = loop_new() };
	h->listener = listener_new(h->loop, bed_listen("127.0.0.1", 0, &h->at), house_accepted, h);
}

static void house_end(struct house *h)
{
	if (h->closed == 0)
		for (unsigned i = 0; i < h->accepted; i++)
			stream_close(h->streams[i], false);
	UNTIL(h->loop, h->closed == h->accepted);
	CHECK_INT(h->accepted, h->closed);
	listener_close(&h->listener);
	loop_free(&h->loop);
}

static void close_all(const int *fds, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		close(fds[i]);
}

static void connect_all(const struct house *h, int *fds, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		NEED((fds[i] = peer_connect(&h->at)) >= 0);
}

static void descriptor_is_set_up(void)
{
	struct ip_endpoint at;
	const int fd = bed_listen("127.0.0.1", 0, &at);
	struct ip_endpoint same;
	const int again = bed_listen("127.0.0.1", at.port, &same); /* SO_REUSEPORT: one for each worker */

	CHECK_INT(at.port, same.port);
	CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
	close(fd);
	close(again);
}

static void each_family_is_bound_by_its_own_address(void)
{
	struct ip_endpoint at6, at4;
	struct errtext e;
	const struct ip_endpoint any6 = { .addr = { .len = 16 } };
	struct ip_endpoint any4 = { .addr = { .len = 4 } };
	int fd4 = -1;

	/* Somebody else may have the port that was drawn in the other family: draw again. */
	for (int i = 0; fd4 < 0 && i < 50; i++) {
		const int fd6 = tcp_listen_fd(&any6, 4, &at6, &e);
		if (fd6 < 0) {
			printf("  no IPv6 here: %s\n", e.s);
			return;
		}
		CHECK_INT(16, at6.addr.len);
		any4.port = at6.port;
		fd4 = tcp_listen_fd(&any4, 4, &at4, &e);
		close(fd6);
	}
	NEED(fd4 >= 0);
	CHECK_INT(at6.port, at4.port);
	close(fd4);
}

static void what_cannot_be_bound_is_explained(void)
{
	struct ip_endpoint at = { .port = 2525 }, bound = { .port = 7 };
	struct errtext e = { "" };

	NEED(ip_parse(SPAN("192.0.2.1"), &at.addr));
	CHECK_INT(-ERR_UNREACH, tcp_listen_fd(&at, 4, &bound, &e));
	CHECK_STR("listen on 192.0.2.1 port 2525: bind: Cannot assign requested address", e.s);
	CHECK_INT(7, bound.port);
}

static void accepted_streams_send_at_once(void)
{
	struct house h;
	int fd;

	house_open(&h);
	connect_all(&h, &fd, 1);
	const unsigned before = open_fds();
	UNTIL(h.loop, h.accepted);
	CHECK_INT(before + 1, open_fds());
	CHECK(h.streams[0]->peer.port != 0);
	CHECK_INT(h.at.port, h.streams[0]->local.port);
	house_end(&h);
	close(fd);
}

static void accepting_can_be_paused(void)
{
	struct house h;
	int fds[8];

	house_open(&h);
	h.pause_at = 3; /* from inside: the rest of that turn is not accepted either */
	connect_all(&h, fds, 8);
	spin(h.loop, 10);
	CHECK_INT(3, h.accepted);
	listener_pause(h.listener, false);
	UNTIL(h.loop, h.accepted == 8);
	CHECK_INT(8, h.accepted);
	house_end(&h);
	close_all(fds, 8);
}

static void listener_may_be_closed_while_it_accepts(void)
{
	struct house h;
	int fds[8];

	house_open(&h);
	h.close_listener_at = 3;
	connect_all(&h, fds, 8);
	spin(h.loop, 10);
	CHECK_INT(3, h.accepted);
	CHECK(h.listener == NULL);
	house_end(&h);
	close_all(fds, 8);
}

static void burst_is_accepted_in_portions(void)
{
	struct house h;
	int fds[100];

	house_open(&h);
	connect_all(&h, fds, 100);
	loop_run_once(h.loop, false);
	CHECK(h.accepted > 0 && h.accepted <= 64);
	UNTIL(h.loop, h.accepted == 100);
	CHECK_INT(100, h.accepted);
	house_end(&h);
	close_all(fds, 100);
}

/* Out of descriptors: no spinning, the backlog waits, then the oldest is shed, and all is well when there are
 * some again. */
static void running_out_of_descriptors_is_survived(void)
{
	struct house h;
	struct rlimit before, tight;
	int fds[4];
	char c;

	house_open(&h);
	connect_all(&h, fds, 4);
	NEED(getrlimit(RLIMIT_NOFILE, &before) == 0);
	const int next = dup(0);
	close(next);
	tight = (struct rlimit){ .rlim_cur = (rlim_t)next, .rlim_max = before.rlim_max };
	NEED(setrlimit(RLIMIT_NOFILE, &tight) == 0);
	const uint64_t turns = loop_turns(h.loop);
	const int64_t start = loop_now_us(h.loop);
	while (loop_now_us(h.loop) - start < 50 * MS) {
		loop_run_once(h.loop, false);
		usleep(1000);
	}
	CHECK(loop_turns(h.loop) > turns);
	CHECK_INT(0, h.accepted);
	CHECK_INT(-1, recv(fds[0], &c, 1, MSG_DONTWAIT)); /* still waiting, not shed at the first sign */
	loop_clock_advance(h.loop, 100 * MS);
	for (unsigned i = 0; i < 50 && recv(fds[0], &c, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN; i++)
		spin(h.loop, 1);
	CHECK(recv(fds[0], &c, 1, MSG_DONTWAIT) == 0 || errno != EAGAIN);
	CHECK_INT(0, h.accepted);
	NEED(setrlimit(RLIMIT_NOFILE, &before) == 0);
	loop_clock_advance(h.loop, 100 * MS);
	UNTIL(h.loop, h.accepted == 3);
	CHECK_INT(3, h.accepted);
	house_end(&h);
	close_all(fds, 4);
}

/* ---- connecting ---------------------------------------------------------------------------------------- */

struct caller {
	struct tcp_connect c;
	struct house *h;
	struct scope scope;
	unsigned dones, scope_closed;
	int status;
};

static void caller_done(struct op *op)
{
	struct caller *x = container_of(container_of(op, struct tcp_connect, op), struct caller, c);

	x->dones++;
	x->status = op->status;
	CHECK((op->status == 0) == (x->c.stream_r != NULL));
}

static void caller_scope_closed(struct scope *s)
{
	container_of(s, struct caller, scope)->scope_closed++;
}

static void caller_init(struct caller *x, struct house *h)
{
	*x = (struct caller){ .h = h, .status = 1 };
	tcp_connect_init(&x->c, caller_done);
	scope_init(&x->scope, h->loop, caller_scope_closed);
}

static void caller_end(struct caller *x)
{
	scope_close(&x->scope);
	UNTIL(x->h->loop, x->scope_closed);
	CHECK_INT(1, x->scope_closed);
	CHECK_INT(1, x->dones);
}

static unsigned client_closed_calls;
static struct buf client_got;

static void client_closed(struct stream *s, void *owner, int err)
{
	(void)owner;
	CHECK_INT(0, err);
	client_closed_calls++;
	stream_free(s);
}

static void client_readable(struct stream *s, void *owner)
{
	(void)owner;
	buf_add_span(&client_got, stream_input(s));
	stream_consume(s, stream_input(s).n);
}

static const struct stream_events client_events = { .readable = client_readable, .closed = client_closed };

static void connection_is_made(void)
{
	struct house h;
	struct caller x;
	struct ip_addr source;

	house_open(&h);
	caller_init(&x, &h);
	client_closed_calls = 0;
	client_got = BUF_INIT(100);
	NEED(ip_parse(SPAN("127.0.0.2"), &source));
	CHECK_INT(0, tcp_connect_start(&x.c, &x.scope, &h.at, &source, LONG_US));
	CHECK_INT(0, x.dones);
	UNTIL(h.loop, x.dones && h.accepted);
	CHECK_INT(0, x.status);
	NEED(x.c.stream_r != NULL);
	CHECK_STR("127.0.0.2", ip_format(&h.streams[0]->peer.addr).s);
	CHECK_INT(h.at.port, x.c.stream_r->peer.port);
	CHECK_STR("127.0.0.2", ip_format(&x.c.stream_r->local.addr).s);
	stream_set_owner(x.c.stream_r, &client_events, &x);
	CHECK_INT(0, stream_write(x.c.stream_r, SPAN("EHLO\r\n")));
	UNTIL(h.loop, client_got.n == 6);
	CHECK_SPAN("EHLO\r\n", buf_span(&client_got));
	stream_close(x.c.stream_r, true);
	UNTIL(h.loop, client_closed_calls && h.closed);
	CHECK_INT(1, client_closed_calls); /* both sides closed gracefully, without waiting for the linger */
	buf_free(&client_got);
	caller_end(&x);
	house_end(&h);
}

static void refusal_is_reported(void)
{
	struct house h;
	struct caller x;

	house_open(&h);
	listener_close(&h.listener);
	spin(h.loop, 1);
	caller_init(&x, &h);
	CHECK_INT(0, tcp_connect_start(&x.c, &x.scope, &h.at, NULL, LONG_US));
	UNTIL(h.loop, x.dones);
	CHECK_INT(-ERR_REFUSED, x.status);
	caller_end(&x);
	house_end(&h);
}

static void source_that_is_not_ours_is_reported(void)
{
	struct house h;
	struct caller x;
	struct ip_addr source;
	const unsigned before = open_fds();

	house_open(&h);
	caller_init(&x, &h);
	NEED(ip_parse(SPAN("192.0.2.1"), &source));
	CHECK_INT(0, tcp_connect_start(&x.c, &x.scope, &h.at, &source, LONG_US));
	CHECK_INT(0, x.dones);
	UNTIL(h.loop, x.dones);
	CHECK_INT(-ERR_UNREACH, x.status);
	caller_end(&x);
	house_end(&h);
	CHECK_INT(before, open_fds());
}

/* A listening socket whose backlog is full: what connects now gets no answer. */
struct deaf {
	int fd, fillers[8];
	struct ip_endpoint at;
};

static void deaf_open(struct deaf *d)
{
	struct errtext e;
	struct ip_endpoint any = { 0 };

	NEED(ip_parse(SPAN("127.0.0.1"), &any.addr));
	NEED((d->fd = tcp_listen_fd(&any, 0, &d->at, &e)) >= 0);
	struct sockaddr_storage sa;
	const socklen_t n = ip_to_sockaddr(&d->at, &sa);
	for (unsigned i = 0; i < ARRAY_LEN(d->fillers); i++) {
		d->fillers[i] = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
		CHECK(connect(d->fillers[i], (struct sockaddr *)&sa, n) == 0 || errno == EINPROGRESS);
	}
}

static void deaf_close(struct deaf *d)
{
	close_all(d->fillers, ARRAY_LEN(d->fillers));
	close(d->fd);
}

static void silence_ends_at_the_deadline_a_cancel_or_the_scope(void)
{
	for (unsigned way = 0; way < 3; way++) {
		static const int want[] = { -ERR_TIMEOUT, -ERR_CANCELED, -ERR_CANCELED };
		struct house h;
		struct deaf d;
		struct caller x;
		const unsigned before = open_fds();

		house_open(&h);
		deaf_open(&d);
		caller_init(&x, &h);
		CHECK_INT(0, tcp_connect_start(&x.c, &x.scope, &d.at, NULL, 30 * 1000000));
		spin(h.loop, 5);
		CHECK_INT(0, x.dones);
		if (way == 0)
			loop_clock_advance(h.loop, 30 * 1000000);
		else if (way == 1)
			op_cancel(&x.c.op);
		else
			scope_close(&x.scope);
		CHECK_INT(0, x.dones);
		UNTIL(h.loop, x.dones);
		CHECK_INT(want[way], x.status);
		caller_end(&x);
		deaf_close(&d);
		house_end(&h);
		CHECK_INT(before, open_fds());
	}
}

static void cancel_in_the_turn_of_the_start(void)
{
	struct house h;
	struct caller x;

	house_open(&h);
	caller_init(&x, &h);
	CHECK_INT(0, tcp_connect_start(&x.c, &x.scope, &h.at, NULL, LONG_US));
	op_cancel(&x.c.op);
	CHECK_INT(0, x.dones);
	UNTIL(h.loop, x.dones);
	CHECK_INT(-ERR_CANCELED, x.status);
	scope_close(&x.scope);
	UNTIL(h.loop, x.scope_closed);
	CHECK_INT(-ERR_CANCELED, tcp_connect_start(&x.c, &x.scope, &h.at, NULL, LONG_US));
	CHECK_INT(1, x.dones);
	spin(h.loop, 3);
	for (unsigned i = 0; i < h.accepted; i++) /* the kernel may have made it before the cancel */
		if (!h.closed)
			stream_close(h.streams[i], false);
	UNTIL(h.loop, h.closed == h.accepted);
	h.closed = h.accepted;
	listener_close(&h.listener);
	loop_free(&h.loop);
}

/* ---- many ---------------------------------------------------------------------------------------------- */

static void thousand_connections_at_once(void)
{
	enum { N = 1000 };
	struct house h;
	struct rlimit limit;
	struct caller *x = calloc(N, sizeof *x);
	unsigned n = N, made = 0;

	NEED(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	limit.rlim_cur = limit.rlim_max < 8192 ? limit.rlim_max : 8192;
	NEED(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	if (limit.rlim_cur < 2 * N + 100) {
		n = (unsigned)(limit.rlim_cur - 100) / 2;
		printf("  only %u connections: RLIMIT_NOFILE is %lu\n", n, (unsigned long)limit.rlim_cur);
	}
	const unsigned before = open_fds();
	house_open(&h);
	client_closed_calls = 0;
	client_got = BUF_INIT(64 * 1024);
	for (unsigned i = 0; i < n; i++) {
		caller_init(&x[i], &h);
		CHECK_INT(0, tcp_connect_start(&x[i].c, &x[i].scope, &h.at, NULL, LONG_US));
		if (i % 100 == 99)
			loop_run_once(h.loop, false); /* the backlog has an end */
	}
	UNTIL(h.loop, h.accepted == n);
	spin(h.loop, 5);
	for (unsigned i = 0; i < n; i++) {
		made += x[i].dones == 1 && x[i].status == 0;
		stream_set_owner(x[i].c.stream_r, &client_events, &x[i]);
		CHECK_INT(0, stream_write(x[i].c.stream_r, SPAN("NOOP\r\n")));
	}
	CHECK_INT(n, made);
	UNTIL(h.loop, client_got.n == 6 * n);
	CHECK_INT(6 * n, client_got.n);
	for (unsigned i = 0; i < n; i++)
		stream_close(x[i].c.stream_r, true);
	UNTIL(h.loop, client_closed_calls == n && h.closed == n);
	CHECK_INT(n, client_closed_calls);
	for (unsigned i = 0; i < n; i++)
		caller_end(&x[i]);
	buf_free(&client_got);
	house_end(&h);
	free(x);
	CHECK_INT(before, open_fds());
}

TEST_MAIN(TEST(descriptor_is_set_up), TEST(each_family_is_bound_by_its_own_address),
	  TEST(what_cannot_be_bound_is_explained), TEST(accepted_streams_send_at_once),
	  TEST(accepting_can_be_paused), TEST(listener_may_be_closed_while_it_accepts),
	  TEST(burst_is_accepted_in_portions), TEST(running_out_of_descriptors_is_survived),
	  TEST(connection_is_made), TEST(refusal_is_reported), TEST(source_that_is_not_ours_is_reported),
	  TEST(silence_ends_at_the_deadline_a_cancel_or_the_scope), TEST(cancel_in_the_turn_of_the_start),
	  TEST(thousand_connections_at_once))
