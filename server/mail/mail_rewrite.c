#include "mail/mail_rewrite.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/hash.h"
#include "base/random.h"
#include "mail/mail_char.h"
#include "mail/mail_fold.h"

/* Octets that end a local part which had to be changed: '-' and a hash as text. */
enum { HASH_TAIL = 1 + ID_LEN };

enum piece_kind { PIECE_TEXT, PIECE_LOCAL, PIECE_DOMAIN, PIECE_BAD };

struct piece {
	enum piece_kind kind;
	struct span text;
};

/* Cuts the next piece off a template, which is not empty. */
static struct piece next_piece(struct span *t)
{
	static const struct span names[] = { SPAN_INIT("{local}"), SPAN_INIT("{domain}") };
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (!span_starts(*t, names[i]))
			continue;
		*t = span_skip(*t, names[i].n);
		return (struct piece){ i == 0 ? PIECE_LOCAL : PIECE_DOMAIN, names[i] };
	}
	while (n < t->n && t->p[n] != '{')
		n++;
	const struct piece p = { n ? PIECE_TEXT : PIECE_BAD, span_first(*t, n) };
	*t = span_skip(*t, n ? n : 1);
	return p;
}

/* The two sides of a template. False if there is no "@". */
static bool split(struct span template, struct span *left_r, struct span *right_r)
{
	const ptrdiff_t at = span_rfind_char(template, '@');

	if (at < 0)
		return false;
	*left_r = span_first(template, (size_t)at);
	*right_r = span_skip(template, (size_t)at + 1);
	return true;
}

static bool text_ok(struct span text, bool is_domain)
{
	for (size_t i = 0; i < text.n; i++) {
		const char c = text.p[i];
		if (c != '.' && (is_domain ? !ascii_is_alnum(c) && c != '-' && c != '_'
					   : !mail_is_atext(c) || mail_is_8bit(c)))
			return false;
	}
	return true;
}

static int check_left(struct span left, struct errtext *e)
{
	size_t text = 0, names = 0;

	if (left.n == 0)
		return errtext_set(e, ERR_INVAL, "template has nothing in front of \"@\"");
	if (left.p[0] == '.' || left.p[left.n - 1] == '.' || span_find(left, SPAN("..")) >= 0)
		return errtext_set(e, ERR_INVAL, "template has a dot where none can stand");
	while (left.n) {
		const struct piece p = next_piece(&left);
		if (p.kind == PIECE_BAD)
			return errtext_set(e, ERR_INVAL, "template may have {local} and {domain} only");
		if (p.kind == PIECE_TEXT && !text_ok(p.text, false))
			return errtext_set(e, ERR_INVAL, "template: \"%.*s\" cannot stand in a local part",
					   SPAN_ARG(p.text));
		text += p.kind == PIECE_TEXT ? p.text.n : 0;
		names += p.kind != PIECE_TEXT;
	}
	/* At least one octet of the address itself has to fit beside the hash. */
	if (text + (names ? HASH_TAIL + 1 : 0) > MAIL_LOCAL_MAX)
		return errtext_set(e, ERR_INVAL, "template: the text in front of \"@\" is too long");
	return 0;
}

static int check_right(struct span right, struct errtext *e)
{
	size_t names = 0;

	if (right.n == 0 || right.n > MAIL_DOMAIN_MAX)
		return errtext_set(e, ERR_INVAL, "template has no domain, or one that is too long");
	while (right.n) {
		const struct piece p = next_piece(&right);
		if (p.kind == PIECE_BAD || p.kind == PIECE_LOCAL)
			return errtext_set(e, ERR_INVAL, "template may have {domain} only behind \"@\"");
		if (p.kind == PIECE_TEXT && !text_ok(p.text, true))
			return errtext_set(e, ERR_INVAL, "template: \"%.*s\" cannot stand in a domain",
					   SPAN_ARG(p.text));
		names += p.kind == PIECE_DOMAIN;
	}
	if (names > 1)
		return errtext_set(e, ERR_INVAL, "template may have one {domain} behind \"@\"");
	return 0;
}

int mail_rewrite_check(struct span template, struct errtext *e)
{
	struct span left, right;

	if (!split(template, &left, &right))
		return errtext_set(e, ERR_INVAL, "template has no \"@\"");
	const int rc = check_left(left, e);
	return rc < 0 ? rc : check_right(right, e);
}

/* --- expanding --- */

/* A local part in the making. What is behind MAIL_LOCAL_MAX is counted, not kept. */
struct local {
	char text[MAIL_LOCAL_MAX];
	size_t n;
	bool changed; /* a character could not be taken over */
};

static void local_add(struct local *l, char c, bool taken)
{
	if (l->n < sizeof l->text)
		l->text[l->n] = c;
	l->n++;
	l->changed |= !taken;
}

static void local_add_cleaned(struct local *l, struct span s, bool lower)
{
	for (size_t i = 0; i < s.n; i++) {
		const char c = lower ? ascii_lower(s.p[i]) : s.p[i];
		const bool ok = (mail_is_atext(c) && !mail_is_8bit(c)) || c == '.';
		local_add(l, ok ? c : '-', ok);
	}
}

