/* io/thread.h - a plain thread with a name, joined by its owner: the spool's committer, a pool's workers.
 *
 * Signals are blocked in it: they are for the main thread.  Tests: tests/unit/io/test_work.c
 */
#pragma once

struct thread;

/* The first 15 octets of @name are what the system shows. */
struct thread *thread_start(const char *name, void (*run)(void *arg), void *arg);
void thread_join(struct thread **t);

/* Instead of joining one whose @run has begun and may be stuck for longer than its owner can wait: it goes when @run returns. */
void thread_leave(struct thread **t);
