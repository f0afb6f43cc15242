#include "smtp/smtp_ehlo.h"

#include "base/check.h"
#include "base/err.h"
#include "base/ip.h"
#include "smtp/smtp_domain.h"

static const struct span keywords[SMTP_EXT_COUNT_] = {
#define X(name, keyword, rfc) SPAN_INIT(keyword),
	SMTP_EXT_MAP(X)
#undef X
};

const char *smtp_ext_name(enum smtp_ext_index index)
{
	return (unsigned)index < SMTP_EXT_COUNT_ ? keywords[index].p : "";
}

uint32_t smtp_ext_from_keyword(struct span keyword)
{
	for (unsigned i = 0; i < SMTP_EXT_COUNT_; i++)
		if (span_ieq(keyword, keywords[i]))
			return 1u << i;
	return 0;
}

/* ---- mechanisms
 * ----------------------------------------------------------------------------------------------- */

bool smtp_ehlo_has_mech(const struct smtp_ehlo *e, struct span mech)
{
	struct span list = span_of(e->auth);

	while (list.p)
		if (span_ieq(span_cut(&list, ' '), mech))
			return mech.n > 0;
	return false;
}

bool smtp_ehlo_add_mech(struct smtp_ehlo *e, struct span mech)
{
	size_t n = strlen(e->auth);

	/* sasl-mech of RFC 4422 section 3.1: 1 to 20 of A-Z 0-9 - _ */
	if (mech.n == 0 || mech.n > 20)
		return false;
	for (size_t i = 0; i < mech.n; i++)
		if (!ascii_is_alnum(mech.p[i]) && mech.p[i] != '-' && mech.p[i] != '_')
			return false;
	if (smtp_ehlo_has_mech(e, mech))
		return true;
	if (n + (n > 0) + mech.n > SMTP_EHLO_AUTH_MAX)
		return false;
	if (n)
		e->auth[n++] = ' ';
	for (size_t i = 0; i < mech.n; i++)
		e->auth[n++] = ascii_upper(mech.p[i]);
	e->auth[n] = 0;
	return true;
}

/* ---- reading
 * -------------------------------------------------------------------------------------------------- */

static struct span next_word(struct span *s)
{
	*s = span_trim(*s);
	size_t n = 0;
	while (n < s->n && s->p[n] != ' ' && s->p[n] != '\t')
		n++;
	const struct span word = span_first(*s, n);
	*s = span_skip(*s, n);
	return word;
}

static void parse_line(struct smtp_ehlo *e, struct span line)
{
	struct span keyword = next_word(&line), param;
	uint64_t v;

	/* "AUTH=LOGIN PLAIN" instead of, or beside, "AUTH LOGIN PLAIN" is an old draft's form. */
	const bool auth_equals = span_istarts(keyword, SPAN("AUTH="));
	const uint32_t ext = auth_equals ? SMTP_EXT_AUTH : smtp_ext_from_keyword(keyword);
	if (auth_equals)
		smtp_ehlo_add_mech(e, span_skip(keyword, 5));
	e->ext |= ext;
	switch (ext) {
	case SMTP_EXT_SIZE:
		/* RFC 1870 section 4: 0 or no number is no fixed limit. */
		param = next_word(&line);
		if (span_to_u64(param, UINT64_MAX, &v))
			e->size_octets_max = v;
		break;
	case SMTP_EXT_DELIVERBY:
		param = next_word(&line);
		if (span_to_u64(param, 999999999, &v))
			e->deliverby_min_s = (uint32_t)v;
		break;
	case SMTP_EXT_AUTH:
		while ((param = next_word(&line)).n)
			smtp_ehlo_add_mech(e, param);
		break;
	default:
		break; /* the others have no parameters, or none that matter (RFC 6531 section 3.1) */
	}
}

int smtp_ehlo_parse(const struct smtp_reply *reply, struct smtp_ehlo *e_r)
{
	struct smtp_ehlo e = { 0 };
	struct span lines = reply->text;

	if (smtp_reply_class(reply->code) != SMTP_REPLY_OK)
		return -ERR_INVAL;
	struct span first = lines.p ? span_cut(&lines, '\n') : lines;
	const struct span name = next_word(&first);
	if (name.n <= SMTP_EHLO_NAME_MAX && name.n)
		memcpy(e.name, name.p, name.n);
	while (lines.p)
		parse_line(&e, span_cut(&lines, '\n'));
	*e_r = e;
	return 0;
}

