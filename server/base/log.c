/* A record's strings are gathered raw in logger.text, its numbers in the record; log_end() renders both into logger.batch.
 * Nothing is allocated once the two buffers have their size. Records may nest (a function that logs is called while one is
 * being built): logger.text is emptied when the last of them has ended. */
#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log_render.h"
#include "base/utf8.h"

static const struct log_event_info events[LOG_EV_MAX_] = {
#define X(name, text, level, postfix, ...) { text, LOG_LEVEL_##level, postfix, { __VA_ARGS__ } },
	LOG_EVENT_MAP(X)
#undef X
};

static const struct log_field_info fields[LOG_F_MAX_] = {
#define X(name, text, type, max) { text, LOG_TYPE_##type, max },
	LOG_FIELD_MAP(X)
#undef X
};

static const char *const levels[LOG_LEVEL_MAX_] = {
#define X(name, text) text,
	LOG_LEVEL_MAP(X)
#undef X
};

_Static_assert(LOG_F_MAX_ <= UINT8_MAX, "struct log_value holds a field in an octet");

/* An escaped octet takes six; a Postfix form may name a string in several lines. */
enum { LINE_MAX_BYTES = 8 * LOG_REC_MAX, BATCH_KEEP_BYTES = 2 * LOG_BATCH_MAX };

const struct log_event_info *log_event_info(enum log_event event)
{
	return &events[event];
}

const struct log_field_info *log_field_info(enum log_field f)
{
	return &fields[f];
}

const char *log_event_name(enum log_event event)
{
	return events[event].name;
}

enum log_level log_event_level(enum log_event event)
{
	return events[event].level;
}

const char *log_field_name(enum log_field f)
{
	return fields[f].name;
}

const char *log_level_name(enum log_level level)
{
	return levels[level];
}

bool log_level_parse(struct span s, enum log_level *level_r)
{
	for (unsigned i = 0; i < LOG_LEVEL_MAX_; i++) {
		if (span_eq(s, span_of(levels[i]))) {
			*level_r = (enum log_level)i;
			return true;
		}
	}
	return false;
}

static int64_t system_wall_us(void *arg)
{
	struct timespec ts;

	(void)arg;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

void logger_init(struct logger *lg, struct log_sink sink)
{
	*lg = (struct logger){
		.sink = sink,
		.level_max = LOG_LEVEL_INFO,
		.wall_us = system_wall_us,
		.worker = -1,
		.batch = BUF_INIT(LOG_BATCH_MAX + LINE_MAX_BYTES),
		.text = BUF_INIT(LOG_REC_MAX),
		.stamp = { .second = INT64_MIN },
	};
}

void logger_deinit(struct logger *lg)
{
	log_flush(lg);
	buf_free(&lg->batch);
	buf_free(&lg->text);
}

bool log_begin(struct log_rec *r, struct logger *lg, enum log_event event)
{
	if (events[event].level > lg->level_max)
		return false;
	r->to = lg;
	r->event = event;
	r->n = 0;
	r->cut = false;
	lg->open++;
	return true;
}

/* The JSON that the caller has built since log_json() becomes the last value, or is left out when it did not fit. */
static void close_json(struct log_rec *r)
{
	struct buf *text = &r->to->text;

	if (r->to->json_of == r) {
		struct log_value *v = &r->v[r->n - 1];
		r->to->json_of = NULL;
		v->text.n = (uint32_t)(text->n - v->text.at);
		if (text->overflow) {
			buf_remove(text, v->text.at, v->text.n);
			v->text.n = 0;
			r->cut = true;
		}
		if (v->text.n == 0)
			r->n--;
	}
	text->overflow = false;
}

/* The place for a value of field @f, or NULL when it may not have one. */
static struct log_value *value_of(struct log_rec *r, enum log_field f, enum log_type type)
{
	close_json(r);
	if (!verify((events[r->event].fields[f / 32] >> (f % 32)) & 1) || !verify(fields[f].type == type) ||
	    !verify(r->n < LOG_REC_FIELDS_MAX) || !verify(!r->to->json_of))
		return NULL;
	for (unsigned i = 0; i < r->n; i++)
		if (!verify(r->v[i].field != f))
			return NULL;
	struct log_value *v = &r->v[r->n++];
	v->field = (uint8_t)f;
	v->type = (uint8_t)type;
	v->i = 0;
	return v;
}

void log_str(struct log_rec *r, enum log_field f, struct span value)
{
	if (!value.p)
		return;
	struct log_value *v = value_of(r, f, LOG_TYPE_STR);
	if (!v)
		return;
	if (value.n > fields[f].max) {
		/* Not in the middle of a character. */
		size_t n = fields[f].max;
		for (unsigned back = 0; back < 3 && ((unsigned char)value.p[n] & 0xc0) == 0x80; back++)
			n--;
		value.n = n;
		r->cut = true;
	}
	struct buf *text = &r->to->text;
	v->text.at = (uint32_t)text->n;
	v->text.n = (uint32_t)value.n;
	if (!buf_add_span(text, value)) {
		text->overflow = false;
		r->cut = true;
		r->n--;
	}
}

void log_cstr(struct log_rec *r, enum log_field f, const char *value)
{
	log_str(r, f, span_of(value));
}

void log_int(struct log_rec *r, enum log_field f, int64_t value)
{
	struct log_value *v = value_of(r, f, LOG_TYPE_INT);

	if (v)
		v->i = value;
}

void log_bool(struct log_rec *r, enum log_field f, bool value)
{
	struct log_value *v = value_of(r, f, LOG_TYPE_BOOL);

	if (v)
		v->i = value;
}

struct json *log_json(struct log_rec *r, enum log_field f)
{
	struct log_value *v = value_of(r, f, LOG_TYPE_JSON);
	struct buf *text = &r->to->text;

	r->json = json_to(text);
	if (v) {
		v->text.at = (uint32_t)text->n;
		r->to->json_of = r;
	} else {
		text->overflow = true; /* a bug was reported; what the caller writes goes nowhere */
	}
	return &r->json;
}

void log_end(struct log_rec *r)
{
	struct logger *lg = r->to;

	close_json(r);
	if (!verify(lg->open > 0))
		return;
	const int64_t now_us = lg->wall_us(lg->wall_arg);
	if (lg->format == LOG_FORMAT_POSTFIX)
		log_render_postfix(&lg->batch, r, now_us);
	else
		log_render_json(&lg->batch, r, now_us);
	if (--lg->open == 0)
		buf_reset(&lg->text);
	if (lg->batch.n >= LOG_BATCH_MAX)
		log_flush(lg);
}

void log_flush(struct logger *lg)
{
	if (lg->batch.n)
		lg->sink.write(lg->sink.arg, buf_span(&lg->batch));
	buf_reset(&lg->batch);
	if (lg->batch.cap > BATCH_KEEP_BYTES)
		buf_free(&lg->batch);
}

void log_text(struct logger *lg, enum log_event event, const char *fmt, ...)
{
	struct log_rec r;
	char text[LOG_STR_MAX];
	va_list ap;

	if (!log_begin(&r, lg, event))
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	log_cstr(&r, LOG_F_TEXT, text);
	log_end(&r);
}

static void fd_write(void *arg, struct span lines)
{
	const int fd = (int)(intptr_t)arg;

	while (lines.n) {
		const ssize_t n = write(fd, lines.p, lines.n);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return; /* there is no place to say it */
		lines = span_skip(lines, (size_t)n);
	}
}

struct log_sink log_sink_fd(int fd)
{
	return (struct log_sink){ fd_write, (void *)(intptr_t)fd };
}
