/* io/poll.h - readiness of a foreign library's descriptor (c-ares, hiredis, curl) on our loop.
 *
 * Ownership: embedded by pointer; poll_free() may be called from inside the callback.  Threads: the loop's.
 * Tests: tests/unit/io/test_poll.c
 */
#pragma once

#include <stdbool.h>

#include "io/loop.h"

struct poll;
/* NULL when the descriptor cannot be watched (it is closed, or a file). */
struct poll *poll_new(struct loop *l, int fd, void (*ready)(void *arg, int fd, bool readable, bool writable),
		      void *arg);
/* @ready is called as long as what is wanted holds (level-triggered); an error of the descriptor counts as
 * both. */
void poll_set(struct poll *p, bool read, bool write);
void poll_free(struct poll **p); /* does not close the descriptor */
