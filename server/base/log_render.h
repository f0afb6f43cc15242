/* base/log_render.h - a record becomes lines; private to log.c.
 *
 * Pure but for the local time zone, which the Postfix form asks for once a second.  Tests: tests/unit/base/test_log.c
 */
#pragma once

#include "base/log.h"

struct log_event_info {
	const char *name;
	enum log_level level;
	const char *postfix; /* gen/log_events.h says what it holds; NULL: none */
	uint32_t fields[LOG_FIELD_WORDS];
};

struct log_field_info {
	const char *name;
	enum log_type type;
	uint32_t max;
};

const struct log_event_info *log_event_info(enum log_event event);
const struct log_field_info *log_field_info(enum log_field f);

/* Both append whole lines to @out. */
void log_render_json(struct buf *out, const struct log_rec *r, int64_t wall_us);
void log_render_postfix(struct buf *out, const struct log_rec *r, int64_t wall_us);
