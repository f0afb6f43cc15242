/* Replies of saslauthd: the same whether they come at once or octet by octet, never more than their maximum, and only "OK" gets in. */
#include <stdint.h>

#include "auth/auth_saslauthd_wire.h"
#include "base/check.h"
#include "base/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct span in = span_make(data, size);
	enum auth_answer answer = AUTH_ANSWER_MAX_, at_last = AUTH_ANSWER_MAX_;
	struct span text = { NULL, 0 }, text_at_last;
	const int n = saslauthd_reply(in, &answer, &text);

	require(n != 0 && n <= 2 + SASLAUTHD_REPLY_MAX && (n < 0 || (size_t)n <= size));
	if (n < 0) {
		require(answer == AUTH_ANSWER_MAX_ && text.p == NULL);
		require(n == -ERR_AGAIN || n == -ERR_TOOBIG || n == -ERR_SYNTAX);
	}
	for (size_t i = 0; n > 0 && i < (size_t)n; i++)
		require(saslauthd_reply(span_first(in, i), &at_last, &text_at_last) == -ERR_AGAIN);
	if (n > 0) {
		require(saslauthd_reply(span_first(in, (size_t)n), &at_last, &text_at_last) == n);
		require(at_last == answer && span_eq(text, text_at_last));
		require((answer == AUTH_ANSWER_RIGHT) == (data[2] == 'O' && data[3] == 'K'));
		require(text.n <= (size_t)n && text.p >= in.p && text.p + text.n <= in.p + n);
	}
	/* and what we say, cut into two fields at its first octet's place */
	const size_t cut = size ? data[0] : 0;
	struct buf out = BUF_INIT(SASLAUTHD_REQUEST_MAX);
	const struct span login = span_first(in, cut), password = span_skip(in, cut);
	if (saslauthd_request(&out, login, password, SPAN("smtp"), SPAN("")))
		require(out.n == 4 * 2 + login.n + password.n + 4 && span_find_char(login, 0) < 0 &&
			span_find_char(password, 0) < 0);
	buf_free(&out);
	return 0;
}
