#include "mail/mail_address.h"

#include "base/err.h"
#include "mail/mail_char.h"
#include "mail/mail_fold.h"

/* A place in the input. The skip_ functions stand at the opening character, move behind the closing one, and
 * return false, at the end of the input, if there is none. */
struct cursor {
	struct span in;
	size_t at;
};

static bool at_end(const struct cursor *c)
{
	return c->at >= c->in.n;
}

/* The octet here, NUL at the end: no state of the parser treats a NUL in the input as anything but an
 * error. */
static char peek(const struct cursor *c)
{
	return at_end(c) ? '\0' : c->in.p[c->at];
}

static bool skip_quoted(struct cursor *c)
{
	for (c->at++; !at_end(c); c->at++) {
		if (peek(c) == '\\')
			c->at++;
		else if (peek(c) == '"')
			return c->at++, true;
	}
	c->at = c->in.n;
	return false;
}

static bool skip_comment(struct cursor *c)
{
	size_t depth = 0;

	for (; !at_end(c); c->at++) {
		if (peek(c) == '\\')
			c->at++;
		else if (peek(c) == '(')
			depth++;
		else if (peek(c) == ')' && --depth == 0)
			return c->at++, true;
	}
	c->at = c->in.n;
	return false;
}

/* Skips white space and comments (CFWS). */
static bool skip_cfws(struct cursor *c)
{
	while (!at_end(c)) {
		if (peek(c) == '(') {
			if (!skip_comment(c))
				return false;
		} else if (mail_is_space(peek(c))) {
			c->at++;
		} else {
			break;
		}
	}
	return true;
}

/* --- one addr-spec --- */

/* What is read of an address: its decoded octets go to @text, first those of the local part, then those of
 * the domain. */
struct spec {
	struct cursor c;
	char *text;
	size_t n;
	unsigned flags;
};

static bool spec_skip_cfws(struct spec *s)
{
	const size_t before = s->c.at;

	if (!skip_cfws(&s->c))
		return false;
	if (s->c.at != before && !at_end(&s->c))
		s->flags |= MAIL_MAILBOX_COMMENT;
	return true;
}

static bool read_quoted_word(struct spec *s)
{
	struct cursor end = s->c;

	if (!skip_quoted(&end))
		return false;
	s->flags |= MAIL_MAILBOX_QUOTED;
	for (s->c.at++; s->c.at < end.at - 1; s->c.at++) {
		char c = peek(&s->c);
		if (c == '\r' || c == '\n') /* folding */
			continue;
		if (c == '\\')
			c = s->c.in.p[++s->c.at];
		if (mail_is_control(c) && c != '\t')
			return false;
		s->text[s->n++] = c;
	}
	s->c = end;
	return true;
}

static void read_atom(struct spec *s)
{
	while (!at_end(&s->c) && mail_is_atext(peek(&s->c)))
		s->text[s->n++] = s->c.in.p[s->c.at++];
}

/* Reads words, or atoms, between dots: a local part or a domain. *end_r is the place behind the last of them;
 * white space and comments that follow are skipped too. */
static bool read_dotted(struct spec *s, bool quoted_allowed, size_t *end_r)
{
	bool words = false, dot = true; /* dot: a word may stand here */

	for (;;) {
		if (!spec_skip_cfws(s))
			return false;
		const char c = peek(&s->c);
		if (c == '.') {
			if (dot)
				s->flags |= MAIL_MAILBOX_DOTS;
			s->text[s->n++] = c;
			s->c.at++;
		} else if (dot && c == '"' && quoted_allowed) {
			if (!read_quoted_word(s))
				return false;
			words = true;
		} else if (dot && mail_is_atext(c)) {
			read_atom(s);
			words = true;
		} else {
			break;
		}
		dot = c == '.';
		*end_r = s->c.at;
	}
	if (dot)
		s->flags |= MAIL_MAILBOX_DOTS;
	return words;
}

/* "[192.0.2.1]": to the closing bracket. */
static bool read_literal(struct spec *s, size_t *end_r)
{
	const size_t start = s->n;

	while (!at_end(&s->c)) {
		const char c = s->c.in.p[s->c.at++];
		if (c <= ' ' || c >= 0x7f || c == '\\' || (c == '[' && s->n > start))
			return false;
		s->text[s->n++] = c;
		if (c == ']') {
			*end_r = s->c.at;
			return s->n > start + 2 && spec_skip_cfws(s);
		}
	}
	return false;
}

/* "@one,@two:" in front of an address (obs-route): accepted, and ignored as RFC 5321 appendix C has it. */
static bool skip_route(struct spec *s)
{
	while (!at_end(&s->c) && peek(&s->c) != ':') {
		const char c = peek(&s->c);
		if (c == '(') {
			if (!skip_comment(&s->c))
				return false;
			continue;
		}
		if (c == '<' || c == '>' || c == '"' || (mail_is_control(c) && !mail_is_space(c)))
			return false;
		s->c.at++;
	}
	if (at_end(&s->c))
		return false;
	s->c.at++;
	s->flags |= MAIL_MAILBOX_ROUTE;
	return skip_cfws(&s->c);
}

