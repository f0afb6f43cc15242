/* Replies of a server, in any pieces: the same replies whatever the chunks, within their limits and free of
 * control characters; each of them, written by us, reads back the same. The first two octets: chunk size and
 * text limit. */
#include <stdint.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/err.h"
#include "smtp/smtp_reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_reply(const struct smtp_reply *r, size_t text_max)
{
	require(smtp_reply_class(r->code) != SMTP_REPLY_NONE);
	require(r->text.n <= text_max && r->lines >= 1 && r->lines <= SMTP_REPLY_LINES_MAX);
	for (size_t i = 0; i < r->text.n; i++) {
		const unsigned char c = (unsigned char)r->text.p[i];
		require(c >= ' ' ? c != 0x7f : c == '\t' || c == '\n');
	}
}

/* What we write with this text is one reply with this code, in lines of at most 512 octets. */
static void write_and_read(unsigned code, struct span text)
{
	struct buf out = BUF_INIT(1 << 20);
	struct smtp_reply_parser p;
	const char *why = NULL;

	require(smtp_reply_add(&out, code, SMTP_ENHANCED(5, 7, 1), text, SMTP_REPLY_UTF8));
	smtp_reply_parser_init(&p, 1 << 20);
	struct span in = buf_span(&out);
	for (struct span lines = in; lines.n;)
		require(span_cut(&lines, '\n').n < SMTP_REPLY_LINE_MAX);
	const int rc = smtp_reply_parse(&p, &in, &why);
	require(rc == 1 || rc == -ERR_TOOBIG);
	require(rc < 0 || (in.n == 0 && p.reply.code == code && p.reply.notes == 0));
	require(rc < 0 ||
		p.reply.enhanced.class == (smtp_reply_class(code) == SMTP_REPLY_MORE ? 0 : code / 100) ||
		smtp_reply_class(code) == SMTP_REPLY_MORE);
	smtp_reply_parser_deinit(&p);
	buf_free(&out);
}

static void replies(struct span in, size_t chunk, size_t text_max, struct buf *out)
{
	struct smtp_reply_parser p;
	const char *why = NULL;
	int rc = 0;

	smtp_reply_parser_init(&p, text_max);
	while (in.n && rc >= 0) {
		const struct span part = span_first(in, chunk);
		char *const copy = malloc(part.n);
		struct span rest = { copy, part.n };
		memcpy(copy, part.p, part.n);
		in = span_skip(in, part.n);
		while (rest.n && (rc = smtp_reply_parse(&p, &rest, &why)) == 1) {
			check_reply(&p.reply, text_max);
			buf_addf(out, "[%u %s %u %u]", p.reply.code, smtp_enhanced_format(p.reply.enhanced).s,
				 p.reply.lines, p.reply.notes);
			buf_add_span(out, p.reply.text);
		}
		require(rc != 0 || rest.n == 0);
		free(copy);
	}
	if (rc < 0)
		buf_addf(out, "[%d %s]", rc, why);
	else
		buf_addf(out, "[%d]", smtp_reply_parser_is_midway(&p));
	smtp_reply_parser_deinit(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	const struct span in = span_make(data + 2, size - 2);
	struct buf whole = BUF_INIT(1 << 22), pieces = BUF_INIT(1 << 22);

	replies(in, in.n + 1, data[1] * 4u, &whole);
	replies(in, 1 + data[0] % 32u, data[1] * 4u, &pieces);
	require(span_eq(buf_span(&whole), buf_span(&pieces)));
	buf_free(&whole);
	buf_free(&pieces);
	write_and_read(200 + (data[0] | (unsigned)data[1] << 8) % 400, in);
	return 0;
}
