#include "mail/mail_head_scan.h"

#include "mail/mail_char.h"

enum {
	LINE_START, /* nothing of the line seen; must be 0 */
	BLANK_CR,   /* CR at its start: a blank line if LF follows */
	NAME,       /* in what may be a field's name */
	NAME_SPACE, /* white space behind the name: obsolete but valid (RFC 5322 section 4.5.8) */
	REST,       /* the line belongs to the header section: on to its LF */
};

static const char mbox_mark[] = "From ";

static bool finish(struct mail_head_scan *s, enum mail_head_end end)
{
	s->end = end;
	if (end == MAIL_HEAD_END_BLANK)
		s->line_octets = s->octets;
	return true;
}

/* One octet of a line whose nature is not known yet. Returns the next state, or -1 if the line is no field.
 */
static int step_name(struct mail_head_scan *s, char c)
{
	if (c == ':' && s->state != LINE_START) {
		s->in_field = true;
		return REST;
	}
	if (s->first_line && s->mbox_matched < sizeof mbox_mark - 1 && c == mbox_mark[s->mbox_matched])
		s->mbox_matched++;
	else if (s->mbox_matched < sizeof mbox_mark - 1)
		s->mbox_matched = UINT8_MAX;
	if (mail_is_wsp(c))
		return NAME_SPACE;
	if (mail_is_ftext(c) && s->state != NAME_SPACE)
		return NAME;
	if (s->mbox_matched == sizeof mbox_mark - 1) {
		s->in_field = true;
		return REST;
	}
	return -1;
}

static int step_start(struct mail_head_scan *s, char c)
{
	if (mail_is_wsp(c))
		return s->in_field ? REST : -1;
	if (c == '\r')
		return BLANK_CR;
	s->mbox_matched = 0;
	if (c == '>' && s->first_line) /* ">From " was quoted by somebody who kept mbox files */
		return NAME;
	if (!mail_is_ftext(c))
		return -1;
	return step_name(s, c);
}

bool mail_head_scan_feed(struct mail_head_scan *s, struct span chunk)
{
	for (size_t i = 0; i < chunk.n && s->end == MAIL_HEAD_END_NONE; i++) {
		const char c = chunk.p[i];
		int next = REST;

		s->octets++;
		if (s->state == REST) {
			const char *lf = memchr(chunk.p + i, '\n', chunk.n - i);
			const size_t skip = lf ? (size_t)(lf - chunk.p) - i : chunk.n - 1 - i;
			s->octets += skip;
			i += skip;
			if (lf) {
				s->state = LINE_START;
				s->line_octets = s->octets;
				s->first_line = false;
			}
			continue;
		}
		if (c == '\n' && (s->state == LINE_START || s->state == BLANK_CR))
			return finish(s, MAIL_HEAD_END_BLANK);
		if (s->state == LINE_START)
			next = step_start(s, c);
		else if (s->state == BLANK_CR || c == '\n')
			next = -1;
		else
			next = step_name(s, c);
		if (next < 0)
			return finish(s, MAIL_HEAD_END_JUNK);
		s->state = (uint8_t)next;
	}
	return s->end != MAIL_HEAD_END_NONE;
}

bool mail_head_scan_finish(struct mail_head_scan *s)
{
	if (s->end == MAIL_HEAD_END_NONE && s->state != LINE_START && s->state != REST)
		return finish(s, MAIL_HEAD_END_JUNK);
	return s->end != MAIL_HEAD_END_NONE;
}
