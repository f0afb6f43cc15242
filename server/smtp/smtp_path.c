#include "smtp/smtp_path.h"

#include "base/check.h"
#include "base/err.h"
#include "base/utf8.h"

/* One parse: what is left, and what has been found. The text is built here and copied into the arena at the
 * end, so that a failed parse costs no room there. */
struct scan {
	struct span in;
	unsigned flags, tolerated;
	const char *why;
	size_t local_n;
	char local[SMTP_LOCAL_LONG_MAX];
	struct span route, domain;
	struct smtp_literal literal;
	unsigned is;
};

static int fail(struct scan *s, const char *why, int err)
{
	s->why = why;
	return -err;
}

static bool at(const struct scan *s, char c)
{
	return s->in.n && s->in.p[0] == c;
}

static bool at_blank(const struct scan *s)
{
	return at(s, ' ') || at(s, '\t');
}

static bool take(struct scan *s, char c)
{
	if (!at(s, c))
		return false;
	s->in = span_skip(s->in, 1);
	return true;
}

static int skip_blanks(struct scan *s)
{
	if (!at_blank(s))
		return 0;
	if (!(s->flags & SMTP_LAX_SPACE))
		return fail(s, "space in or before the address", ERR_SYNTAX);
	s->tolerated |= SMTP_LAX_SPACE;
	while (at_blank(s))
		s->in = span_skip(s->in, 1);
	return 0;
}

/* atext of RFC 5322 section 3.2.3 */
static bool is_atext(char c)
{
	return ascii_is_alnum(c) || (c > ' ' && c < 0x7f && memchr("!#$%&'*+-/=?^_`{|}~", c, 19));
}

static int local_add(struct scan *s, struct span octets)
{
	const size_t max = s->flags & SMTP_LAX_LONG ? SMTP_LOCAL_LONG_MAX : SMTP_LOCAL_MAX;

	if (octets.n > max - s->local_n)
		return fail(s, "local part too long", ERR_TOOBIG);
	memcpy(s->local + s->local_n, octets.p, octets.n);
	s->local_n += octets.n;
	if (s->local_n > SMTP_LOCAL_MAX)
		s->tolerated |= SMTP_LAX_LONG;
	return 0;
}

/* A character above ASCII (RFC 6531 section 3.3). */
static int local_utf8(struct scan *s)
{
	const size_t n = utf8_char_len(s->in);

	if (!(s->flags & SMTP_ALLOW_UTF8))
		return fail(s, "non-ASCII address without SMTPUTF8", ERR_SYNTAX);
	if (n == 0)
		return fail(s, "address is not UTF-8", ERR_SYNTAX);
	const int rc = local_add(s, span_first(s->in, n));
	if (rc < 0)
		return rc;
	s->in = span_skip(s->in, n);
	s->is |= SMTP_PATH_IS_UTF8;
	return 0;
}

/* Quoted-string = DQUOTE *(qtextSMTP / quoted-pairSMTP) DQUOTE; the opening quote is taken already. */
static int local_quoted(struct scan *s)
{
	int rc = 0;

	while (rc == 0) {
		if (s->in.n == 0)
			return fail(s, "closing quote missing", ERR_SYNTAX);
		if (take(s, '"'))
			return s->local_n ? 0 : fail(s, "empty local part", ERR_SYNTAX);
		const bool pair = take(s, '\\');
		if (s->in.n == 0)
			return fail(s, "closing quote missing", ERR_SYNTAX);
		const unsigned char c = (unsigned char)s->in.p[0];
		if (c >= 0x80 && !pair) {
			rc = local_utf8(s);
			continue;
		}
		if (c < ' ' || c >= 0x7f)
			return fail(s, "invalid character in the quoted local part", ERR_SYNTAX);
		rc = local_add(s, span_first(s->in, 1));
		s->in = span_skip(s->in, 1);
	}
	return rc;
}

/* Dot-string = Atom *("." Atom) */
static int local_dotted(struct scan *s)
{
	bool after_dot = true, odd_dots = false;
	int rc = 0;

	while (rc == 0 && s->in.n) {
		const char c = s->in.p[0];
		if ((unsigned char)c >= 0x80) {
			rc = local_utf8(s);
			after_dot = false;
			continue;
		}
		if (c != '.' && !is_atext(c))
			break;
		odd_dots |= c == '.' && after_dot;
		after_dot = c == '.';
		rc = local_add(s, span_first(s->in, 1));
		s->in = span_skip(s->in, 1);
	}
	if (rc < 0)
		return rc;
	if (s->local_n == 0)
		return fail(s, "local part missing or begun by an invalid character", ERR_SYNTAX);
	if (after_dot || odd_dots) {
		if (!(s->flags & SMTP_LAX_DOTS))
			return fail(s, "misplaced dot in the local part", ERR_SYNTAX);
		s->tolerated |= SMTP_LAX_DOTS;
	}
	return 0;
}

