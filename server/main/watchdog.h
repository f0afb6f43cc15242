/* main/watchdog.h - sees a worker whose loop stands still, names what ran on it, and ends the process.
 *
 * Nothing may block a loop; should something do it all the same, half of the mail would wait unseen. A process that ends is
 * started again by whoever started it, and everything acknowledged is on the disk.
 *
 * A letter is posted to every loop each second; a loop that has not opened it for WATCHDOG_STUCK_US is stuck.
 *
 * Threads: one of its own.
 *
 * Tests: tests/scenario/b00001-one-message.vts
 */
#pragma once

#include "base/err.h"
#include "main/worker.h"

#define WATCHDOG_STUCK_US INT64_C(20000000)

struct watchdog;
struct watchdog *watchdog_start(struct worker *const *workers, unsigned n, const struct process *process);
/* Looks no more; the beats under way are still opened by the loops. */
void watchdog_stop(struct watchdog *w);
/* When the workers have ended, and with them their mailboxes. */
void watchdog_free(struct watchdog **w);
/* 0, or -ERR_TIMEOUT: a loop has not turned for some seconds. Any thread. */
int watchdog_check(struct watchdog *w, struct errtext *e);
