/* fuzz_mail_dsn_parse.c - the reports of others, and with them MIME types, parts and transfer encodings. */
#include <stdint.h>
#include <stdlib.h>

#include "mail/mail_dsn_parse.h"
#include "mail/mail_mime.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CLAIM(x)                                                                                             \
	do {                                                                                                 \
		if (!(x))                                                                                    \
			abort();                                                                             \
	} while (0)

/* What is written as quoted-printable is read as it was, but for line ends. */
static void check_qp(struct span in)
{
	struct buf qp = BUF_INIT(1 << 20), back = BUF_INIT(1 << 20), again = BUF_INIT(1 << 20);

	CLAIM(mail_mime_write_qp(&qp, in));
	CLAIM(mail_mime_lines_ok(buf_span(&qp)));
	CLAIM(mail_mime_decode(&back, MAIL_MIME_QUOTED_PRINTABLE, buf_span(&qp)) == 0);
	CLAIM(mail_mime_write_qp(&again, buf_span(&back)));
	CLAIM(span_eq(buf_span(&qp), buf_span(&again)));
	if (mail_mime_lines_ok(in))
		CLAIM(span_eq(in, buf_span(&back)));
	buf_reset(&back);
	mail_mime_decode(&back, MAIL_MIME_BASE64, in);
	CLAIM(back.n <= in.n / 4 * 3 + 3);
	buf_free(&qp);
	buf_free(&back);
	buf_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct span in = span_make(data, size);
	struct arena *a = arena_new(4 << 20);
	struct mail_dsn_report r;

	if (mail_dsn_parse(a, in, &r) == 0) {
		CLAIM(r.rcpt_count > 0 && r.rcpt_count <= MAIL_DSN_REPORT_RCPTS_MAX);
		for (size_t i = 0; i < r.rcpt_count; i++)
			CLAIM(r.rcpts[i].status.n == 0 || mail_dsn_status_valid(r.rcpts[i].status));
	}
	check_qp(in);
	arena_free(&a);
	return 0;
}