/* ---- writing
 * -------------------------------------------------------------------------------------------------- */

bool smtp_ehlo_format(const struct smtp_ehlo *e, struct span greeting, bool auth_equals, struct buf *out)
{
	/* Two full lines of names and mechanisms, and the keywords: always fits. */
	struct buf text = BUF_INIT(4096);

	greeting = span_trim(span_first(span_cut(&greeting, '\n'), SMTP_REPLY_LINE_MAX / 2 - 8));
	buf_addf(&text, "%s%s%.*s", e->name, greeting.n ? " " : "", SPAN_ARG(greeting));
	for (unsigned i = 0; i < SMTP_EXT_COUNT_; i++) {
		const uint32_t ext = 1u << i;
		if (!(e->ext & ext) || (ext == SMTP_EXT_AUTH && !e->auth[0]))
			continue;
		buf_addf(&text, "\n%s", keywords[i].p);
		if (ext == SMTP_EXT_SIZE && e->size_octets_max)
			buf_addf(&text, " %llu", (unsigned long long)e->size_octets_max);
		else if (ext == SMTP_EXT_DELIVERBY && e->deliverby_min_s)
			buf_addf(&text, " %lu", (unsigned long)e->deliverby_min_s);
		else if (ext == SMTP_EXT_AUTH)
			buf_addf(&text, " %s%s%s", e->auth, auth_equals ? "\nAUTH=" : "",
				 auth_equals ? e->auth : "");
	}
	const bool ok = verify(!text.overflow) &&
			smtp_reply_add(out, 250, SMTP_ENHANCED(0, 0, 0), buf_span(&text), 0);
	buf_free(&text);
	return ok;
}

/* ---- the client's name
 * ---------------------------------------------------------------------------------------- */

static int fail(const char **why_r, const char *why, int err)
{
	*why_r = why;
	return -err;
}

/* What the name is by the book, or why it is nothing by the book. */
static int helo_kind(struct span name, unsigned flags, unsigned *tolerated, const char **why_r)
{
	struct smtp_literal literal;
	struct ip_addr addr;
	int rc;

	if (name.p[0] == '[') {
		rc = smtp_literal_parse(name, flags, tolerated, &literal, why_r);
		return rc < 0 ? rc : SMTP_HELO_LITERAL;
	}
	rc = smtp_domain_check(name, flags, tolerated, why_r);
	if (rc < 0)
		return rc;
	return ip_parse(name, &addr) ? SMTP_HELO_ADDRESS : SMTP_HELO_DOMAIN;
}

int smtp_helo_name_check(struct span arg, unsigned flags, struct span *name_r, unsigned *tolerated,
			 const char **why_r)
{
	struct span rest = arg;
	const struct span name = next_word(&rest);
	const bool lax = flags & SMTP_LAX_HELO;
	unsigned forgiven = 0;
	struct ip_addr addr;

	if (name.n == 0 && lax) {
		*tolerated |= SMTP_LAX_HELO;
		*name_r = SPAN("");
		return SMTP_HELO_OTHER;
	}
	if (name.n == 0)
		return fail(why_r, "host name missing", ERR_SYNTAX);
	if (name.n > SMTP_DOMAIN_MAX)
		return fail(why_r, "host name too long", ERR_TOOBIG);
	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] <= ' ' || name.p[i] > '~')
			return fail(why_r, "invalid character in the host name", ERR_SYNTAX);
	if (!lax && name.n != arg.n)
		return fail(why_r, "space or more in or after the host name", ERR_SYNTAX);

	/* With SMTP_LAX_HELO the name is still judged by the book, so that OTHER means what it says. RFC 6531
	 * section 3.7.1: only ASCII here, whatever was offered. */
	int kind = helo_kind(name, lax ? 0 : flags & ~(unsigned)SMTP_ALLOW_UTF8, &forgiven, why_r);
	if (kind < 0 && !lax)
		return kind;
	if (kind < 0 || name.n != arg.n)
		forgiven |= SMTP_LAX_HELO;
	if (kind < 0)
		kind = ip_parse(name, &addr) ? SMTP_HELO_ADDRESS : SMTP_HELO_OTHER;
	*tolerated |= forgiven;
	*name_r = name;
	return kind;
}
