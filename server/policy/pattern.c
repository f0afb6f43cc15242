#include "policy/pattern.h"

#include "base/err.h"

/* A backtracking matcher over offsets. `p` is an offset into the pattern, `s` into the subject; NO_MATCH is no
 * offset. The depth grows with captures and with what has alternatives, not with the length of the subject. */

enum { NO_MATCH = -1 };

struct matcher {
	struct span s, p;
	uint64_t steps;
	int depth;
	int err; /* -ERR_x once something is wrong: all unwinds */
	const char *why;
	unsigned level;
	struct {
		size_t at;
		ptrdiff_t n; /* OPEN, POSITION, or a length */
	} capture[PATTERN_CAPTURES_MAX];
};

enum { OPEN = -1, POSITION = -2 };

static ptrdiff_t try_from(struct matcher *m, size_t s, size_t p);

static ptrdiff_t fail(struct matcher *m, int err, const char *why)
{
	if (!m->err) {
		m->err = -err;
		m->why = why;
	}
	return NO_MATCH;
}

static bool step(struct matcher *m)
{
	if (m->err)
		return false;
	if (m->steps == 0) {
		(void)fail(m, ERR_LIMIT, "the budget for patterns is used up");
		return false;
	}
	m->steps--;
	return true;
}

static unsigned char octet(struct span s, size_t at)
{
	return (unsigned char)s.p[at];
}

/* ---- single characters: classes and sets ----------------------------------------------------------------------- */

static bool is_control(unsigned char c)
{
	return c < 32 || c == 127;
}

static bool is_graph(unsigned char c)
{
	return c > 32 && c < 127;
}

static bool is_space(unsigned char c)
{
	return c == ' ' || (c >= 9 && c <= 13);
}

/* Is @c in the class that the letter @class stands for? A letter that is none stands for itself. */
static bool in_class(unsigned char c, unsigned char class)
{
	const char ch = (char)c;
	const bool inverted = class >= 'A' && class <= 'Z';
	bool in;

	switch (ascii_lower((char)class)) {
	case 'a':
		in = ascii_is_alpha(ch);
		break;
	case 'c':
		in = is_control(c);
		break;
	case 'd':
		in = ascii_is_digit(ch);
		break;
	case 'g':
		in = is_graph(c);
		break;
	case 'l':
		in = ch >= 'a' && ch <= 'z';
		break;
	case 'p':
		in = is_graph(c) && !ascii_is_alnum(ch);
		break;
	case 's':
		in = is_space(c);
		break;
	case 'u':
		in = ch >= 'A' && ch <= 'Z';
		break;
	case 'w':
		in = ascii_is_alnum(ch);
		break;
	case 'x':
		in = ascii_hex_value(ch) >= 0;
		break;
	case 'z':
		in = c == 0;
		break;
	default:
		return c == class;
	}
	return in != inverted;
}

/* The offset behind the single-character item at @p ("a", ".", "%d", "[...]"), or NO_MATCH with an error. */
static ptrdiff_t item_end(struct matcher *m, size_t p)
{
	const unsigned char c = octet(m->p, p++);

	if (c == '%') {
		if (p == m->p.n)
			return fail(m, ERR_SYNTAX, "malformed pattern (ends with '%')");
		return (ptrdiff_t)p + 1;
	}
	if (c != '[')
		return (ptrdiff_t)p;
	if (p < m->p.n && octet(m->p, p) == '^')
		p++;
	for (bool first = true;; first = false) {
		if (p >= m->p.n)
			return fail(m, ERR_SYNTAX, "malformed pattern (missing ']')");
		const unsigned char in = octet(m->p, p++);
		if (in == ']' && !first)
			return (ptrdiff_t)p;
		if (in == '%') {
			if (p >= m->p.n)
				return fail(m, ERR_SYNTAX, "malformed pattern (missing ']')");
			p++;
		}
	}
}

/* Is @c in the set at @p, whose "]" is at @end - 1? */
static bool in_set(const struct matcher *m, unsigned char c, size_t p, size_t end)
{
	const size_t last = end - 1;
	bool found = true;

	p++; /* '[' */
	if (octet(m->p, p) == '^') {
		found = false;
		p++;
	}
	while (p < last) {
		const unsigned char from = octet(m->p, p);
		if (from == '%') {
			if (in_class(c, octet(m->p, p + 1)))
				return found;
			p += 2;
		} else if (p + 2 < last && octet(m->p, p + 1) == '-') {
			if (from <= c && c <= octet(m->p, p + 2))
				return found;
			p += 3;
		} else {
			if (from == c)
				return found;
			p++;
		}
	}
	return !found;
}

/* Does the item at [@p, @end) match the character @c? */
static bool item_matches_octet(const struct matcher *m, unsigned char c, size_t p, size_t end)
{
	switch (octet(m->p, p)) {
	case '.':
		return true;
	case '%':
		return in_class(c, octet(m->p, p + 1));
	case '[':
		return in_set(m, c, p, end);
	default:
		return octet(m->p, p) == c;
	}
}

