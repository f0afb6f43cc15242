/* io/signal.h - signals as events of a loop: the main thread's.
 *
 * All other threads block all signals (io/thread.h), so `caught` is an ordinary callback on the loop and may
 * do anything. Several signals of one kind that come together are one call. A watch does not keep the loop
 * alive.
 * Tests: tests/unit/io/test_signal.c
 */
#pragma once

#include "io/loop.h"

struct signal_watch;

/* The disposition of @signum is ours until the watch is freed. NULL: the system refuses (SIGKILL, no such
 * signal). */
struct signal_watch *signal_watch_new(struct loop *l, int signum, void (*caught)(void *arg, int signum),
				      void *arg);
void signal_watch_free(struct signal_watch **w);
