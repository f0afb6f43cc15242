#include "mail/mail_msgid.h"

#include "base/err.h"
#include "mail/mail_char.h"

/* Adds @s as a dot-atom: a dot stays where one may stand. */
static void write_dot_atom(struct buf *out, struct span s)
{
	bool dot = true;

	for (size_t i = 0; i < s.n; i++) {
		const char c = s.p[i];
		if (c == '.' && !dot && i + 1 < s.n) {
			buf_add_char(out, '.');
			dot = true;
			continue;
		}
		buf_add_char(out, mail_is_atext(c) && !mail_is_8bit(c) ? c : '-');
		dot = false;
	}
}

int mail_msgid_write(struct buf *out, struct span unique, struct span host)
{
	if (unique.n == 0 || host.n == 0)
		return -ERR_INVAL;
	buf_add_char(out, '<');
	write_dot_atom(out, unique);
	buf_add_char(out, '@');
	write_dot_atom(out, host);
	return buf_add_char(out, '>') ? 0 : -ERR_TOOBIG;
}

/* Printable, without white space and brackets. Dots may stand anywhere and the left side may be a quoted
 * string: such ones are common, and to replace a working identifier would break threads. */
static bool side_ok(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (mail_is_control(s.p[i]) || s.p[i] == ' ' || s.p[i] == '<' || s.p[i] == '>')
			return false;
	return s.n > 0;
}

int mail_msgid_parse(struct span value, struct span *id_r)
{
	const struct span s = mail_trim(value);

	if (s.n < 5 || s.p[0] != '<' || s.p[s.n - 1] != '>')
		return -ERR_SYNTAX;
	const struct span id = span_first(span_skip(s, 1), s.n - 2);
	const ptrdiff_t at = span_rfind_char(id, '@');
	if (at < 0 || !side_ok(span_first(id, (size_t)at)) || !side_ok(span_skip(id, (size_t)at + 1)))
		return -ERR_SYNTAX;
	if (id_r)
		*id_r = s;
	return 0;
}