/* A dot at an end or behind another needs quotes, which many devices and receivers cannot read. The one at
 * the end may stay, since a hash follows. */
static void local_mend_dots(struct local *l)
{
	const size_t n = l->n < sizeof l->text ? l->n : sizeof l->text;

	for (size_t i = 0; i < n; i++) {
		if (l->text[i] != '.')
			continue;
		if (i == 0 || l->text[i - 1] == '.')
			l->text[i] = '-';
		else if (i + 1 < l->n)
			continue;
		l->changed = true;
	}
}

/* The hash has to be the same on all nodes and for ever: the key is a constant. */
static void local_add_hash(struct local *l, struct span local, struct span domain)
{
	static const struct hash_key key = { 0x706f737465726e2d, 0x726577726974652d };
	const size_t keep = l->n < MAIL_LOCAL_MAX - HASH_TAIL ? l->n : MAIL_LOCAL_MAX - HASH_TAIL;
	struct buf b = BUF_INIT(local.n + domain.n + 1);

	buf_add_span(&b, local);
	buf_add_char(&b, '@');
	for (size_t i = 0; i < domain.n; i++)
		buf_add_char(&b, ascii_lower(domain.p[i]));
	const struct id id = id_from_u64(hash_sip(&key, buf_span(&b)));
	buf_free(&b);
	l->text[keep] = '-';
	memcpy(l->text + keep + 1, id.s, ID_LEN);
	l->n = keep + HASH_TAIL;
}

static struct local expand_left(struct span left, struct span local, struct span domain)
{
	struct local l = { .n = 0 };

	while (left.n) {
		const struct piece p = next_piece(&left);
		if (p.kind == PIECE_TEXT)
			local_add_cleaned(&l, p.text, false);
		else if (p.kind == PIECE_LOCAL)
			local_add_cleaned(&l, local, false);
		else
			local_add_cleaned(&l, domain, true);
	}
	local_mend_dots(&l);
	if (l.changed || l.n > MAIL_LOCAL_MAX || l.n == 0)
		local_add_hash(&l, local, domain);
	return l;
}

/* Empty if there is no such domain. */
static struct span expand_right(struct arena *a, struct span right, struct span domain)
{
	struct buf b = BUF_INIT(MAIL_DOMAIN_MAX);
	struct span result = { NULL, 0 };
	bool complete = true;

	while (right.n) {
		const struct piece p = next_piece(&right);
		const struct span text = p.kind == PIECE_DOMAIN ? domain : p.text;
		complete &= text.n > 0;
		for (size_t i = 0; i < text.n; i++)
			buf_add_char(&b, ascii_lower(text.p[i]));
	}
	if (complete && !b.overflow && text_ok(buf_span(&b), true) && mail_is_dot_atom(buf_span(&b)))
		result = arena_dup(a, buf_span(&b));
	buf_free(&b);
	return result;
}

/* Does the address have the form of the template? The local part is compared up to the first name only:
 * behind it may be a hash. */
static bool has_form(struct span left, struct span right, struct span local, struct span domain)
{
	struct span before = { NULL, 0 };
	struct piece p = next_piece(&left);

	if (p.kind == PIECE_TEXT ? !span_istarts(local, p.text) || (left.n == 0 && local.n != p.text.n)
				 : false)
		return false;
	p = next_piece(&right);
	if (p.kind == PIECE_TEXT) {
		before = p.text;
		if (right.n == 0)
			return span_ieq(domain, before);
		next_piece(&right); /* {domain} */
	}
	const struct span behind = right;
	return domain.n > before.n + behind.n && span_istarts(domain, before) &&
	       span_ieq(span_skip(domain, domain.n - behind.n), behind);
}

int mail_rewrite_expand(struct arena *a, struct span template, struct span local, struct span domain,
			struct mail_rewritten *r_r)
{
	struct span left, right;

	if (mail_rewrite_check(template, NULL) < 0 || !split(template, &left, &right))
		return -ERR_INVAL;
	if (has_form(left, right, local, domain)) {
		*r_r = (struct mail_rewritten){ local, domain };
		return 0;
	}
	const struct span new_domain = expand_right(a, right, domain);
	if (!new_domain.p)
		return -ERR_INVAL;
	const struct local l = expand_left(left, local, domain);
	const struct span new_local = arena_dup(a, span_make(l.text, l.n));
	if (!new_local.p)
		return -ERR_TOOBIG;
	*r_r = (struct mail_rewritten){ new_local, new_domain };
	return 1;
}

/* --- sub-addresses --- */

struct span mail_base_local(struct span local, char separator)
{
	const ptrdiff_t at = separator ? span_find_char(local, separator) : -1;

	return at > 0 ? span_first(local, (size_t)at) : local;
}

bool mail_address_is_allowed(struct span allowed_local, struct span allowed_domain, struct span local,
			     struct span domain, char separator)
{
	return span_ieq(allowed_domain, domain) &&
	       (span_ieq(allowed_local, local) || span_ieq(allowed_local, mail_base_local(local, separator)));
}
