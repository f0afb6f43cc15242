/* base/log.h - log events with typed fields.
 *
 * schema/log_events.lua names every event and its fields; gen/log_events.h has the enums. A record is built on the stack and
 * goes to the sink of the logger as one line:
 *
 *     struct log_rec r;
 *     if (log_begin(&r, logger, LOG_EV_SESSION_FINISHED)) {
 *         log_str(&r, LOG_F_SESSION, span_of(id.s));
 *         log_int(&r, LOG_F_DURATION_US, us);
 *         log_end(&r);
 *     }
 *
 * A field that the schema does not give the event, or that has another type, fails verify() and is left out; so does a second
 * value for the same field. Peer bytes are copied as they are and escaped when the line is written. A string longer than its
 * field allows is cut; what does not fit into LOG_REC_MAX octets is left out, and the record says "cut":true.
 *
 * Formats: JSON, one object a line; or the manner of Postfix, so that tools that read its log go on working.
 *
 * Threads: a logger belongs to one thread; lines are gathered and handed to the sink by log_flush() (at the end of a loop turn)
 * or when LOG_BATCH_MAX octets wait. The sink is called with whole lines; one that several loggers share must be safe from any
 * thread (base/log_writer.h is).
 * Errors: none. Tests: tests/unit/base/test_log.c
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/span.h"
#include "gen/log_events.h" /* enum log_event, enum log_field, enum log_level */

enum { LOG_STR_MAX = 1024, LOG_REC_MAX = 64 * 1024, LOG_BATCH_MAX = 64 * 1024, LOG_REC_FIELDS_MAX = 40 };

enum log_format { LOG_FORMAT_JSON, LOG_FORMAT_POSTFIX };

struct log_sink {
	void (*write)(void *arg, struct span lines);
	void *arg;
};

/* The text of the second that the last record was in. */
struct log_stamp {
	int64_t second;
	char text[24];
};

struct logger {
	struct log_sink sink;
	enum log_level level_max; /* events above it are not built */
	enum log_format format;
	/* The clock of the time field; the system's if the owner sets no other. */
	int64_t (*wall_us)(void *arg);
	void *wall_arg;
	const char *node;        /* this host's name in every record; borrowed */
	int worker;              /* -1: not a worker */
	struct buf batch;        /* finished lines */
	struct buf text;         /* the strings of the records that are being built */
	unsigned open;           /* records that are being built */
	struct log_rec *json_of; /* the one whose last value is JSON that its caller still writes */
	struct log_stamp stamp;
};

enum log_type { LOG_TYPE_STR, LOG_TYPE_INT, LOG_TYPE_BOOL, LOG_TYPE_JSON };

struct log_value {
	uint8_t field; /* enum log_field */
	uint8_t type;  /* enum log_type */
	union {
		int64_t i;
		struct {
			uint32_t at, n; /* in logger.text */
		} text;
	};
};

struct log_rec {
	struct logger *to;
	enum log_event event;
	unsigned n;
	bool cut; /* something did not fit */
	struct json json;
	struct log_value v[LOG_REC_FIELDS_MAX];
};

/* A logger of level info in JSON; `level_max` and the rest are set by the owner afterwards. */
void logger_init(struct logger *lg, struct log_sink sink);
void logger_deinit(struct logger *lg); /* flushes */

/* False when the event is above the logger's level: the record must not be filled. */
bool log_begin(struct log_rec *r, struct logger *lg, enum log_event event);
/* {NULL, 0} is left out; an empty string is not. */
void log_str(struct log_rec *r, enum log_field f, struct span value);
void log_cstr(struct log_rec *r, enum log_field f, const char *value); /* NULL is left out */
void log_int(struct log_rec *r, enum log_field f, int64_t value);
void log_bool(struct log_rec *r, enum log_field f, bool value);
/* A field whose value is JSON that the caller builds (one list, one object) before it sets another field of any record of this
 * logger. What does not fit is left out as a whole. Never NULL. */
struct json *log_json(struct log_rec *r, enum log_field f);
void log_end(struct log_rec *r);
void log_flush(struct logger *lg);

/* A record of the one field `text`, for start-up and rare conditions. */
void log_text(struct logger *lg, enum log_event event, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

const char *log_event_name(enum log_event event);
enum log_level log_event_level(enum log_event event);
const char *log_field_name(enum log_field f);
const char *log_level_name(enum log_level level);
bool log_level_parse(struct span s, enum log_level *level_r);

/* A sink that writes to @fd, whole lines, blocking, for programs with one logger. */
struct log_sink log_sink_fd(int fd);