/* Reads all of @in as one address. Returns 1, 0 if it is none, or -ERR_TOOBIG. */
static int read_spec(struct arena *a, struct span in, struct mail_mailbox *m)
{
	struct spec s = { .c = { in, 0 } };
	size_t end = 0;

	if (!skip_cfws(&s.c))
		return 0;
	s.text = arena_alloc(a, in.n + 1);
	if (!s.text)
		return -ERR_TOOBIG;
	const size_t start = s.c.at;
	if (peek(&s.c) == '@' && !skip_route(&s))
		return 0;
	if (!read_dotted(&s, true, &end))
		return 0;
	const size_t local_n = s.n;
	if (peek(&s.c) == '@') {
		s.c.at++;
		if (!spec_skip_cfws(&s))
			return 0;
		if (peek(&s.c) == '[' ? !read_literal(&s, &end) : !read_dotted(&s, false, &end))
			return 0;
	} else {
		s.flags |= MAIL_MAILBOX_NO_DOMAIN;
	}
	if (!at_end(&s.c))
		return 0;
	m->spec = span_first(span_skip(in, start), end - start);
	m->local = span_make(s.text, local_n);
	m->domain = span_make(s.text + local_n, s.n - local_n);
	m->flags |= s.flags;
	return 1;
}

/* --- the list --- */

enum stop { STOP_COMMA, STOP_GROUP_BEGIN, STOP_GROUP_END };

/* A piece of the list between commas, colon and semicolon. */
struct element {
	struct span all;
	ptrdiff_t open, close; /* of the first "<" ... ">", or -1 */
	enum stop stop;
	bool broken; /* something was not closed */
};

/* The angle brackets around an address: stands on "<", moves behind ">". */
static bool skip_angle(struct cursor *c)
{
	while (!at_end(c)) {
		const char ch = peek(c);
		if (ch == '"') {
			if (!skip_quoted(c))
				return false;
		} else if (ch == '(') {
			if (!skip_comment(c))
				return false;
		} else {
			c->at++;
			if (ch == '>')
				return true;
		}
	}
	return false;
}

static bool skip_literal(struct cursor *c)
{
	while (!at_end(c) && peek(c) != ']')
		c->at++;
	return !at_end(c);
}

static struct element next_element(struct cursor *c, bool in_group)
{
	struct element e = { .open = -1, .close = -1 };
	const size_t start = c->at;
	bool address = false; /* an "@" or "<" was there: a colon cannot begin a group any more */

	while (!at_end(c) && !e.broken) {
		const char ch = peek(c);
		if (ch == ',' || ch == ';' || (ch == ':' && !in_group && !address))
			break;
		const size_t at = c->at;
		if (ch == '"') {
			e.broken = !skip_quoted(c);
		} else if (ch == '(') {
			e.broken = !skip_comment(c);
		} else if (ch == '<') {
			e.broken = !skip_angle(c);
			if (e.open < 0 && !e.broken) {
				e.open = (ptrdiff_t)(at - start);
				e.close = (ptrdiff_t)(c->at - 1 - start);
			}
		} else if (ch == '[' && at > start && c->in.p[at - 1] == '@') {
			e.broken = !skip_literal(c);
		} else {
			c->at++;
		}
		address |= ch == '@' || ch == '<';
	}
	e.all = span_first(span_skip(c->in, start), c->at - start);
	e.stop = peek(c) == ':' ? STOP_GROUP_BEGIN : peek(c) == ';' ? STOP_GROUP_END : STOP_COMMA;
	c->at++;
	return e;
}

/* Returns 1, 0 if @e is no mailbox, or -ERR_TOOBIG. */
static int read_mailbox(struct arena *a, const struct element *e, struct mail_mailbox *m_r)
{
	struct mail_mailbox m = { .all = mail_trim(e->all) };
	struct span in = e->all;

	if (e->broken)
		return 0;
	if (e->open >= 0) {
		struct cursor behind = { span_skip(e->all, (size_t)e->close + 1), 0 };
		if (!skip_cfws(&behind) || !at_end(&behind))
			return 0;
		m.flags = MAIL_MAILBOX_ANGLE;
		m.name = mail_trim(span_first(e->all, (size_t)e->open));
		in = span_first(span_skip(e->all, (size_t)e->open + 1), (size_t)(e->close - e->open - 1));
	}
	const int rc = read_spec(a, in, &m);
	if (rc > 0)
		*m_r = m;
	return rc;
}

static size_t boxes_possible(struct span in)
{
	size_t n = 1;

	for (size_t i = 0; i < in.n; i++)
		n += in.p[i] == ',' || in.p[i] == ';' || in.p[i] == ':';
	return n;
}

/* Is there nothing but white space and comments? */
static bool is_empty(struct span s)
{
	struct cursor c = { s, 0 };

	return skip_cfws(&c) && at_end(&c);
}

int mail_address_parse(struct arena *a, struct span in, size_t boxes_max, struct mail_address_list *list_r)
{
	struct mail_address_list list = { 0 };
	struct cursor c = { in, 0 };
	struct span group = { NULL, 0 };
	bool in_group = false;
	const size_t possible = boxes_possible(in);
	const size_t cap = possible < boxes_max ? possible : boxes_max;

	list.boxes = arena_array(a, struct mail_mailbox, cap);
	if (!list.boxes)
		return -ERR_TOOBIG;
	while (!at_end(&c)) {
		const struct element e = next_element(&c, in_group);
		struct mail_mailbox m;
		if (e.stop == STOP_GROUP_BEGIN) {
			in_group = true;
			group = mail_trim(e.all);
			list.groups++;
			continue;
		}
		if (!is_empty(e.all)) {
			const int rc = read_mailbox(a, &e, &m);
			if (rc < 0 || (rc > 0 && list.n == cap))
				return -ERR_TOOBIG;
			if (rc > 0) {
				m.group = group;
				list.boxes[list.n++] = m;
			} else if (list.broken++ == 0) {
				list.broken_first = mail_trim(e.all);
			}
		}
		if (e.stop == STOP_GROUP_END) {
			in_group = false;
			group = (struct span){ NULL, 0 };
		}
	}
	*list_r = list;
	return 0;
}
