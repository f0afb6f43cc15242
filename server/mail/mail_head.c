#include "mail/mail_head.h"

#include "base/check.h"
#include "base/err.h"
#include "mail/mail_char.h"
#include "mail/mail_fold.h"

static struct mail_field *field_at(struct list *link)
{
	return list_entry(link, struct mail_field, link);
}

struct mail_head *mail_head_new(struct arena *a)
{
	struct mail_head *h = arena_new_of(a, struct mail_head);

	if (!h)
		return NULL;
	h->arena = a;
	list_init(&h->fields);
	return h;
}

/* --- parsing --- */

/* Length of the line at the start of @s, with its LF if there is one. */
static size_t line_len(struct span s)
{
	const ptrdiff_t lf = span_find_char(s, '\n');

	return lf < 0 ? s.n : (size_t)lf + 1;
}

static struct span without_line_end(struct span s)
{
	if (s.n && s.p[s.n - 1] == '\n')
		s.n--;
	if (s.n && s.p[s.n - 1] == '\r')
		s.n--;
	return s;
}

/* Length of the field at the start of @s: its line and those that continue it. */
static size_t field_len(struct span s)
{
	size_t n = line_len(s);

	while (n < s.n && mail_is_wsp(s.p[n]))
		n += line_len(span_skip(s, n));
	return n;
}

static unsigned line_oddities(struct span line)
{
	const struct span text = without_line_end(line);
	unsigned seen = 0;

	if (text.n + 1 == line.n)
		seen |= line.p[text.n] == '\n' ? MAIL_HEAD_BARE_LF : MAIL_HEAD_BARE_CR;
	if (text.n > MAIL_LINE_MAX)
		seen |= MAIL_HEAD_LONG_LINE;
	for (size_t i = 0; i < text.n; i++) {
		if (mail_is_8bit(text.p[i]))
			seen |= MAIL_HEAD_8BIT;
		else if (text.p[i] == '\r')
			seen |= MAIL_HEAD_BARE_CR;
		else if (text.p[i] == '\0')
			seen |= MAIL_HEAD_NUL;
	}
	return seen;
}

static unsigned field_oddities(struct span raw)
{
	unsigned seen = 0;

	while (raw.n) {
		const size_t n = line_len(raw);
		seen |= line_oddities(span_first(raw, n));
		raw = span_skip(raw, n);
	}
	return seen;
}

/* @raw is known to hold a name and a colon. */
static void field_set_raw(struct mail_field *f, struct span raw)
{
	const ptrdiff_t colon = span_find_char(raw, ':');

	require(colon > 0);
	f->raw = raw;
	f->name = span_trim(span_first(raw, (size_t)colon));
	f->body = without_line_end(span_skip(raw, (size_t)colon + 1));
}

static int parse_fields(struct mail_head *h, struct span s)
{
	while (s.n) {
		const struct span raw = span_first(s, field_len(s));
		struct mail_field *f = NULL;

		if (h->count < MAIL_HEAD_FIELDS_MAX)
			f = arena_new_of(h->arena, struct mail_field);
		if (!f)
			return -ERR_TOOBIG;
		field_set_raw(f, raw);
		h->oddities |= field_oddities(raw);
		if (f->raw.p[f->name.n] != ':')
			h->oddities |= MAIL_HEAD_NAME_SPACE;
		list_push_back(&h->fields, &f->link);
		h->count++;
		s = span_skip(s, raw.n);
	}
	return 0;
}

/* The first line is a field, or else an mbox line: anything else would have ended the header section. */
static bool begins_with_mbox_line(struct span s)
{
	size_t i = 0;

	if (s.n && s.p[0] == '>')
		i = 1;
	if (!span_starts(span_skip(s, i), SPAN("From ")))
		return false;
	for (i += 5; i < s.n && mail_is_wsp(s.p[i]); i++)
		;
	return i < s.n && s.p[i] != ':';
}

