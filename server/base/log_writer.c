/* A logger adds lines to `waiting` and wakes the thread. The thread takes the whole buffer, leaves the empty one that it has just
 * written in its place, and writes without the lock. Two buffers do for any number of loggers.
 *
 * A write that fails loses the rest of the buffer: the disk is full or the reader is gone, and the next buffer tries again. */
#include "base/log_writer.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/mem.h"

enum { KEEP_BYTES = 256 * 1024 };

struct log_writer {
	int fd;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;  /* the thread waits for lines */
	pthread_cond_t ended; /* log_writer_close() waits for the thread */
	struct buf waiting;   /* under the lock, as are the following */
	uint64_t lost;
	bool closing, done;
	bool torn; /* of the thread: the last line that was written has no end */
};

static uint64_t count_lines(struct span s)
{
	uint64_t n = 0;

	for (; s.n; n++)
		span_cut(&s, '\n');
	return n;
}

/* Returns what could not be written. */
static struct span write_all(int fd, struct span s)
{
	while (s.n) {
		const ssize_t n = write(fd, s.p, s.n);
		if (n > 0) {
			s = span_skip(s, (size_t)n);
		} else if (n < 0 && errno == EAGAIN) {
			/* Somebody else made the descriptor non-blocking, as ssh and terminals do. */
			struct pollfd p = { .fd = fd, .events = POLLOUT };
			poll(&p, 1, -1);
		} else if (n == 0 || errno != EINTR) {
			break;
		}
	}
	return s;
}

static struct span write_lines(struct log_writer *w, struct span s)
{
	if (w->torn && write_all(w->fd, SPAN("\n")).n)
		return s;
	w->torn = false;
	const struct span rest = write_all(w->fd, s);
	if (rest.n && rest.n < s.n)
		w->torn = rest.p[-1] != '\n';
	return rest;
}

static void *run(void *arg)
{
	struct log_writer *w = arg;
	struct buf mine = BUF_INIT(w->waiting.max);

	pthread_mutex_lock(&w->lock);
	for (;;) {
		while (!w->waiting.n && !w->closing)
			pthread_cond_wait(&w->wake, &w->lock);
		if (!w->waiting.n)
			break;
		const struct buf taken = w->waiting;
		w->waiting = mine;
		mine = taken;
		pthread_mutex_unlock(&w->lock);
		const uint64_t lost = count_lines(write_lines(w, buf_span(&mine)));
		buf_reset(&mine);
		if (mine.cap > KEEP_BYTES)
			buf_free(&mine);
		pthread_mutex_lock(&w->lock);
		w->lost += lost;
	}
	w->done = true;
	buf_free(&mine);
	pthread_cond_signal(&w->ended);
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

struct log_writer *log_writer_new(int fd, size_t pending_max)
{
	struct log_writer *w = mem_alloc(sizeof *w);
	sigset_t all, before;
	pthread_condattr_t attr;

	w->fd = fd;
	w->waiting = BUF_INIT(pending_max);
	require(pthread_mutex_init(&w->lock, NULL) == 0);
	require(pthread_cond_init(&w->wake, NULL) == 0);
	require(pthread_condattr_init(&attr) == 0);
	require(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
	require(pthread_cond_init(&w->ended, &attr) == 0);
	pthread_condattr_destroy(&attr);
	/* Signals are for the main thread, and a reader that goes away is an error here, not an end. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	require(pthread_create(&w->thread, NULL, run, w) == 0);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return w;
}

static void sink_write(void *arg, struct span lines)
{
	struct log_writer *w = arg;

	pthread_mutex_lock(&w->lock);
	const bool was_empty = w->waiting.n == 0;
	if (!buf_add_span(&w->waiting, lines)) {
		w->waiting.overflow = false;
		w->lost += count_lines(lines);
	} else if (was_empty) {
		pthread_cond_signal(&w->wake);
	}
	pthread_mutex_unlock(&w->lock);
}

struct log_sink log_writer_sink(struct log_writer *w)
{
	return (struct log_sink){ sink_write, w };
}

uint64_t log_writer_lost(struct log_writer *w)
{
	pthread_mutex_lock(&w->lock);
	const uint64_t lost = w->lost;
	pthread_mutex_unlock(&w->lock);
	return lost;
}

bool log_writer_close(struct log_writer **wp, unsigned wait_ms)
{
	struct log_writer *w = *wp;
	struct timespec until;

	if (!w)
		return true;
	*wp = NULL;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += wait_ms / 1000;
	until.tv_nsec += (long)(wait_ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&w->lock);
	w->closing = true;
	pthread_cond_signal(&w->wake);
	while (!w->done && pthread_cond_timedwait(&w->ended, &w->lock, &until) == 0)
		continue;
	const bool done = w->done;
	pthread_mutex_unlock(&w->lock);
	if (!done) {
		pthread_detach(w->thread);
		return false;
	}
	pthread_join(w->thread, NULL);
	pthread_cond_destroy(&w->wake);
	pthread_cond_destroy(&w->ended);
	pthread_mutex_destroy(&w->lock);
	buf_free(&w->waiting);
	free(w);
	return true;
}