static bool item_matches(struct matcher *m, size_t s, size_t p, size_t end)
{
	/* A long set costs its length, whatever it is compared with. */
	const uint64_t price = end - p > 16 ? (end - p) / 16 : 0;

	m->steps = m->steps > price ? m->steps - price : 0;
	return step(m) && s < m->s.n && item_matches_octet(m, octet(m->s, s), p, end);
}

/* ---- items with a count ---------------------------------------------------------------------------------------- */

static ptrdiff_t match_greedy(struct matcher *m, size_t s, size_t p, size_t end)
{
	size_t n = 0;

	while (item_matches(m, s + n, p, end))
		n++;
	for (;; n--) {
		const ptrdiff_t got = try_from(m, s + n, end + 1);
		if (got != NO_MATCH || n == 0 || m->err)
			return got;
	}
}

static ptrdiff_t match_lazy(struct matcher *m, size_t s, size_t p, size_t end)
{
	for (;; s++) {
		const ptrdiff_t got = try_from(m, s, end + 1);
		if (got != NO_MATCH)
			return got;
		if (!item_matches(m, s, p, end))
			return NO_MATCH;
	}
}

/* ---- captures, %b, %f, back references ---------------------------------------------------------------------------- */

static ptrdiff_t open_capture(struct matcher *m, size_t s, size_t p, ptrdiff_t what)
{
	if (m->level == PATTERN_CAPTURES_MAX)
		return fail(m, ERR_TOOBIG, "too many captures");
	m->capture[m->level].at = s;
	m->capture[m->level].n = what;
	m->level++;
	const ptrdiff_t got = try_from(m, s, p);
	if (got == NO_MATCH)
		m->level--;
	return got;
}

static ptrdiff_t close_capture(struct matcher *m, size_t s, size_t p)
{
	unsigned i = m->level;

	while (i > 0 && m->capture[i - 1].n != OPEN)
		i--;
	if (i == 0)
		return fail(m, ERR_SYNTAX, "invalid pattern capture");
	m->capture[i - 1].n = (ptrdiff_t)(s - m->capture[i - 1].at);
	const ptrdiff_t got = try_from(m, s, p);
	if (got == NO_MATCH)
		m->capture[i - 1].n = OPEN;
	return got;
}

/* "%bxy" at @p. */
static ptrdiff_t match_balance(struct matcher *m, size_t s, size_t p)
{
	if (p + 3 >= m->p.n)
		return fail(m, ERR_SYNTAX, "unbalanced pattern");
	const unsigned char open = octet(m->p, p + 2), close = octet(m->p, p + 3);
	if (s >= m->s.n || octet(m->s, s) != open)
		return NO_MATCH;
	size_t depth = 1;
	for (size_t at = s + 1; at < m->s.n; at++) {
		if (!step(m))
			return NO_MATCH;
		const unsigned char c = octet(m->s, at);
		if (c == close) {
			if (--depth == 0)
				return (ptrdiff_t)at + 1;
		} else if (c == open) {
			depth++;
		}
	}
	return NO_MATCH;
}

/* "%f[set]" at @p: between a character that is not in the set and one that is. */
static ptrdiff_t match_frontier(struct matcher *m, size_t s, size_t p)
{
	const size_t set = p + 2;

	if (set >= m->p.n || octet(m->p, set) != '[')
		return fail(m, ERR_SYNTAX, "missing '[' after '%f' in pattern");
	const ptrdiff_t end = item_end(m, set);
	if (end == NO_MATCH)
		return NO_MATCH;
	const unsigned char before = s == 0 ? 0 : octet(m->s, s - 1);
	const unsigned char here = s < m->s.n ? octet(m->s, s) : 0;
	return !in_set(m, before, set, (size_t)end) && in_set(m, here, set, (size_t)end) ? end : NO_MATCH;
}

/* "%1" at @p. */
static ptrdiff_t match_back(struct matcher *m, size_t s, size_t p)
{
	const unsigned i = (unsigned)(octet(m->p, p + 1) - '1');

	if (octet(m->p, p + 1) == '0' || i >= m->level || m->capture[i].n == OPEN)
		return fail(m, ERR_SYNTAX, "invalid capture index");
	if (m->capture[i].n == POSITION)
		return NO_MATCH;
	const size_t n = (size_t)m->capture[i].n;
	if (m->s.n - s < n || (n && memcmp(m->s.p + m->capture[i].at, m->s.p + s, n) != 0))
		return NO_MATCH;
	m->steps = m->steps > n / 16 ? m->steps - n / 16 : 0;
	return (ptrdiff_t)(s + n);
}

/* ---- the loop ---------------------------------------------------------------------------------------------------- */

/* What one round of the loop did. */
enum round { ROUND_GO_ON, ROUND_ENDED };

/* An item at *p that is no capture and no %-construct with a meaning of its own. */
static enum round one_item(struct matcher *m, size_t *s, size_t *p, ptrdiff_t *got_r)
{
	const ptrdiff_t end_of = item_end(m, *p);