int mail_head_parse(struct arena *a, struct span in, size_t octets_max, struct mail_head **head_r)
{
	struct mail_head_scan scan = MAIL_HEAD_SCAN_INIT;
	const size_t max = octets_max < INT32_MAX ? octets_max : INT32_MAX;

	mail_head_scan_feed(&scan, span_first(in, max));
	if (scan.end == MAIL_HEAD_END_NONE && in.n > max)
		return -ERR_TOOBIG;
	mail_head_scan_finish(&scan);
	struct mail_head *h = mail_head_new(a);
	if (!h)
		return -ERR_TOOBIG;
	h->end = scan.end;
	const size_t octets = scan.end == MAIL_HEAD_END_NONE ? in.n : (size_t)scan.line_octets;
	struct span s = span_first(in, octets);
	if (scan.end == MAIL_HEAD_END_BLANK) {
		const struct span fields = without_line_end(s);
		h->oddities |= line_oddities(span_skip(s, fields.n));
		s = fields;
	} else if (scan.end == MAIL_HEAD_END_JUNK) {
		h->oddities |= MAIL_HEAD_NO_BLANK;
	}
	if (begins_with_mbox_line(s)) {
		h->oddities |= MAIL_HEAD_MBOX_LINE;
		h->mbox_line = span_first(s, field_len(s));
		h->oddities |= field_oddities(h->mbox_line);
		s = span_skip(s, h->mbox_line.n);
	}
	const int rc = parse_fields(h, s);
	if (rc < 0)
		return rc;
	*head_r = h;
	return (int)octets;
}

