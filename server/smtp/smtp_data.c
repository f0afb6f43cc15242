/* The decoder goes through a body from one special place to the next:
 *
 *   1. text_run() looks for the end of each line with memchr() and takes whole lines as long as they end in
 *      CRLF, are not followed by a dot and hold no bare CR. All these lines go out as one run.
 *   2. Where it stops, octet() decides from the place in the line and one octet what happens: a dot is
 *      dropped, a bare ending is replaced, the end is found. It also takes over at the end of a chunk,
 *      because a CR or a dot there means nothing before the next octet is known; such octets are held back in
 *      `at`.
 *
 * What can go wrong is only in the input, and is counted, not reported at once: the receiver must read up to
 * the end anyway.
 */
#include "smtp/smtp_data.h"

#include "base/check.h"

/* Where the next octet stands. What is named in it is held back: it has not been handed out yet. */
enum place {
	AT_START,      /* the first octet of a line that follows CRLF, or of the message */
	AT_START_SOFT, /* the first octet of a line that follows a bare LF, made whole */
	AT_DOT,        /* "." at AT_START */
	AT_DOT_SOFT,   /* "." at AT_START_SOFT */
	AT_DOT_CR,     /* ".", CR at AT_START: LF would be the end */
	AT_DOT_CR_SOFT,
	AT_TEXT,
	AT_CR, /* CR */
};

static const struct span crlf = SPAN_INIT("\r\n"), lone_dot = SPAN_INIT("."), lone_cr = SPAN_INIT("\r"),
			 lone_lf = SPAN_INIT("\n"), dot_crlf = SPAN_INIT(".\r\n"), dot_cr = SPAN_INIT(".\r"),
			 dot_lf = SPAN_INIT(".\n"), none = { NULL, 0 };

void smtp_data_decoder_init(struct smtp_data_decoder *d, enum smtp_data_mode mode)
{
	require(mode != SMTP_DATA_BINARY);
	*d = (struct smtp_data_decoder){ .mode = mode, .dots = true, .at = AT_START };
}

void smtp_data_decoder_init_bdat(struct smtp_data_decoder *d, enum smtp_data_mode mode)
{
	*d = (struct smtp_data_decoder){ .mode = mode, .at = AT_START };
}

static void line_done(struct smtp_data_decoder *d)
{
	if (d->line_octets > d->line_octets_most)
		d->line_octets_most = d->line_octets;
	if (d->line_octets > SMTP_DATA_LINE_MAX) {
		d->flags |= SMTP_DATA_LONG_LINE;
		d->long_lines++;
	}
	d->line_octets = 0;
}

static bool has_8bit(struct span s)
{
	uint64_t a = 0, b = 0, wa, wb;
	size_t i = 0;

	for (; s.n - i >= 16; i += 16) {
		memcpy(&wa, s.p + i, 8);
		memcpy(&wb, s.p + i + 8, 8);
		a |= wa;
		b |= wb;
	}
	for (; i < s.n; i++)
		a |= (unsigned char)s.p[i];
	return ((a | b) & 0x8080808080808080u) != 0;
}

/* Every octet that came from outside and goes out passes here, in long runs. */
static enum smtp_data_event hand_out(struct smtp_data_decoder *d, struct span run, struct span *run_r)
{
	if (!(d->flags & SMTP_DATA_8BIT) && has_8bit(run))
		d->flags |= SMTP_DATA_8BIT;
	if (!(d->flags & SMTP_DATA_NUL) && span_find_char(run, '\0') >= 0)
		d->flags |= SMTP_DATA_NUL;
	d->octets += run.n;
	*run_r = run;
	return SMTP_DATA_RUN;
}

/* Text is searched in windows, for CR and for LF: a body full of one and without the other would otherwise be
 * searched to its end again for each of them. A line is seldom longer. */
enum { WINDOW_OCTETS = 256 };

