#include "base/utf8.h"
#include "mail/mail_address.h"
#include "mail/mail_char.h"
#include "mail/mail_fold.h"

/* Adds @s in quotes. What a quoted string cannot hold was cleaned away or becomes '?'. */
static void write_quoted(struct buf *out, struct span s)
{
	buf_add_char(out, '"');
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\')
			buf_add_char(out, '\\');
		buf_add_char(out, s.p[i]);
	}
	buf_add_char(out, '"');
}

/* Octet for octet: an address is not trimmed and keeps its spaces. */
static void clean_address(struct buf *out, struct span s, unsigned flags)
{
	while (s.n && !out->overflow) {
		const size_t n = mail_is_8bit(s.p[0]) ? flags & MAIL_FOLD_UTF8 ? utf8_char_len(s) : 0
						      : !mail_is_control(s.p[0]);
		if (n)
			buf_add(out, s.p, n);
		else
			buf_add_char(out, '?');
		s = span_skip(s, n ? n : 1);
	}
}

static void write_domain(struct buf *out, struct span domain)
{
	for (size_t i = 0; i < domain.n; i++) {
		const char c = domain.p[i];
		buf_add_char(out, mail_is_atext(c) || c == '.' || c == '[' || c == ']' || c == ':' ? c : '?');
	}
}

bool mail_address_write(struct buf *out, struct span local, struct span domain, unsigned flags)
{
	struct buf clean = BUF_INIT(out->max);

	clean_address(&clean, local, flags);
	const struct span l = buf_span(&clean);
	if (mail_is_dot_atom(l))
		buf_add_span(out, l);
	else
		write_quoted(out, l);
	if (domain.n) {
		buf_add_char(out, '@');
		buf_reset(&clean);
		clean_address(&clean, domain, flags);
		write_domain(out, buf_span(&clean));
	}
	out->overflow |= clean.overflow;
	buf_free(&clean);
	return !out->overflow;
}

bool mail_phrase_write(struct buf *out, struct span text, unsigned flags)
{
	struct buf clean = BUF_INIT(out->max);
	bool atoms = true;

	out->overflow |= !mail_text_clean(&clean, text, flags);
	const struct span t = buf_span(&clean);
	for (size_t i = 0; i < t.n; i++)
		atoms &= mail_is_atext(t.p[i]) || t.p[i] == ' ';
	if (atoms && t.n)
		buf_add_span(out, t);
	else
		write_quoted(out, t);
	buf_free(&clean);
	return !out->overflow;
}

static bool domain_valid(struct span d)
{
	if (d.n > 2 && d.p[0] == '[' && d.p[d.n - 1] == ']') {
		for (size_t i = 1; i < d.n - 1; i++)
			if (!ascii_is_alnum(d.p[i]) && d.p[i] != '.' && d.p[i] != ':' && d.p[i] != '-')
				return false;
		return true;
	}
	return mail_is_dot_atom(d);
}

bool mail_address_valid(struct span local, struct span domain)
{
	if (local.n == 0 || local.n > MAIL_LOCAL_MAX || domain.n > MAIL_DOMAIN_MAX)
		return false;
	for (size_t i = 0; i < local.n; i++)
		if (mail_is_control(local.p[i]))
			return false;
	return domain_valid(domain);
}
