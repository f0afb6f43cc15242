#include "mail/mail_authres.h"

#include "mail/mail_char.h"

/* RFC 2045 section 5.1, with what RFC 8601 section 2.2 and RFC 6532 allow: octets above 127. */
static bool is_token(char c)
{
	return mail_is_8bit(c) || (c > ' ' && c < 0x7f && !strchr("()<>@,;:\\\"/[]?=", c));
}

/* What may stand in a value without quotes: a token, or an address or a domain (RFC 8601 section 2.2, pvalue). */
static bool is_plain(char c)
{
	return is_token(c) || c == '@';
}

/* --- reading --- */

struct reader {
	struct arena *arena;
	struct span in;
	bool full; /* the arena is */
};

/* White space and comments, which nest. False if a comment has no end. */
static bool skip_space(struct reader *r)
{
	size_t depth = 0;

	while (r->in.n && (depth || mail_is_space(r->in.p[0]) || r->in.p[0] == '(')) {
		const char c = r->in.p[0];
		if (depth && c == '\\')
			r->in = span_skip(r->in, 1);
		depth = depth + (c == '(') - (depth && c == ')');
		r->in = span_skip(r->in, 1);
	}
	return depth == 0;
}

static bool take_char(struct reader *r, char c)
{
	if (!r->in.n || r->in.p[0] != c)
		return false;
	r->in = span_skip(r->in, 1);
	return true;
}

static struct span take_while(struct reader *r, bool (*is)(char c))
{
	size_t n = 0;

	while (n < r->in.n && is(r->in.p[n]))
		n++;
	const struct span s = span_first(r->in, n);
	r->in = span_skip(r->in, n);
	return s;
}

/* Behind the opening quote. {NULL, 0} if it has no end. */
static struct span take_quoted(struct reader *r)
{
	char *p = arena_alloc(r->arena, r->in.n + 1);
	size_t n = 0;

	r->full |= !p;
	while (p && r->in.n && r->in.p[0] != '"') {
		if (r->in.p[0] == '\\')
			r->in = span_skip(r->in, 1);
		if (r->in.n && r->in.p[0] != '\r' && r->in.p[0] != '\n')
			p[n++] = r->in.p[0];
		r->in = span_skip(r->in, 1);
	}
	return p && take_char(r, '"') ? span_make(p, n) : (struct span){ NULL, 0 };
}

static struct span take_value(struct reader *r, bool (*is)(char c))
{
	if (!skip_space(r))
		return (struct span){ NULL, 0 };
	if (take_char(r, '"'))
		return take_quoted(r);
	const struct span s = take_while(r, is);
	return s.n ? s : (struct span){ NULL, 0 };
}

/* Keyword: letters, digits and "-" that is not last (RFC 5321); "_" because some write it. */
static bool is_keyword(char c)
{
	return ascii_is_alnum(c) || c == '-' || c == '_';
}

static struct span take_keyword(struct reader *r)
{
	return skip_space(r) ? take_while(r, is_keyword) : (struct span){ NULL, 0 };
}

/* [CFWS] c [CFWS] */
static bool take_sign(struct reader *r, char c)
{
	return skip_space(r) && take_char(r, c) && skip_space(r);
}

static bool take_prop(struct reader *r, struct mail_authres_result *res)
{
	struct mail_authres_prop p = { .type = take_keyword(r) };

	if (!p.type.n)
		return false;
	if (span_ieq(p.type, SPAN("reason")) && r->in.n && r->in.p[0] != '.') {
		if (!take_sign(r, '='))
			return false;
		res->reason = take_value(r, is_plain);
		return res->reason.p != NULL;
	}
	if (!take_sign(r, '.'))
		return false;
	p.name = take_keyword(r);
	if (!p.name.n || !take_sign(r, '='))
		return false;
	p.value = take_value(r, is_plain);
	if (!p.value.p)
		return false;
	if (res->props_n < MAIL_AUTHRES_PROPS_MAX)
		res->prop[res->props_n++] = p;
	return true;
}

/* Behind the ";". Sets @none for "none". */
static bool take_result(struct reader *r, struct mail_authres_result *res, bool *none)
{
	res->method = take_keyword(r);
	if (!res->method.n || !skip_space(r))
		return false;
	*none = span_ieq(res->method, SPAN("none")) && !r->in.n;
	if (*none)
		return true;
	if (take_char(r, '/') && !take_keyword(r).n)
		return false;
	if (!take_sign(r, '='))
		return false;
	res->result = take_keyword(r);
	if (!res->result.n)
		return false;
	while (skip_space(r) && r->in.n && r->in.p[0] != ';')
		if (!take_prop(r, res))
			return false;
	return !r->in.n || r->in.p[0] == ';';
}

