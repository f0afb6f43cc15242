#include "base/log_render.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/utf8.h"

static struct span text_of(const struct log_rec *r, const struct log_value *v)
{
	return span_first(span_skip(buf_span(&r->to->text), v->text.at), v->text.n);
}

static const struct log_value *find(const struct log_rec *r, enum log_field f)
{
	for (unsigned i = 0; i < r->n; i++)
		if (r->v[i].field == f)
			return &r->v[i];
	return NULL;
}

/* The text of the second that @wall_us is in; @render makes it when the last record was in another. */
static const char *stamp(struct log_stamp *st, int64_t wall_us,
			 void (*render)(struct log_stamp *st, time_t t))
{
	const int64_t second = wall_us / 1000000 - (wall_us % 1000000 < 0);

	if (second != st->second) {
		st->second = second;
		render(st, (time_t)second);
	}
	return st->text;
}

/* ---- JSON ----------------------------------------------------------------------------------------------------- */

static void stamp_utc(struct log_stamp *st, time_t t)
{
	struct tm tm = { 0 };

	gmtime_r(&t, &tm);
	strftime(st->text, sizeof st->text, "%Y-%m-%dT%H:%M:%S", &tm);
}

static void add_time(struct buf *out, struct log_stamp *st, int64_t wall_us)
{
	char micro[] = ".000000Z\"";
	int64_t us = (wall_us % 1000000 + 1000000) % 1000000;

	for (unsigned i = 6; i > 0; i--, us /= 10)
		micro[i] = (char)('0' + us % 10);
	buf_add_str(out, "{\"time\":\"");
	buf_add_str(out, stamp(st, wall_us, stamp_utc));
	buf_add(out, micro, sizeof micro - 1);
}

void log_render_json(struct buf *out, const struct log_rec *r, int64_t wall_us)
{
	struct json j = json_to(out);

	add_time(out, &r->to->stamp, wall_us);
	j.comma = true;
	json_cstr(&j, "level", log_level_name(log_event_level(r->event)));
	json_cstr(&j, "event", log_event_name(r->event));
	if (r->to->node)
		json_cstr(&j, "node", r->to->node);
	if (r->to->worker >= 0)
		json_int(&j, "worker", r->to->worker);
	for (unsigned i = 0; i < r->n; i++) {
		const struct log_value *v = &r->v[i];
		const char *key = log_field_name(v->field);
		switch ((enum log_type)v->type) {
		case LOG_TYPE_STR:
			json_str(&j, key, text_of(r, v));
			break;
		case LOG_TYPE_INT:
			json_int(&j, key, v->i);
			break;
		case LOG_TYPE_BOOL:
			json_bool(&j, key, v->i != 0);
			break;
		case LOG_TYPE_JSON:
			json_raw(&j, key, text_of(r, v));
			break;
		}
	}
	if (r->cut)
		json_bool(&j, "cut", true);
	json_object_end(&j);
	buf_add_char(out, '\n');
}

/* ---- the manner of Postfix ------------------------------------------------------------------------------------ */

static void stamp_syslog(struct log_stamp *st, time_t t)
{
	/* Not strftime's %b: month names must not follow the locale. */
	static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
					    "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	struct tm tm = { 0 };

	localtime_r(&t, &tm);
	memcpy(st->text, months[tm.tm_mon % 12], 3);
	strftime(st->text + 3, sizeof st->text - 3, " %e %H:%M:%S", &tm);
}

static void begin_line(struct buf *out, const struct log_rec *r, int64_t wall_us, struct span service)
{
	buf_add_str(out, stamp(&r->to->stamp, wall_us, stamp_syslog));
	buf_add_char(out, ' ');
	buf_add_str(out, r->to->node ? r->to->node : "localhost");
	buf_add_str(out, " postern/");
	buf_add_span(out, service);
	buf_add_char(out, '[');
	buf_add_i64(out, getpid());
	buf_add_str(out, "]: ");
}

/* As Postfix does it, what is not printable becomes a question mark. */
static void add_printable(struct buf *out, struct span s, bool upper)
{
	while (s.n) {
		size_t plain = 0;
		while (plain < s.n && s.p[plain] >= 0x20 && s.p[plain] < 0x7f && !upper)
			plain++;
		buf_add(out, s.p, plain);
		s = span_skip(s, plain);
		if (!s.n)
			break;
		const unsigned char c = (unsigned char)s.p[0];
		size_t n = utf8_char_len(s);
		if (n == 0 || c < 0x20 || c == 0x7f || (c == 0xc2 && (unsigned char)s.p[1] < 0xa0)) {
			buf_add_char(out, '?');
			n = n ? n : 1;
		} else if (upper && n == 1) {
			buf_add_char(out, ascii_upper(s.p[0]));
		} else {
			buf_add(out, s.p, n);
		}
		s = span_skip(s, n);
	}
}

