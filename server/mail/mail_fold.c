#include "mail/mail_fold.h"

#include "base/err.h"
#include "base/utf8.h"
#include "mail/mail_char.h"

bool mail_field_name_ok(struct span name)
{
	for (size_t i = 0; i < name.n; i++)
		if (!mail_is_ftext(name.p[i]))
			return false;
	return name.n > 0 && name.n <= MAIL_FIELD_NAME_MAX;
}

/* Length of the control character at the start of @s, or 0. U+0080 to U+009F are control characters too, and
 * U+2028 and U+2029 end a line for some. Tab is white space. */
static size_t control_len(struct span s)
{
	const unsigned char *p = (const unsigned char *)s.p;

	if (mail_is_control(s.p[0]))
		return s.p[0] != '\t';
	if (s.n >= 2 && p[0] == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f)
		return 2;
	if (s.n >= 3 && p[0] == 0xe2 && p[1] == 0x80 && (p[2] == 0xa8 || p[2] == 0xa9))
		return 3;
	return 0;
}

/* Takes a run of white space and control characters from the front of *s and says what stands for it. */
static struct span take_space(struct span *s)
{
	const char *begin = s->p;
	bool control = false;

	while (s->n) {
		const size_t n = control_len(*s);
		if (n == 0 && !mail_is_wsp(s->p[0]))
			break;
		control |= n > 0;
		*s = span_skip(*s, n ? n : 1);
	}
	return control ? SPAN(" ") : span_first(span_make(begin, (size_t)(s->p - begin)), MAIL_SPACE_MAX);
}

bool mail_text_clean(struct buf *out, struct span value, unsigned flags)
{
	bool begun = false;

	while (value.n && !out->overflow) {
		const struct span space = take_space(&value);
		if (value.n == 0)
			break;
		if (space.n && begun)
			buf_add_span(out, space);
		begun = true;
		const size_t n = mail_is_8bit(value.p[0]) ? utf8_char_len(value) : 1;
		if (mail_is_8bit(value.p[0]) && (n == 0 || !(flags & MAIL_FOLD_UTF8)))
			buf_add_char(out, '?');
		else
			buf_add(out, value.p, n);
		value = span_skip(value, n ? n : 1);
	}
	return !out->overflow;
}

/* Adds @text, which has no white space, behind @column octets of the line, and returns the column behind it.
 */
static size_t write_word(struct buf *out, struct span text, size_t column)
{
	while (column + text.n > MAIL_LINE_MAX) {
		size_t cut = MAIL_LINE_MAX - column;
		/* Not inside a UTF-8 character: back to its first octet. */
		while (cut > 0 && ((unsigned char)text.p[cut] & 0xc0) == 0x80)
			cut--;
		buf_add(out, text.p, cut);
		buf_add_str(out, "\r\n ");
		text = span_skip(text, cut);
		column = 1;
	}
	buf_add_span(out, text);
	return column + text.n;
}

static size_t space_len(struct span s)
{
	size_t n = 0;

	while (n < s.n && mail_is_wsp(s.p[n]))
		n++;
	return n;
}

static size_t word_len(struct span s)
{
	size_t n = 0;

	while (n < s.n && !mail_is_wsp(s.p[n]))
		n++;
	return n;
}

/* Lines break in front of white space only, which then begins the next line: unfolding gives @text again. */
static void write_folded(struct buf *out, struct span text, size_t column)
{
	bool first = true;

	while (text.n && !out->overflow) {
		const struct span space = span_first(text, space_len(text));
		text = span_skip(text, space.n);
		const struct span word = span_first(text, word_len(text));
		text = span_skip(text, word.n);
		/* The first word stays beside the name unless the line would be too long by the harder limit.
		 */
		const size_t limit = first ? MAIL_LINE_MAX : MAIL_LINE_WANTED_MAX;
		if (column + space.n + word.n > limit) {
			buf_add_str(out, "\r\n");
			column = 0;
		}
		buf_add_span(out, space);
		column = write_word(out, word, column + space.n);
		first = false;
	}
}

int mail_field_write(struct buf *out, struct span name, struct span value, unsigned flags)
{
	const size_t before = out->n;

	if (!mail_field_name_ok(name))
		return -ERR_INVAL;
	if (out->overflow)
		return -ERR_TOOBIG;
	struct buf clean = BUF_INIT(out->max);
	buf_add_char(&clean, ' ');
	out->overflow = !mail_text_clean(&clean, value, flags);
	buf_add_span(out, name);
	buf_add_char(out, ':');
	if (clean.n > 1)
		write_folded(out, buf_span(&clean), name.n + 1);
	buf_add_str(out, "\r\n");
	buf_free(&clean);
	if (!out->overflow)
		return 0;
	out->n = before;
	return -ERR_TOOBIG;
}
