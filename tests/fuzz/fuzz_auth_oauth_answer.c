/* What a token endpoint, and a mail server that refuses a token, may say: whatever it is, what comes of it is bounded, printable and
 * can stand in a line of SMTP and in a log. */
#include <stdint.h>
#include <string.h>

#include "auth/auth_oauth_answer.h"
#include "base/check.h"

static void check_words(const char *why, size_t max)
{
	const size_t n = strlen(why);

	require(n > 0 && n < max);
	for (size_t i = 0; i < n; i++)
		require(why[i] >= ' ' && why[i] < 127);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const unsigned statuses[] = { 200, 400, 401, 429, 500, 302 };
	struct auth_oauth_answer a = { .expires_s = -1, .bearer = true };
	const struct span text = span_make(data, size);
	char why[AUTH_TOKEN_WHY_MAX];

	const int r = auth_oauth_answer_parse(text, &a);
	require(r == 0 || r == -ERR_SYNTAX || r == -ERR_TOOBIG);
	if (r == 0) {
		require(a.expires_s >= -1 && a.expires_s <= AUTH_OAUTH_LIFE_MAX_S);
		require(secret_span(&a.access).n <= AUTH_OAUTH_TOKEN_MAX &&
			secret_span(&a.refresh).n <= AUTH_OAUTH_TOKEN_MAX);
	}
	if (auth_oauth_answer_is_good(&a, 200))
		require(memchr(secret_span(&a.access).p, ' ', secret_span(&a.access).n) == NULL);
	for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
		if (auth_oauth_answer_is_good(&a, statuses[i]))
			continue;
		for (unsigned provider = AUTH_PROVIDER_GENERIC; provider <= AUTH_PROVIDER_GOOGLE;
		     provider++) {
			auth_oauth_answer_explain(&a, statuses[i], (enum auth_provider)provider, why,
						  sizeof why);
			check_words(why, sizeof why);
		}
	}
	auth_oauth_answer_deinit(&a);
	auth_oauth_challenge_explain(text, why, sizeof why);
	check_words(why, sizeof why);
	return 0;
}