/* Takes text from the start of @in: whole lines as far as they are plain, and the begun line at the end.
 * Stops before what octet() must see: a dot at the start of a line, a bare CR or LF, and at the end of @in
 * before a CR. Returns the octets taken, none of them a CR or LF that is not of a CRLF. */
static size_t text_run(struct smtp_data_decoder *d, struct span in)
{
	const char *p = in.p, *const end = in.p + in.n;

	while (p < end) {
		const char *const window_end = (size_t)(end - p) > WINDOW_OCTETS ? p + WINDOW_OCTETS : end;
		const char *const lf = memchr(p, '\n', (size_t)(window_end - p));
		const char *const text_max = lf ? lf : window_end;
		const char *const cr = memchr(p, '\r', (size_t)(text_max - p));
		const char *const text_end = cr ? cr : text_max;

		d->line_octets += (uint64_t)(text_end - p);
		if (cr && cr + 1 < end && cr[1] == '\n') {
			line_done(d);
			d->at = AT_START;
			p = cr + 2;
			if (d->dots && p < end && *p == '.')
				break;
			continue;
		}
		if (text_end > p)
			d->at = AT_TEXT;
		p = text_end;
		if (cr || lf)
			break;
	}
	return (size_t)(p - in.p);
}

static void bare_lf(struct smtp_data_decoder *d)
{
	d->flags |= SMTP_DATA_BARE_LF;
	d->bare_lfs++;
	line_done(d);
}

static void bare_cr(struct smtp_data_decoder *d)
{
	d->flags |= SMTP_DATA_BARE_CR;
	d->bare_crs++;
}

/* A bare LF: what stands for it. In NORMALISE it ends a line, and the client that wrote it stuffs dots by
 * that; but the line after it can never be the end. */
static struct span lf_for(struct smtp_data_decoder *d)
{
	bare_lf(d);
	d->at = d->mode == SMTP_DATA_NORMALISE ? AT_START_SOFT : AT_TEXT;
	return d->mode == SMTP_DATA_NORMALISE ? crlf : lone_lf;
}

/* A CR that @c shows to be bare: what stands for it. Then @c is looked at again. */
static struct span cr_for(struct smtp_data_decoder *d, char c)
{
	bare_cr(d);
	if (d->mode == SMTP_DATA_REFUSE) {
		d->line_octets++;
		d->at = AT_TEXT;
		return lone_cr;
	}
	/* CR CR LF is what programs write that turn LF into CRLF once too often: a run of CRs is one
	 * ending. */
	if (c == '\r') {
		d->at = AT_TEXT;
		return none;
	}
	line_done(d);
	d->at = AT_TEXT;
	return crlf;
}

/* Decides about one octet. Returns what goes out (may be nothing); *taken_r says whether the octet is used
 * up. */
static struct span octet(struct smtp_data_decoder *d, char c, bool *taken_r, bool *end_r)
{
	const bool soft = d->at == AT_DOT_SOFT || d->at == AT_DOT_CR_SOFT;

	*taken_r = true;
	switch ((enum place)d->at) {
	case AT_START:
	case AT_START_SOFT:
		if (c == '.' && d->dots) {
			d->at = d->at == AT_START ? AT_DOT : AT_DOT_SOFT;
			return none;
		}
		/* fallthrough */
	case AT_TEXT:
		if (c == '\r') {
			d->at = AT_CR;
			return none;
		}
		if (c == '\n')
			return lf_for(d);
		*taken_r = false; /* text_run() does it better */
		return none;
	case AT_CR:
		if (c == '\n') {
			line_done(d);
			d->at = AT_START;
			return crlf;
		}
		*taken_r = false;
		return cr_for(d, c);
	case AT_DOT:
	case AT_DOT_SOFT:
		if (c == '\r') {
			d->at = soft ? AT_DOT_CR_SOFT : AT_DOT_CR;
			return none;
		}
		if (c == '\n') {
			/* A lone dot that does not end the message is no stuffing either: it stays, for all
			 * to see. */
			d->line_octets++;
			const bool whole = lf_for(d).n == crlf.n;
			return whole ? dot_crlf : dot_lf;
		}
		d->at = AT_TEXT; /* RFC 5321 section 4.5.2: a dot with more behind it is dropped */
		*taken_r = false;
		return none;
	case AT_DOT_CR:
	case AT_DOT_CR_SOFT:
		if (c == '\n' && !soft) {
			*end_r = true;
			return none;
		}
		d->line_octets++;
		if (c == '\n') {
			line_done(d);
			d->at = AT_START;
			return dot_crlf;
		}
		*taken_r = false;
		const size_t n = cr_for(d, c).n;
		return n == crlf.n ? dot_crlf : n ? dot_cr : lone_dot;
	}
	return none;
}

