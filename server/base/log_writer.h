/* base/log_writer.h - the sink that all loggers of the process share.
 *
 * A thread of its own writes to the descriptor, so that a reader that stands still (a full pipe, a stuck journal) never
 * stops a worker: at most `pending_max` octets wait, and what comes then is lost and counted. The order of one logger's
 * lines is kept, lines are never mixed, and after a write that failed in the middle of a line the next one begins anew.
 *
 * Ownership: the creator closes it after the last logger is flushed; the descriptor stays the caller's.
 * Threads: the sink and log_writer_lost() from any.  Tests: tests/unit/base/test_log_writer.c
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"

enum { LOG_PENDING_MAX = 8 * 1024 * 1024 };

struct log_writer;

struct log_writer *log_writer_new(int fd, size_t pending_max);
struct log_sink log_writer_sink(struct log_writer *w);

/* Lines lost since the start. */
uint64_t log_writer_lost(struct log_writer *w);

/* Waits at most @wait_ms until all is written, then ends the thread and sets *w to NULL. Returns false when the reader did not
 * take it all: then the thread and the memory are left to the end of the process, which must be near. */
bool log_writer_close(struct log_writer **w, unsigned wait_ms);
