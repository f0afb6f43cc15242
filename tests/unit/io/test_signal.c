#include "io/signal.h"

#include <signal.h>
#include <unistd.h>

#include "test.h"

struct catcher {
	struct signal_watch *w;
	unsigned calls;
	int last;
	bool free_inside;
};

static void caught(void *arg, int signum)
{
	struct catcher *c = arg;

	c->calls++;
	c->last = signum;
	if (c->free_inside)
		signal_watch_free(&c->w);
}

static void wait_for(struct loop *l, const unsigned *calls, unsigned n)
{
	for (unsigned i = 0; i < 1000 && *calls < n; i++) {
		loop_run_once(l, false);
		usleep(500);
	}
}

static void signals_are_events_of_the_loop(void)
{
	struct loop *l = loop_new();
	struct catcher hup = { 0 }, term = { 0 };

	hup.w = signal_watch_new(l, SIGHUP, caught, &hup);
	term.w = signal_watch_new(l, SIGTERM, caught, &term);
	NEED(hup.w && term.w);
	kill(getpid(), SIGHUP);
	CHECK_INT(0, hup.calls);
	wait_for(l, &hup.calls, 1);
	CHECK_INT(1, hup.calls);
	CHECK_INT(SIGHUP, hup.last);
	CHECK_INT(0, term.calls);
	kill(getpid(), SIGTERM);
	wait_for(l, &term.calls, 1);
	CHECK_INT(1, term.calls);
	hup.free_inside = true;
	kill(getpid(), SIGHUP);
	wait_for(l, &hup.calls, 2);
	CHECK(hup.w == NULL);
	signal_watch_free(&hup.w);
	signal_watch_free(&term.w);
	loop_free(&l);
}

static void watch_does_not_keep_the_loop_alive(void)
{
	struct loop *l = loop_new();
	struct catcher usr1 = { 0 };

	usr1.w = signal_watch_new(l, SIGUSR1, caught, &usr1);
	loop_set_resident(l, false);
	loop_run(l);
	signal_watch_free(&usr1.w);
	loop_free(&l);
}

static void what_cannot_be_caught_is_refused(void)
{
	struct loop *l = loop_new();

	CHECK(signal_watch_new(l, SIGKILL, caught, NULL) == NULL);
	CHECK(signal_watch_new(l, 0, caught, NULL) == NULL);
	loop_free(&l);
}

TEST_MAIN(TEST(signals_are_events_of_the_loop), TEST(watch_does_not_keep_the_loop_alive),
	  TEST(what_cannot_be_caught_is_refused))
