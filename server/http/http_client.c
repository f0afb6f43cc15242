/* Happy path of the thread, again and again:
 *
 *   1. what was started goes from `waiting` to `running` and into libcurl's set, while there is room
 *   2. libcurl does what can be done without waiting
 *   3. who is finished gets its result and done()
 *   4. sleep until a socket, a timer of libcurl's or a wake-up from start, cancel or the end
 *
 * A cancelled transfer is taken out of either list before 1. A deadline is libcurl's, per transfer. When the thread is told to end
 * nothing is there any more.
 */
#include "http/http_client.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "http/http_priv.h"
#include "io/thread.h"

enum { SLEEP_MS_MAX = 60000 };

struct http_client {
	_Atomic unsigned refs;
	pthread_mutex_t lock;
	CURLM *multi;
	struct thread *thread; /* NULL: nothing was ever started */
	/* under the lock */
	struct list waiting, running;
	unsigned nwaiting;
	bool stopping;
	/* the thread's */
	unsigned nrunning;
};

const char *http_step_name(enum http_step step)
{
	static const char *const names[] = {
#define X(name, text) text,
		HTTP_STEP_MAP(X)
#undef X
	};

	return verify((size_t)step < ARRAY_LEN(names)) ? names[step] : "?";
}

/* ---- the thread ------------------------------------------------------------------------------------------------- */

/* It is in no list any more. */
static void finish(struct http_transfer *t)
{
	http_handle_close(t);
	t->done(t); /* may free it */
}

static void begin(struct http_client *c, struct http_transfer *t)
{
	if (http_handle_open(t) == 0) {
		require(curl_multi_add_handle(c->multi, t->handle_->easy) == CURLM_OK);
		c->nrunning++;
		pthread_mutex_lock(&c->lock);
		list_push_back(&c->running, &t->link_);
		pthread_mutex_unlock(&c->lock);
		return;
	}
	finish(t);
}

/* Out of libcurl's set and of the list. */
static void leave(struct http_client *c, struct http_transfer *t)
{
	curl_multi_remove_handle(c->multi, t->handle_->easy);
	c->nrunning--;
	pthread_mutex_lock(&c->lock);
	list_remove(&t->link_);
	pthread_mutex_unlock(&c->lock);
}

/* One that is to end before its time, out of its list; NULL: there is none. */
static struct http_transfer *take_canceled(struct http_client *c, struct list *from)
{
	list_for_each_safe(link, from) {
		struct http_transfer *t = list_entry(link, struct http_transfer, link_);
		if (!t->cancel_)
			continue;
		if (from == &c->waiting) {
			list_remove(&t->link_);
			c->nwaiting--;
		}
		return t;
	}
	return NULL;
}

static void end_canceled(struct http_client *c)
{
	for (;;) {
		pthread_mutex_lock(&c->lock);
		struct http_transfer *waiting = take_canceled(c, &c->waiting);
		struct http_transfer *running = waiting ? NULL : take_canceled(c, &c->running);
		pthread_mutex_unlock(&c->lock);
		if (waiting) {
			waiting->status = -ERR_CANCELED;
			finish(waiting);
		} else if (running) {
			http_handle_canceled(running->handle_);
			leave(c, running);
			finish(running);
		} else {
			return;
		}
	}
}

static void begin_waiting(struct http_client *c)
{
	while (c->nrunning < HTTP_RUNNING_MAX) {
		pthread_mutex_lock(&c->lock);
		struct list *link = list_pop_front(&c->waiting);
		if (link)
			c->nwaiting--;
		pthread_mutex_unlock(&c->lock);
		if (!link)
			return;
		begin(c, list_entry(link, struct http_transfer, link_));
	}
}

static void end_finished(struct http_client *c)
{
	const CURLMsg *m;
	int left;

	while ((m = curl_multi_info_read(c->multi, &left))) {
		char *private = NULL;
		if (m->msg != CURLMSG_DONE)
			continue;
		const CURLcode code = m->data.result;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &private);
		struct http_transfer *t = (struct http_transfer *)(void *)private;
		http_handle_result(t->handle_, code);
		leave(c, t); /* @m goes with it */
		finish(t);
	}
}

static bool is_stopping(struct http_client *c)
{
	pthread_mutex_lock(&c->lock);
	const bool stopping = c->stopping;
	pthread_mutex_unlock(&c->lock);
	return stopping;
}

static void run(void *arg)
{
	struct http_client *c = arg;
	int active, events;

	while (!is_stopping(c)) {
		end_canceled(c);
		begin_waiting(c);
		curl_multi_perform(c->multi, &active);
		end_finished(c);
		pthread_mutex_lock(&c->lock);
		const bool again = !list_empty(&c->waiting) && c->nrunning < HTTP_RUNNING_MAX;
		pthread_mutex_unlock(&c->lock);
		curl_multi_poll(c->multi, NULL, 0, again ? 0 : SLEEP_MS_MAX, &events);
	}
}

/* ---- for all threads ------------------------------------------------------------------------------------------------ */

struct http_client *http_client_new(void)
{
	struct http_client *c = mem_alloc(sizeof *c);

	http_library_open();
	atomic_init(&c->refs, 1);
	require(pthread_mutex_init(&c->lock, NULL) == 0);
	list_init(&c->waiting);
	list_init(&c->running);
	c->multi = curl_multi_init();
	require(c->multi);
	return c;
}

struct http_client *http_client_ref(struct http_client *c)
{
	require(atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed) > 0);
	return c;
}

void http_client_unref(struct http_client **cp)
{
	struct http_client *c = *cp;

	*cp = NULL;
	if (!c || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) > 1)
		return;
	if (c->thread) {
		pthread_mutex_lock(&c->lock);
		require(list_empty(&c->waiting) && list_empty(&c->running));
		c->stopping = true;
		pthread_mutex_unlock(&c->lock);
		curl_multi_wakeup(c->multi);
		thread_join(&c->thread);
	}
	curl_multi_cleanup(c->multi);
	pthread_mutex_destroy(&c->lock);
	free(c);
	http_library_close();
}

void http_transfer_init(struct http_transfer *t, void (*done)(struct http_transfer *t))
{
	*t = (struct http_transfer){ .done = done };
	list_init(&t->link_);
}

int http_transfer_start(struct http_client *c, struct http_transfer *t)
{
	pthread_mutex_lock(&c->lock);
	const bool full = c->nwaiting >= HTTP_WAITING_MAX;
	if (!full) {
		t->cancel_ = false;
		t->began_us_ = http_now_us();
		list_push_back(&c->waiting, &t->link_);
		c->nwaiting++;
		if (!c->thread)
			c->thread = thread_start("http", run, c);
	}
	pthread_mutex_unlock(&c->lock);
	if (full)
		return -ERR_BUSY;
	curl_multi_wakeup(c->multi);
	return 0;
}

void http_transfer_cancel(struct http_client *c, struct http_transfer *t)
{
	pthread_mutex_lock(&c->lock);
	t->cancel_ = true;
	pthread_mutex_unlock(&c->lock);
	curl_multi_wakeup(c->multi);
}

void http_transfer_deinit(struct http_transfer *t)
{
	buf_wipe(&t->answer.body);
}