static bool take_head(struct reader *r, struct mail_authres *x)
{
	uint64_t version = 1;

	x->id = take_value(r, is_plain);
	if (!x->id.n || !skip_space(r))
		return false;
	const struct span v = take_while(r, ascii_is_digit);
	if (v.n && !span_to_u64(v, 1000, &version))
		return false;
	x->version = (unsigned)version;
	return skip_space(r);
}

int mail_authres_parse(struct arena *a, struct span value, struct mail_authres *r_r)
{
	struct reader r = { .arena = a, .in = value };
	struct mail_authres x = { .n = 0 };
	size_t n = 0;
	bool none = false;

	if (!take_head(&r, &x))
		return r.full ? -ERR_TOOBIG : -ERR_SYNTAX;
	for (size_t i = 0; i < r.in.n; i++)
		n += r.in.p[i] == ';';
	n = n < MAIL_AUTHRES_MAX ? n : MAIL_AUTHRES_MAX;
	x.v = arena_array(a, struct mail_authres_result, n + 1);
	if (!x.v)
		return -ERR_TOOBIG;
	while (r.in.n) {
		if (none || !take_char(&r, ';') || !skip_space(&r))
			return -ERR_SYNTAX;
		if (!r.in.n && x.n)
			break; /* many write one ";" too many */
		if (x.n == n)
			return -ERR_TOOBIG;
		if (!take_result(&r, &x.v[x.n], &none))
			return r.full ? -ERR_TOOBIG : -ERR_SYNTAX;
		x.n += !none;
	}
	if (x.n == 0 && !none)
		return -ERR_SYNTAX;
	*r_r = x;
	return 0;
}

int mail_authres_id(struct arena *a, struct span value, struct span *id_r)
{
	struct reader r = { .arena = a, .in = value };
	struct mail_authres x = { .n = 0 };

	if (!take_head(&r, &x))
		return r.full ? -ERR_TOOBIG : -ERR_SYNTAX;
	if (r.in.n && r.in.p[0] != ';')
		return -ERR_SYNTAX;
	*id_r = x.id;
	return 0;
}

/* --- writing --- */

static void put_value(struct buf *out, struct span s, bool (*plain)(char c))
{
	bool quote = s.n == 0;

	for (size_t i = 0; i < s.n; i++)
		quote |= !plain(s.p[i]);
	if (!quote) {
		buf_add_span(out, s);
		return;
	}
	buf_add_char(out, '"');
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\')
			buf_add_char(out, '\\');
		buf_add_char(out, mail_is_control(s.p[i]) ? ' ' : s.p[i]);
	}
	buf_add_char(out, '"');
}

static void put_result(struct buf *out, const struct mail_authres_result *r)
{
	buf_add_str(out, "; ");
	buf_add_span(out, r->method);
	buf_add_char(out, '=');
	buf_add_span(out, r->result);
	if (r->reason.n) {
		buf_add_str(out, " reason=");
		put_value(out, r->reason, is_token);
	}
	for (size_t i = 0; i < r->props_n; i++) {
		buf_add_char(out, ' ');
		buf_add_span(out, r->prop[i].type);
		buf_add_char(out, '.');
		buf_add_span(out, r->prop[i].name);
		buf_add_char(out, '=');
		put_value(out, r->prop[i].value, is_plain);
	}
}

bool mail_authres_write(struct buf *out, const struct mail_authres *r)
{
	put_value(out, r->id, is_token);
	for (size_t i = 0; i < r->n; i++)
		put_result(out, &r->v[i]);
	return r->n ? !out->overflow : buf_add_str(out, "; none");
}

/* --- those of others --- */

static bool mentions(struct span text, struct span id)
{
	for (size_t i = 0; i + id.n <= text.n; i++)
		if (span_ieq(span_first(span_skip(text, i), id.n), id))
			return true;
	return false;
}

int mail_authres_drop(struct mail_head *h, struct span id)
{
	struct mail_field *next = NULL;
	int n = 0;

	for (struct mail_field *f = mail_head_next(h, NULL); f; f = next) {
		struct span theirs = { NULL, 0 };
		next = mail_head_next(h, f);
		if (!span_ieq(f->name, SPAN("Authentication-Results")))
			continue;
		const int err = mail_authres_id(h->arena, f->body, &theirs);
		if (err == -ERR_TOOBIG)
			return err;
		if (err == 0 ? !span_ieq(theirs, id) : !mentions(f->body, id))
			continue;
		mail_head_remove(h, f);
		n++;
	}
	return n;
}
