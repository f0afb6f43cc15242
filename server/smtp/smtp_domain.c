#include "smtp/smtp_domain.h"

#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "base/utf8.h"

static int fail(const char **why_r, const char *why, int err)
{
	*why_r = why;
	return -err;
}

static uint32_t code_point(const char *p, size_t n)
{
	const unsigned char *u = (const unsigned char *)p;
	static const unsigned char mask[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
	uint32_t c = u[0] & mask[n];

	for (size_t i = 1; i < n; i++)
		c = (c << 6) | (u[i] & 0x3fu);
	return c;
}

/* Characters that no U-label has (RFC 5892) and that would make a name read as another one: C1 controls,
 * spaces, direction marks and other punctuation of U+2000, the ideographic full stop and its forms,
 * full-width ASCII, specials. The two joiners are allowed in context, which is not for us to judge. */
static bool code_point_is_deceptive(uint32_t c)
{
	if (c == 0x200c || c == 0x200d)
		return false;
	return c <= 0xa0 || c == 0xad || (c >= 0x2000 && c <= 0x206f) || (c >= 0x3000 && c <= 0x3002) ||
	       (c >= 0xfe10 && c <= 0xfe6f) || (c >= 0xff00 && c <= 0xffff);
}

/* sub-domain = Let-dig [Ldh-str] / U-label */
static int label_check(struct span label, unsigned flags, unsigned *tolerated, const char **why_r)
{
	size_t chars = 0;
	bool u_label = false;

	if (label.n == 0)
		return fail(why_r, "empty label in the domain name", ERR_SYNTAX);
	if (label.p[0] == '-' || label.p[label.n - 1] == '-')
		return fail(why_r, "domain label begins or ends with a hyphen", ERR_SYNTAX);
	for (size_t i = 0, n; i < label.n; i += n, chars++) {
		const char c = label.p[i];
		n = 1;
		if (ascii_is_alnum(c) || c == '-')
			continue;
		if (c == '_') {
			/* RFC 5321 section 4.1.2 names the underscore as not permitted; hosts have it all the
			 * same. */
			if (!(flags & SMTP_LAX_UNDERSCORE))
				return fail(why_r, "underscore in the domain name", ERR_SYNTAX);
			*tolerated |= SMTP_LAX_UNDERSCORE;
			continue;
		}
		if ((unsigned char)c < 0x80)
			return fail(why_r, "invalid character in the domain name", ERR_SYNTAX);
		if (!(flags & SMTP_ALLOW_UTF8))
			return fail(why_r, "non-ASCII domain name without SMTPUTF8", ERR_SYNTAX);
		n = utf8_char_len(span_skip(label, i));
		if (n == 0)
			return fail(why_r, "domain name is not UTF-8", ERR_SYNTAX);
		if (code_point_is_deceptive(code_point(label.p + i, n)))
			return fail(why_r, "invalid character in the domain name", ERR_SYNTAX);
		u_label = true;
	}
	if (u_label ? chars > SMTP_U_LABEL_CHARS_MAX : chars > SMTP_LABEL_MAX)
		return fail(why_r, "domain label too long", ERR_TOOBIG);
	return 0;
}

int smtp_domain_check(struct span s, unsigned flags, unsigned *tolerated, const char **why_r)
{
	struct span rest = s;

	if (s.n == 0)
		return fail(why_r, "empty domain name", ERR_SYNTAX);
	if (s.p[s.n - 1] == '.' && s.n > 1) {
		if (!(flags & SMTP_LAX_TRAILING_DOT))
			return fail(why_r, "domain name ends with a dot", ERR_SYNTAX);
		*tolerated |= SMTP_LAX_TRAILING_DOT;
		rest.n--;
	}
	if (rest.n > SMTP_DOMAIN_MAX)
		return fail(why_r, "domain name too long", ERR_TOOBIG);

	const int len = (int)rest.n;
	while (rest.p) {
		const int rc = label_check(span_cut(&rest, '.'), flags, tolerated, why_r);
		if (rc < 0)
			return rc;
	}
	return len;
}

/* ---- literals
 * ------------------------------------------------------------------------------------------------- */

void smtp_literal_format(const struct ip_addr *addr, struct smtp_literal *literal_r)
{
	literal_r->addr = *addr;
	snprintf(literal_r->text, sizeof literal_r->text, "[%s%s]", addr->len == 16 ? "IPv6:" : "",
		 ip_format(addr).s);
}

/* General-address-literal = Standardized-tag ":" 1*dcontent */
static bool is_general(struct span s)
{
	struct span content = s;
	const struct span tag = span_cut(&content, ':');

	if (tag.n == 0 || content.n == 0 || tag.p[tag.n - 1] == '-')
		return false;
	for (size_t i = 0; i < tag.n; i++)
		if (!ascii_is_alnum(tag.p[i]) && tag.p[i] != '-')
			return false;
	for (size_t i = 0; i < content.n; i++) {
		const char c = content.p[i];
		if (c < 33 || c > 126 || c == '[' || c == '\\' || c == ']')
			return false;
	}
	return true;
}

int smtp_literal_parse(struct span s, unsigned flags, unsigned *tolerated, struct smtp_literal *literal_r,
		       const char **why_r)
{
	struct ip_addr addr;

	if (s.n < 3 || s.p[0] != '[' || s.p[s.n - 1] != ']')
		return fail(why_r, "malformed address literal", ERR_SYNTAX);
	if (s.n > SMTP_DOMAIN_MAX)
		return fail(why_r, "address literal too long", ERR_TOOBIG);
	const struct span inner = span_make(s.p + 1, s.n - 2);

	if (span_istarts(inner, SPAN("IPv6:"))) {
		const struct span text = span_skip(inner, 5);
		if (span_find_char(text, ':') < 0 || !ip_parse(text, &addr))
			return fail(why_r, "malformed IPv6 address literal", ERR_SYNTAX);
	} else if (ip_parse(inner, &addr)) {
		/* "[2001:db8::1]" would also read as a literal of kind "2001". */
		if (span_find_char(inner, ':') >= 0) {
			if (!(flags & SMTP_LAX_LITERAL))
				return fail(why_r, "IPv6 address literal without IPv6:", ERR_SYNTAX);
			*tolerated |= SMTP_LAX_LITERAL;
		}
	} else if (is_general(inner)) {
		literal_r->addr = (struct ip_addr){ 0 };
		memcpy(literal_r->text, s.p, s.n);
		literal_r->text[s.n] = 0;
		return 0;
	} else {
		return fail(why_r, "malformed address literal", ERR_SYNTAX);
	}
	smtp_literal_format(&addr, literal_r);
	return 0;
}