/* Everything up to one of @stops or white space. */
static struct span take_until(struct scan *s, const char *stops)
{
	size_t n = 0;

	while (n < s->in.n && s->in.p[n] != ' ' && s->in.p[n] != '\t' &&
	       (!s->in.p[n] || !strchr(stops, s->in.p[n])))
		n++;
	const struct span token = span_first(s->in, n);
	s->in = span_skip(s->in, n);
	return token;
}

/* A-d-l ":" - RFC 5321 section 4.1.1.3: recognised and stripped. */
static int route(struct scan *s)
{
	const char *const start = s->in.p;

	do {
		if (!take(s, '@'))
			return fail(s, "malformed source route", ERR_SYNTAX);
		const int rc = smtp_domain_check(take_until(s, ",:>"), s->flags, &s->tolerated, &s->why);
		if (rc < 0)
			return rc;
	} while (take(s, ','));
	s->route = span_make(start, (size_t)(s->in.p - start));
	return take(s, ':') ? 0 : fail(s, "malformed source route", ERR_SYNTAX);
}

static int domain(struct scan *s)
{
	int rc;

	if (at(s, '[')) {
		s->domain = take_until(s, ">");
		rc = smtp_literal_parse(s->domain, s->flags, &s->tolerated, &s->literal, &s->why);
		if (rc < 0)
			return rc;
		s->domain = span_of(s->literal.text);
		s->is |= SMTP_PATH_IS_LITERAL;
		return 0;
	}
	s->domain = take_until(s, ">");
	rc = smtp_domain_check(s->domain, s->flags, &s->tolerated, &s->why);
	if (rc < 0)
		return rc;
	s->domain.n = (size_t)rc;
	if (!ascii_only(s->domain))
		s->is |= SMTP_PATH_IS_UTF8;
	return 0;
}

/* Mailbox, or a local part alone where that is allowed. */
static int mailbox(struct scan *s)
{
	int rc = take(s, '"') ? local_quoted(s) : local_dotted(s);

	if (rc < 0)
		return rc;
	if (take(s, '@'))
		return domain(s);
	if (s->in.n && !at(s, '>') && !at_blank(s))
		return fail(s, "invalid character in the local part", ERR_SYNTAX);
	/* RFC 5321 section 4.5.1: a case-insensitive local name. */
	if ((s->flags & SMTP_ALLOW_POSTMASTER) &&
	    span_ieq(span_make(s->local, s->local_n), SPAN("postmaster")))
		return 0;
	if (!(s->flags & SMTP_LAX_UNQUALIFIED))
		return fail(s, "address has no domain", ERR_SYNTAX);
	s->tolerated |= SMTP_LAX_UNQUALIFIED;
	return 0;
}

static int path(struct scan *s)
{
	const struct span start = s->in;
	int rc = skip_blanks(s);

	if (rc < 0)
		return rc;
	const struct span written = s->in;
	const bool bracket = take(s, '<');
	if (!bracket) {
		if (s->in.n == 0)
			return fail(s, "address missing", ERR_SYNTAX);
		if (!(s->flags & SMTP_LAX_BRACKETS))
			return fail(s, "address is not in angle brackets", ERR_SYNTAX);
		s->tolerated |= SMTP_LAX_BRACKETS;
	}
	if (bracket && (rc = skip_blanks(s)) < 0)
		return rc;
	if (bracket && at(s, '>')) {
		if (!(s->flags & SMTP_ALLOW_NULL))
			return fail(s, "empty address", ERR_SYNTAX);
		s->is |= SMTP_PATH_IS_NULL;
	} else {
		if (bracket && at(s, '@') && (rc = route(s)) < 0)
			return rc;
		if ((rc = mailbox(s)) < 0)
			return rc;
	}
	if (bracket) {
		if ((rc = skip_blanks(s)) < 0)
			return rc;
		if (!take(s, '>'))
			return fail(s, "closing angle bracket missing", ERR_SYNTAX);
	}
	if (s->in.n && !at_blank(s))
		return fail(s, "space missing after the address", ERR_SYNTAX);

	const size_t octets = written.n - s->in.n;
	if (octets > SMTP_PATH_MAX) {
		if (!(s->flags & SMTP_LAX_LONG) || octets > SMTP_PATH_LONG_MAX)
			return fail(s, "address too long", ERR_TOOBIG);
		s->tolerated |= SMTP_LAX_LONG;
	}
	return (int)(start.n - s->in.n);
}