	*got_r = NO_MATCH;
	if (end_of == NO_MATCH)
		return ROUND_ENDED;
	const size_t end = (size_t)end_of;
	const unsigned char count = end < m->p.n ? octet(m->p, end) : 0;
	switch (count) {
	case '?':
		if (item_matches(m, *s, *p, end)) {
			const ptrdiff_t got = try_from(m, *s + 1, end + 1);
			if (got != NO_MATCH) {
				*got_r = got;
				return ROUND_ENDED;
			}
		}
		*p = end + 1;
		return ROUND_GO_ON;
	case '*':
		*got_r = match_greedy(m, *s, *p, end);
		return ROUND_ENDED;
	case '+':
		if (item_matches(m, *s, *p, end))
			*got_r = match_greedy(m, *s + 1, *p, end);
		return ROUND_ENDED;
	case '-':
		*got_r = match_lazy(m, *s, *p, end);
		return ROUND_ENDED;
	default:
		if (!item_matches(m, *s, *p, end))
			return ROUND_ENDED;
		*s += 1;
		*p = end;
		return ROUND_GO_ON;
	}
}

/* "%b", "%f" and "%1" at *p; false if it is none of them. */
static bool percent_item(struct matcher *m, size_t *s, size_t *p, enum round *round_r)
{
	const unsigned char c = *p + 1 < m->p.n ? octet(m->p, *p + 1) : 0;
	ptrdiff_t got;

	if (c == 'b') {
		got = match_balance(m, *s, *p);
		*p += 4;
		*s = got == NO_MATCH ? *s : (size_t)got;
	} else if (c == 'f') {
		got = match_frontier(m, *s, *p);
		*p = got == NO_MATCH ? *p : (size_t)got;
	} else if (ascii_is_digit((char)c)) {
		got = match_back(m, *s, *p);
		*p += 2;
		*s = got == NO_MATCH ? *s : (size_t)got;
	} else {
		return false;
	}
	*round_r = got == NO_MATCH ? ROUND_ENDED : ROUND_GO_ON;
	return true;
}

static ptrdiff_t match_loop(struct matcher *m, size_t s, size_t p)
{
	while (p < m->p.n) {
		enum round round = ROUND_GO_ON;
		ptrdiff_t got = NO_MATCH;
		if (!step(m))
			return NO_MATCH;
		switch (octet(m->p, p)) {
		case '(':
			if (p + 1 < m->p.n && octet(m->p, p + 1) == ')')
				return open_capture(m, s, p + 2, POSITION);
			return open_capture(m, s, p + 1, OPEN);
		case ')':
			return close_capture(m, s, p + 1);
		case '$':
			if (p + 1 == m->p.n)
				return s == m->s.n ? (ptrdiff_t)s : NO_MATCH;
			round = one_item(m, &s, &p, &got);
			break;
		case '%':
			if (!percent_item(m, &s, &p, &round))
				round = one_item(m, &s, &p, &got);
			break;
		default:
			round = one_item(m, &s, &p, &got);
			break;
		}
		if (round == ROUND_ENDED)
			return got;
	}
	return (ptrdiff_t)s;
}

/* The offset behind what the pattern from @p on matches at @s, or NO_MATCH. */
static ptrdiff_t try_from(struct matcher *m, size_t s, size_t p)
{
	if (m->err)
		return NO_MATCH;
	if (m->depth == PATTERN_DEPTH_MAX)
		return fail(m, ERR_TOOBIG, "pattern too complex");
	m->depth++;
	const ptrdiff_t got = match_loop(m, s, p);
	m->depth--;
	return got;
}

static int result(struct matcher *m, size_t at, size_t end, struct pattern_match *m_r, const char **why_r)
{
	struct pattern_match r = { .at = at, .n = end - at, .captures = m->level };

	for (unsigned i = 0; i < m->level; i++) {
		if (m->capture[i].n == OPEN) {
			*why_r = "unfinished capture";
			return -ERR_SYNTAX;
		}
		r.capture[i].at = m->capture[i].at;
		r.capture[i].position = m->capture[i].n == POSITION;
		r.capture[i].n = r.capture[i].position ? 0 : (size_t)m->capture[i].n;
	}
	*m_r = r;
	return 1;
}

int pattern_find(struct span s, struct span pattern, size_t init, unsigned flags, uint64_t *steps,
		 struct pattern_match *m_r, const char **why_r)
{
	const bool anchored = !(flags & PATTERN_CARET_IS_PLAIN) && pattern.n && pattern.p[0] == '^';
	struct matcher m = { .s = s, .p = pattern, .steps = *steps };
	int r = 0;

	for (size_t at = init; at <= s.n && r == 0; at++) {
		m.level = 0;
		const ptrdiff_t end = try_from(&m, at, anchored ? 1 : 0);
		if (m.err) {
			*why_r = m.why;
			r = m.err;
		} else if (end != NO_MATCH) {
			r = result(&m, at, (size_t)end, m_r, why_r);
		} else if (anchored) {
			break;
		}
	}
	*steps = m.steps;
	return r;
}

bool pattern_is_special(struct span pattern)
{
	for (size_t i = 0; i < pattern.n; i++)
		if (pattern.p[i] && strchr("^$*+?.([%-", pattern.p[i]))
			return true;
	return false;
}
