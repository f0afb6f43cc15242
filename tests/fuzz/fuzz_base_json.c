/* Whatever goes in, json_escape() writes a JSON string (RFC 8259 section 7) that says the same, except that octets which are no
 * UTF-8 become U+FFFD; and nothing in it moves a terminal's cursor. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(x)                                                                                              \
	do {                                                                                                 \
		if (!(x))                                                                                    \
			abort();                                                                             \
	} while (0)

static void add_utf8(struct buf *out, unsigned c)
{
	if (c < 0x80) {
		buf_add_char(out, (char)c);
	} else if (c < 0x800) {
		buf_add_char(out, (char)(0xc0 | c >> 6));
		buf_add_char(out, (char)(0x80 | (c & 0x3f)));
	} else {
		buf_add_char(out, (char)(0xe0 | c >> 12));
		buf_add_char(out, (char)(0x80 | (c >> 6 & 0x3f)));
		buf_add_char(out, (char)(0x80 | (c & 0x3f)));
	}
}

/* Reads what stands between the quotes of a JSON string; ends the process if it may not stand there. */
static void unescape(struct buf *out, struct span s)
{
	while (s.n) {
		const size_t n = utf8_char_len(s);
		const unsigned char c = (unsigned char)s.p[0];
		MUST(n > 0 && c >= 0x20 && c != 0x7f && c != '"');
		MUST(!(c == 0xc2 && (unsigned char)s.p[1] < 0xa0));
		if (c != '\\') {
			buf_add(out, s.p, n);
			s = span_skip(s, n);
			continue;
		}
		MUST(s.n >= 2);
		const char kind = s.p[1];
		s = span_skip(s, 2);
		if (kind == 'u') {
			unsigned v = 0;
			MUST(s.n >= 4);
			for (int i = 0; i < 4; i++) {
				MUST(ascii_hex_value(s.p[i]) >= 0);
				v = v * 16 + (unsigned)ascii_hex_value(s.p[i]);
			}
			MUST(v < 0xd800 || v > 0xdfff);
			add_utf8(out, v);
			s = span_skip(s, 4);
		} else {
			static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
			const char *at = strchr(from, kind);
			MUST(kind && at);
			buf_add_char(out, to[at - from]);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf escaped = BUF_INIT(size * 6 + 1), back = BUF_INIT(size * 3 + 1),
		   want = BUF_INIT(size * 3 + 1);

	json_escape(&escaped, span_make(data, size));
	MUST(!escaped.overflow);
	unescape(&back, buf_span(&escaped));
	for (struct span s = span_make(data, size); s.n;) {
		const size_t n = utf8_char_len(s);
		if (n)
			buf_add(&want, s.p, n);
		else
			add_utf8(&want, 0xfffd);
		s = span_skip(s, n ? n : 1);
	}
	MUST(!want.overflow && !back.overflow);
	MUST(span_eq(buf_span(&want), buf_span(&back)));
	buf_free(&escaped);
	buf_free(&back);
	buf_free(&want);
	return 0;
}