static bool local_needs_quotes(struct span local)
{
	bool after_dot = true;

	for (size_t i = 0; i < local.n; i++) {
		const char c = local.p[i];
		if (c == '.' ? after_dot : !is_atext(c) && (unsigned char)c < 0x80)
			return true;
		after_dot = c == '.';
	}
	return after_dot && local.n > 0;
}

static struct span dup_lower(struct arena *a, struct span s)
{
	char *const p = arena_alloc(a, s.n + 1);

	if (!p)
		return (struct span){ NULL, 0 };
	for (size_t i = 0; i < s.n; i++)
		p[i] = ascii_lower(s.p[i]);
	return span_make(p, s.n);
}

static int finish(struct arena *a, struct scan *s, int consumed, struct smtp_path *path_r, const char **why_r)
{
	struct smtp_path p = { .is = s->is, .tolerated = s->tolerated };

	if (consumed < 0) {
		*why_r = s->why;
		return consumed;
	}
	p.local = arena_dup(a, span_make(s->local, s->local_n));
	/* A literal is canonical already, and the case of "IPv6:" is part of that. */
	p.domain = s->is & SMTP_PATH_IS_LITERAL ? arena_dup(a, s->domain) : dup_lower(a, s->domain);
	if (s->route.n)
		p.route = arena_dup(a, s->route);
	if (!p.local.p || !p.domain.p || (s->route.n && !p.route.p)) {
		*why_r = "no room for the address";
		return -ERR_NOMEM;
	}
	if (local_needs_quotes(p.local))
		p.is |= SMTP_PATH_IS_QUOTED;
	*path_r = p;
	return consumed;
}

int smtp_path_parse(struct arena *a, struct span in, unsigned flags, struct smtp_path *path_r,
		    const char **why_r)
{
	struct scan s = { .in = in, .flags = flags };

	return finish(a, &s, path(&s), path_r, why_r);
}

int smtp_path_parse_mailbox(struct arena *a, struct span in, unsigned flags, struct smtp_path *path_r,
			    const char **why_r)
{
	struct scan s = { .in = in, .flags = flags };
	int rc = mailbox(&s);

	if (rc >= 0 && s.in.n)
		rc = fail(&s, "something follows the address", ERR_SYNTAX);
	if (rc >= 0 && in.n + 2 > SMTP_PATH_MAX && !(flags & SMTP_LAX_LONG))
		rc = fail(&s, "address too long", ERR_TOOBIG);
	return finish(a, &s, rc < 0 ? rc : (int)in.n, path_r, why_r);
}

/* ---- writing
 * -------------------------------------------------------------------------------------------------- */

static bool has_control(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f)
			return true;
	return false;
}

int smtp_path_format_mailbox(const struct smtp_path *path, struct buf *out)
{
	const size_t before = out->n;
	bool ok = true;

	/* The parser lets none of these through; a path may have been made elsewhere. */
	if (has_control(path->local) || has_control(path->domain) || span_find_char(path->domain, ' ') >= 0 ||
	    span_find_char(path->domain, '>') >= 0 || (path->local.n == 0 && path->domain.n))
		return -ERR_INVAL;
	if (local_needs_quotes(path->local)) {
		ok = buf_add_char(out, '"');
		for (size_t i = 0; i < path->local.n && ok; i++) {
			const char c = path->local.p[i];
			if (c == '"' || c == '\\')
				ok = buf_add_char(out, '\\');
			ok = ok && buf_add_char(out, c);
		}
		ok = ok && buf_add_char(out, '"');
	} else {
		ok = buf_add_span(out, path->local);
	}
	if (path->domain.n)
		ok = ok && buf_add_char(out, '@') && buf_add_span(out, path->domain);
	if (!ok) {
		out->n = before;
		return -ERR_TOOBIG;
	}
	return 0;
}

int smtp_path_format(const struct smtp_path *path, struct buf *out)
{
	const size_t before = out->n;

	if (!buf_add_char(out, '<'))
		return -ERR_TOOBIG;
	int rc = path->is & SMTP_PATH_IS_NULL ? 0 : smtp_path_format_mailbox(path, out);
	if (rc == 0 && !buf_add_char(out, '>'))
		rc = -ERR_TOOBIG;
	if (rc < 0)
		out->n = before;
	return rc;
}

bool smtp_path_is_routed_local(const struct smtp_path *path)
{
	for (size_t i = 0; i < path->local.n; i++)
		if (path->local.p[i] == '@' || path->local.p[i] == '%' || path->local.p[i] == '!' ||
		    path->local.p[i] == ':')
			return true;
	return false;
}

bool smtp_path_eq(const struct smtp_path *a, const struct smtp_path *b)
{
	return (a->is & SMTP_PATH_IS_NULL) == (b->is & SMTP_PATH_IS_NULL) && span_eq(a->local, b->local) &&
	       span_eq(a->domain, b->domain);
}
