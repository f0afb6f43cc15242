/* io/loop_priv.h - the inside of a loop, for the files of io/ alone (it is the only header that shows
 * uv.h). */
#pragma once

#include <stdatomic.h>
#include <uv.h>

#include "io/loop.h"
#include "io/out_queue.h"

enum { LOOP_READ_MAX = 64 * 1024 };

struct loop {
	uv_loop_t uv;
	uv_timer_t alarm;     /* set to the first due timer of the heap */
	uv_prepare_t prepare; /* before the loop blocks: end of turn, alarm */
	uv_check_t check;     /* after the callbacks for descriptors: end of turn */
	uv_idle_t idle;       /* active while tasks are left over: then the loop does not block */
	uv_async_t bell;      /* rung by the mailbox */
	struct mailbox mailbox;
	struct heap timers;
	int64_t alarm_us;       /* what `alarm` is set to; 0 = not set */
	struct list tasks;      /* run first */
	struct list tasks_last; /* flushes: after all completions of the turn */
	int64_t now_us, wall_us;
	int64_t ahead_us; /* loop_clock_advance() */
	bool now_known, wall_known;
	bool held; /* loop_clock_hold() */
	bool stopping;
	_Atomic uint64_t turns;
	char *read_buf; /* LOOP_READ_MAX octets that all streams read into; allocated on first use */
	struct out_pool out_pool;
};

/* The shared read buffer: what is in it is gone after the callback. */
char *loop_read_buf(struct loop *l);