/* Is @c one that text_run() can begin with? */
static bool is_text(const struct smtp_data_decoder *d, char c)
{
	const bool dot = c == '.' && d->dots;

	return c != '\n' && (d->at == AT_TEXT || (d->at <= AT_START_SOFT && !dot));
}

enum smtp_data_event smtp_data_decode(struct smtp_data_decoder *d, struct span *in, struct span *run_r)
{
	if (d->mode == SMTP_DATA_BINARY && in->n) {
		const struct span all = *in;
		*in = span_skip(*in, in->n);
		return hand_out(d, all, run_r);
	}
	while (in->n) {
		bool taken, end = false;
		struct span run;

		if (is_text(d, in->p[0])) {
			const size_t n = text_run(d, *in);
			if (n) {
				run = span_first(*in, n);
				*in = span_skip(*in, n);
				return hand_out(d, run, run_r);
			}
		}
		run = octet(d, in->p[0], &taken, &end);
		if (taken)
			*in = span_skip(*in, 1);
		if (end)
			return SMTP_DATA_END;
		if (run.n)
			return hand_out(d, run, run_r);
	}
	return SMTP_DATA_MORE;
}

enum smtp_data_event smtp_data_finish(struct smtp_data_decoder *d, struct span *run_r)
{
	if (d->mode == SMTP_DATA_BINARY)
		return SMTP_DATA_END;
	if (d->at == AT_CR)
		return hand_out(d, cr_for(d, '\0'), run_r);
	if (d->line_octets) {
		d->flags |= SMTP_DATA_OPEN_END;
		line_done(d);
	}
	return SMTP_DATA_END;
}

/* ---- sending
 * -------------------------------------------------------------------------------------------------- */

void smtp_data_encoder_init(struct smtp_data_encoder *e)
{
	*e = (struct smtp_data_encoder){ .last = { '\r', '\n' } };
}

static bool ends_line(char c)
{
	return c == '\n' || c == '\r';
}

enum smtp_data_event smtp_data_encode(struct smtp_data_encoder *e, struct span *in, struct span *run_r)
{
	size_t n = 0;

	if (in->n == 0)
		return SMTP_DATA_MORE;
	if (in->p[0] == '.' && ends_line(e->last[1]) && !e->stuffed) {
		e->stuffed = true;
		*run_r = lone_dot;
		return SMTP_DATA_RUN;
	}
	/* Dots are rarer than line ends, and in base64 there are none. */
	for (n = 1; n < in->n; n++) {
		const char *const dot = memchr(in->p + n, '.', in->n - n);
		n = dot ? (size_t)(dot - in->p) : in->n;
		if (dot && ends_line(dot[-1]))
			break;
	}
	n = n < in->n ? n : in->n;
	e->last[0] = n > 1 ? in->p[n - 2] : e->last[1];
	e->last[1] = in->p[n - 1];
	e->stuffed = false;
	*run_r = span_first(*in, n);
	*in = span_skip(*in, n);
	return SMTP_DATA_RUN;
}

struct span smtp_data_encode_end(const struct smtp_data_encoder *e)
{
	if (e->last[1] == '\n' && e->last[0] == '\r')
		return SPAN(".\r\n");
	return e->last[1] == '\r' ? SPAN("\n.\r\n") : SPAN("\r\n.\r\n");
}
