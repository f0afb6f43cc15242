#include "mail/mail_punycode.h"

#include "base/utf8.h"

/* RFC 3492 section 5 */
enum { BASE = 36, T_MIN = 1, T_MAX = 26, SKEW = 38, DAMP = 700, INITIAL_BIAS = 72, INITIAL_N = 128 };
/* Of a label in the DNS, without "xn--". */
enum { LABEL_MAX = 63, CODED_MAX = 59 };

static char digit_char(uint32_t d)
{
	return (char)(d < 26 ? 'a' + d : '0' + (d - 26));
}

/* RFC 3492 section 6.1 */
static uint32_t adapt(uint32_t delta, uint32_t points, bool first)
{
	uint32_t k = 0;

	delta = first ? delta / DAMP : delta / 2;
	delta += delta / points;
	for (; delta > (BASE - T_MIN) * T_MAX / 2; k += BASE)
		delta /= BASE - T_MIN;
	return k + (BASE - T_MIN + 1) * delta / (delta + SKEW);
}

/* A number with a variable count of digits (RFC 3492 section 3.3). */
static void put_delta(struct buf *out, uint32_t q, uint32_t bias)
{
	for (uint32_t k = BASE;; k += BASE) {
		const uint32_t t = k <= bias ? T_MIN : k >= bias + T_MAX ? T_MAX : k - bias;
		if (q < t)
			break;
		buf_add_char(out, digit_char(t + (q - t) % (BASE - t)));
		q = (q - t) / (BASE - t);
	}
	buf_add_char(out, digit_char(q));
}

static uint32_t code_point(struct span s, size_t n)
{
	uint32_t c = (unsigned char)s.p[0];

	if (n > 1)
		c &= 0xffu >> (n + 1);
	for (size_t i = 1; i < n; i++)
		c = c << 6 | ((unsigned char)s.p[i] & 0x3f);
	return c;
}

/* RFC 3492 section 6.3. A label has at most LABEL_MAX characters, so no sum overflows. */
static void encode(struct buf *out, const uint32_t *points, size_t count)
{
	uint32_t n = INITIAL_N, delta = 0, bias = INITIAL_BIAS, done = 0;

	for (size_t i = 0; i < count; i++)
		if (points[i] < 0x80) {
			buf_add_char(out, ascii_lower((char)points[i]));
			done++;
		}
	const uint32_t basic = done;
	if (basic)
		buf_add_char(out, '-');
	while (done < count) {
		uint32_t next = UINT32_MAX;
		for (size_t i = 0; i < count; i++)
			if (points[i] >= n && points[i] < next)
				next = points[i];
		delta += (next - n) * (done + 1);
		n = next;
		for (size_t i = 0; i < count; i++) {
			delta += points[i] < n;
			if (points[i] != n)
				continue;
			put_delta(out, delta, bias);
			bias = adapt(delta, done + 1, done == basic);
			delta = 0;
			done++;
		}
		delta++;
		n++;
	}
}

static int put_label(struct buf *out, struct span label)
{
	struct buf coded = BUF_INIT(CODED_MAX);
	uint32_t points[LABEL_MAX];
	size_t count = 0;
	int err = 0;

	if (ascii_only(label))
		return label.n > LABEL_MAX ? -ERR_SYNTAX : buf_add_span(out, label) ? 0 : -ERR_TOOBIG;
	while (label.n && err == 0) {
		const size_t n = utf8_char_len(label);
		if (n == 0 || count == LABEL_MAX) {
			err = -ERR_SYNTAX;
		} else {
			points[count++] = code_point(label, n);
			label = span_skip(label, n);
		}
	}
	if (err == 0) {
		encode(&coded, points, count);
		buf_add_str(out, "xn--");
		err = coded.overflow ? -ERR_SYNTAX : buf_add_span(out, buf_span(&coded)) ? 0 : -ERR_TOOBIG;
	}
	buf_free(&coded);
	return err;
}

int mail_domain_to_ascii(struct buf *out, struct span domain)
{
	const size_t before = out->n;
	int err = 0;

	while (domain.p && err == 0) {
		err = put_label(out, span_cut(&domain, '.'));
		if (err == 0 && domain.p && !buf_add_char(out, '.'))
			err = -ERR_TOOBIG;
	}
	if (err < 0)
		out->n = before;
	return err;
}