/* Seconds as Postfix logs them: two significant digits and no more than two behind the point. */
static void add_seconds(struct buf *out, int64_t us)
{
	const int64_t hundredths = us < 0 ? 0 : us / 10000;

	buf_add_i64(out, hundredths / 100);
	if (hundredths >= 1000)
		return;
	const char tenth = (char)('0' + hundredths / 10 % 10);
	const char hundredth = (char)(hundredths < 100 ? '0' + hundredths % 10 : '0');
	if (tenth == '0' && hundredth == '0')
		return;
	buf_add_char(out, '.');
	buf_add_char(out, tenth);
	if (hundredth != '0')
		buf_add_char(out, hundredth);
}

static void add_value(struct buf *out, const struct log_rec *r, const struct log_value *v, bool upper)
{
	switch ((enum log_type)v->type) {
	case LOG_TYPE_STR:
		add_printable(out, text_of(r, v), upper);
		break;
	case LOG_TYPE_INT:
		if (span_ends(span_of(log_field_name(v->field)), SPAN("_us")))
			add_seconds(out, v->i);
		else
			buf_add_i64(out, v->i);
		break;
	case LOG_TYPE_BOOL:
		buf_add_str(out, v->i ? "yes" : "no");
		break;
	case LOG_TYPE_JSON:
		buf_add_span(out, text_of(r, v));
		break;
	}
}

/* Writes one line of a Postfix form and returns what is behind it; NULL after the last. */
static const char *add_template(struct buf *out, const struct log_rec *r, const char *at)
{
	for (; *at && *at != '\n'; at++) {
		if (*at != 1) {
			buf_add_char(out, *at);
			continue;
		}
		const struct log_value *v = find(r, (enum log_field)((unsigned char)at[1] - 1));
		at += 2;
		const bool upper = *at == 3;
		const char *missing = at + upper, *end = strchr(missing, 2);
		require(end != NULL); /* schema/gen/c_headers.lua writes it */
		if (v)
			add_value(out, r, v, upper);
		else
			buf_add(out, missing, (size_t)(end - missing));
		at = end;
	}
	buf_add_char(out, '\n');
	return *at ? at + 1 : NULL;
}

/* A value that could be taken for the next field is put in quotes. */
static void add_quoted(struct buf *out, struct span s)
{
	bool plain = s.n > 0;

	for (size_t i = 0; i < s.n && plain; i++)
		plain = s.p[i] > ' ' && s.p[i] < 0x7f && !strchr(",;=\"\\", s.p[i]);
	if (plain) {
		buf_add_span(out, s);
		return;
	}
	buf_add_char(out, '"');
	while (s.n) {
		size_t run = 0;
		while (run < s.n && s.p[run] != '"' && s.p[run] != '\\')
			run++;
		add_printable(out, span_first(s, run), false);
		if (run < s.n) {
			buf_add_char(out, '\\');
			buf_add_char(out, s.p[run]);
			run++;
		}
		s = span_skip(s, run);
	}
	buf_add_char(out, '"');
}

/* "ID: warning: event: field=value, ..." */
static void add_generic(struct buf *out, const struct log_rec *r)
{
	const struct log_value *id = find(r, LOG_F_ID);
	const enum log_level level = log_event_level(r->event);
	const char *before = ": ";

	if (id) {
		add_value(out, r, id, false);
		buf_add_str(out, ": ");
	}
	buf_add_str(out, level == LOG_LEVEL_ERROR ? "error: " : level == LOG_LEVEL_WARN ? "warning: " : "");
	buf_add_str(out, log_event_name(r->event));
	for (unsigned i = 0; i < r->n; i++, before = ", ") {
		const struct log_value *v = &r->v[i];
		if (v == id) {
			continue;
		}
		buf_add_str(out, before);
		buf_add_str(out, log_field_name(v->field));
		buf_add_char(out, '=');
		if (v->type == LOG_TYPE_STR)
			add_quoted(out, text_of(r, v));
		else if (v->type == LOG_TYPE_INT)
			buf_add_i64(out, v->i); /* the field's name says the unit */
		else
			add_value(out, r, v, false);
	}
	buf_add_char(out, '\n');
}

void log_render_postfix(struct buf *out, const struct log_rec *r, int64_t wall_us)
{
	const char *at = log_event_info(r->event)->postfix;

	if (!at) {
		begin_line(out, r, wall_us, SPAN("server"));
		add_generic(out, r);
	}
	while (at) {
		const char *tab = strchr(at, '\t');
		require(tab != NULL); /* schema/gen/c_headers.lua writes it */
		begin_line(out, r, wall_us, span_make(at, (size_t)(tab - at)));
		at = add_template(out, r, tab + 1);
	}
}
