#include "base/json.h"

#include "base/utf8.h"

void json_escape(struct buf *out, struct span s)
{
	static const char hex[] = "0123456789abcdef";
	size_t run = 0;

	while (run < s.n) {
		const unsigned char c = (unsigned char)s.p[run];
		if (c >= 0x20 && c < 0x7f && c != '"' && c != '\\') {
			run++;
			continue;
		}
		const size_t wide = c >= 0x80 ? utf8_char_len(span_skip(s, run)) : 0;
		if (wide && !(c == 0xc2 && (unsigned char)s.p[run + 1] < 0xa0)) {
			run += wide;
			continue;
		}
		buf_add(out, s.p, run);
		const unsigned char control = wide ? (unsigned char)s.p[run + 1] : c;
		s = span_skip(s, run + (wide ? wide : 1));
		run = 0;
		switch (c) {
		case '"':
		case '\\':
			buf_add_char(out, '\\');
			buf_add_char(out, (char)c);
			break;
		case '\n':
			buf_add_str(out, "\\n");
			break;
		case '\r':
			buf_add_str(out, "\\r");
			break;
		case '\t':
			buf_add_str(out, "\\t");
			break;
		default:
			if (c >= 0x80 && !wide) {
				buf_add_str(out, "\\ufffd");
			} else {
				buf_add_str(out, "\\u00");
				buf_add_char(out, hex[control >> 4]);
				buf_add_char(out, hex[control & 15]);
			}
		}
	}
	buf_add(out, s.p, run);
}

static void before(struct json *j, const char *key)
{
	if (j->comma)
		buf_add_char(j->out, ',');
	if (key) {
		buf_add_char(j->out, '"');
		buf_add_str(j->out, key);
		buf_add(j->out, "\":", 2);
	}
	j->comma = true;
}

static void open_level(struct json *j, const char *key, char bracket)
{
	before(j, key);
	buf_add_char(j->out, bracket);
	j->comma = false;
}

static void close_level(struct json *j, char bracket)
{
	buf_add_char(j->out, bracket);
	j->comma = true;
}

void json_object(struct json *j, const char *key)
{
	open_level(j, key, '{');
}

void json_object_end(struct json *j)
{
	close_level(j, '}');
}

void json_array(struct json *j, const char *key)
{
	open_level(j, key, '[');
}

void json_array_end(struct json *j)
{
	close_level(j, ']');
}

void json_str(struct json *j, const char *key, struct span value)
{
	before(j, key);
	buf_add_char(j->out, '"');
	json_escape(j->out, value);
	buf_add_char(j->out, '"');
}

void json_cstr(struct json *j, const char *key, const char *value)
{
	if (value)
		json_str(j, key, span_of(value));
	else
		json_null(j, key);
}

void json_int(struct json *j, const char *key, int64_t value)
{
	before(j, key);
	buf_add_i64(j->out, value);
}

void json_bool(struct json *j, const char *key, bool value)
{
	before(j, key);
	buf_add_str(j->out, value ? "true" : "false");
}

void json_null(struct json *j, const char *key)
{
	before(j, key);
	buf_add_str(j->out, "null");
}

void json_key_span(struct json *j, struct span key)
{
	before(j, NULL);
	buf_add_char(j->out, '"');
	json_escape(j->out, key);
	buf_add(j->out, "\":", 2);
	j->comma = false;
}

void json_raw(struct json *j, const char *key, struct span json_text)
{
	before(j, key);
	buf_add_span(j->out, json_text);
}
