#include "io/poll.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "test.h"

struct watch {
	struct poll *p;
	unsigned readable, writable, calls;
	bool consume, free_inside, stop_inside;
};

static void on_ready(void *arg, int fd, bool readable, bool writable)
{
	struct watch *w = arg;
	char c[16];

	w->calls++;
	w->readable += readable;
	w->writable += writable;
	if (w->consume && recv(fd, c, sizeof c, MSG_DONTWAIT) < 0)
		CHECK(errno == ECONNREFUSED || errno == EAGAIN);
	if (w->stop_inside)
		poll_set(w->p, false, false);
	if (w->free_inside)
		poll_free(&w->p);
}

static void turns(struct loop *l, unsigned n)
{
	while (n-- > 0)
		loop_run_once(l, false);
}

static void readiness_is_told_as_wanted(void)
{
	struct loop *l = loop_new();
	struct watch w = { .consume = true };
	int fds[2];

	NEED(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
	w.p = poll_new(l, fds[0], on_ready, &w);
	NEED(w.p != NULL);
	CHECK_INT(1, send(fds[1], "a", 1, 0));
	turns(l, 3);
	CHECK_INT(0, w.calls);
	poll_set(w.p, true, false);
	turns(l, 3);
	CHECK_INT(1, w.readable);
	CHECK_INT(0, w.writable);
	poll_set(w.p, true, true);
	turns(l, 1);
	CHECK(w.writable > 0);
	poll_set(w.p, false, false);
	const unsigned before = w.calls;
	turns(l, 3);
	CHECK_INT(before, w.calls);
	poll_free(&w.p);
	CHECK(w.p == NULL);
	poll_free(&w.p);
	CHECK_INT(1, send(fds[1], "b", 1, 0)); /* the descriptor is still open */
	close(fds[0]);
	close(fds[1]);
	loop_free(&l);
}

static void it_may_be_freed_and_stopped_from_inside(void)
{
	for (unsigned stop = 0; stop < 2; stop++) {
		struct loop *l = loop_new();
		struct watch w = { .free_inside = !stop, .stop_inside = stop };
		int fds[2];

		NEED(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
		w.p = poll_new(l, fds[0], on_ready, &w);
		poll_set(w.p, true, true);
		turns(l, 5);
		CHECK_INT(1, w.calls);
		poll_free(&w.p);
		close(fds[0]);
		close(fds[1]);
		loop_free(&l);
	}
}

/* A datagram nobody took comes back as an error of the descriptor: the library must hear of it and of what
 * comes after. */
static void error_of_the_descriptor_is_readiness(void)
{
	struct loop *l = loop_new();
	struct watch w = { .consume = true };
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof sa;
	const int server = socket(AF_INET, SOCK_DGRAM, 0), client = socket(AF_INET, SOCK_DGRAM, 0);

	NEED(bind(server, (struct sockaddr *)&sa, n) == 0);
	NEED(getsockname(server, (struct sockaddr *)&sa, &n) == 0);
	NEED(connect(client, (struct sockaddr *)&sa, n) == 0);
	n = sizeof sa;
	struct sockaddr_in back;
	NEED(getsockname(client, (struct sockaddr *)&back, &n) == 0);
	close(server);
	w.p = poll_new(l, client, on_ready, &w);
	poll_set(w.p, true, false);
	CHECK_INT(1, send(client, "?", 1, 0));
	for (unsigned i = 0; i < 1000 && !w.calls; i++) {
		turns(l, 1);
		usleep(200);
	}
	CHECK_INT(1, w.readable);
	const int again = socket(AF_INET, SOCK_DGRAM, 0);
	NEED(bind(again, (struct sockaddr *)&sa, sizeof sa) == 0);
	CHECK_INT(1, sendto(again, "!", 1, 0, (struct sockaddr *)&back, sizeof back));
	for (unsigned i = 0; i < 1000 && w.readable < 2; i++) {
		turns(l, 1);
		usleep(200);
	}
	CHECK_INT(2, w.readable); /* still watched after the error */
	poll_free(&w.p);
	close(again);
	close(client);
	loop_free(&l);
}

TEST_MAIN(TEST(readiness_is_told_as_wanted), TEST(it_may_be_freed_and_stopped_from_inside),
	  TEST(error_of_the_descriptor_is_readiness))