const char *mail_head_oddity_text(unsigned oddities)
{
#define X(name, bit, text)                                                                                   \
	if (oddities & MAIL_HEAD_##name)                                                                     \
		return text;
	MAIL_HEAD_ODDITY_MAP(X)
#undef X
	return "nothing odd";
}

/* --- looking --- */

struct mail_field *mail_head_next(const struct mail_head *h, const struct mail_field *after)
{
	struct list *next = after ? after->link.next : h->fields.next;

	return next == &h->fields ? NULL : field_at(next);
}

struct mail_field *mail_head_find(const struct mail_head *h, struct span name, int nth)
{
	const bool up = nth < 0;
	long long left = up ? -(long long)nth - 1 : nth;

	for (struct list *it = up ? h->fields.prev : h->fields.next; it != &h->fields;
	     it = up ? it->prev : it->next) {
		struct mail_field *f = field_at(it);
		if (span_ieq(f->name, name) && left-- == 0)
			return f;
	}
	return NULL;
}

size_t mail_head_count(const struct mail_head *h, struct span name)
{
	size_t n = 0;

	list_for_each(it, &h->fields)
		n += span_ieq(field_at(it)->name, name);
	return n;
}

struct span mail_field_value(struct arena *a, const struct mail_field *f)
{
	const struct span body = span_trim(f->body);
	size_t n = 0;

	if (span_find_char(body, '\n') < 0)
		return body;
	char *p = arena_alloc(a, body.n + 1);
	if (!p)
		return (struct span){ NULL, 0 };
	for (size_t i = 0; i < body.n; i++) {
		const bool cr = body.p[i] == '\r' && i + 1 < body.n && body.p[i + 1] == '\n';
		if (!cr && body.p[i] != '\n')
			p[n++] = body.p[i];
	}
	return span_trim(span_make(p, n));
}

struct span mail_head_value(const struct mail_head *h, struct span name)
{
	const struct mail_field *f = mail_head_find(h, name, 0);

	return f ? mail_field_value(h->arena, f) : (struct span){ NULL, 0 };
}

/* --- editing --- */

/* Builds the octets of a field in the arena. */
static int build_raw(struct mail_head *h, struct span name, struct span value, unsigned flags,
		     struct span *raw_r)
{
	struct buf b = BUF_INIT(MAIL_FIELD_OCTETS_MAX);
	int rc = mail_field_write(&b, name, value, flags);

	if (rc == 0) {
		const struct span raw = arena_dup(h->arena, buf_span(&b));
		if (raw.p)
			*raw_r = raw;
		else
			rc = -ERR_TOOBIG;
	}
	buf_free(&b);
	return rc;
}

/* What we add comes on top of what others may send. */
enum { OWN_FIELDS_MAX = 100 };

static int add_field(struct mail_head *h, struct span raw, bool top)
{
	struct mail_field *f = NULL;

	if (h->count < MAIL_HEAD_FIELDS_MAX + OWN_FIELDS_MAX)
		f = arena_new_of(h->arena, struct mail_field);
	if (!f)
		return -ERR_TOOBIG;
	field_set_raw(f, raw);
	f->built = true;
	if (top)
		list_push_front(&h->fields, &f->link);
	else
		list_push_back(&h->fields, &f->link);
	h->count++;
	h->edited = true;
	return 0;
}

int mail_head_prepend(struct mail_head *h, struct span name, struct span value, unsigned flags)
{
	struct span raw = { NULL, 0 };
	const int rc = build_raw(h, name, value, flags, &raw);

	return rc < 0 ? rc : add_field(h, raw, true);
}

int mail_head_append(struct mail_head *h, struct span name, struct span value, unsigned flags)
{
	struct span raw = { NULL, 0 };
	const int rc = build_raw(h, name, value, flags, &raw);

	return rc < 0 ? rc : add_field(h, raw, false);
}

/* One line of a raw field: not too long, CRLF at its end, not blank, nothing in it that ends lines for
 * somebody. */
static bool raw_line_ok(struct span line)
{
	bool blank = true;

	if (line.n < 2 || line.n > MAIL_LINE_MAX + 2 || line.p[line.n - 2] != '\r' ||
	    line.p[line.n - 1] != '\n')
		return false;
	for (size_t i = 0; i < line.n - 2; i++) {
		if (mail_is_control(line.p[i]) && line.p[i] != '\t')
			return false;
		blank &= mail_is_wsp(line.p[i]);
	}
	return !blank;
}

static bool raw_ok(struct span raw)
{
	const ptrdiff_t colon = span_find_char(raw, ':');

	if (colon < 0 || !mail_field_name_ok(span_trim(span_first(raw, (size_t)colon))) ||
	    mail_is_wsp(raw.p[0]))
		return false;
	if (field_len(raw) != raw.n)
		return false;
	while (raw.n) {
		const size_t n = line_len(raw);
		if (!raw_line_ok(span_first(raw, n)))
			return false;
		raw = span_skip(raw, n);
	}
	return true;
}

int mail_head_prepend_raw(struct mail_head *h, struct span raw)
{
	return raw_ok(raw) ? add_field(h, raw, true) : -ERR_INVAL;
}

int mail_head_replace_raw(struct mail_head *h, struct mail_field *f, struct span raw)
{
	if (!raw_ok(raw))
		return -ERR_INVAL;
	field_set_raw(f, raw);
	f->built = true;
	h->edited = true;
	return 0;
}

int mail_head_replace(struct mail_head *h, struct mail_field *f, struct span value, unsigned flags)
{
	struct span raw = { NULL, 0 };
	const int rc = build_raw(h, f->name, value, flags, &raw);

	if (rc < 0)
		return rc;
	field_set_raw(f, raw);
	f->built = true;
	h->edited = true;
	return 0;
}

void mail_head_remove(struct mail_head *h, struct mail_field *f)
{
	if (!verify(h->count > 0))
		return;
	list_remove(&f->link);
	h->count--;
	h->edited = true;
}

size_t mail_head_remove_all(struct mail_head *h, struct span name)
{
	size_t n = 0;

	list_for_each_safe(it, &h->fields) {
		if (!span_ieq(field_at(it)->name, name))
			continue;
		mail_head_remove(h, field_at(it));
		n++;
	}
	return n;
}

/* --- writing --- */

/* Adds lines as they are, but for line ends: each is CRLF, also at the end, and CR stands nowhere else. */
static void write_lines(struct buf *out, struct span s)
{
	while (s.n && !out->overflow) {
		struct span line = span_first(s, line_len(s));
		s = span_skip(s, line.n);
		line = without_line_end(line);
		for (ptrdiff_t cr; (cr = span_find_char(line, '\r')) >= 0;
		     line = span_skip(line, (size_t)cr + 1)) {
			buf_add(out, line.p, (size_t)cr);
			buf_add_char(out, ' ');
		}
		buf_add_span(out, line);
		buf_add_str(out, "\r\n");
	}
}

bool mail_field_copy(struct buf *out, const struct mail_field *f)
{
	if (f->built)
		return buf_add_span(out, f->raw);
	write_lines(out, f->raw);
	return !out->overflow;
}

int mail_head_write(const struct mail_head *h, struct buf *out)
{
	list_for_each(it, &h->fields)
		mail_field_copy(out, field_at(it));
	return buf_add_str(out, "\r\n") ? 0 : -ERR_TOOBIG;
}
