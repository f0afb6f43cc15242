#include <openssl/err.h>
#include <stdio.h>

#include "tls/tls_context_priv.h"

void tls_error_text(char *out, size_t max)
{
	const unsigned long code = ERR_peek_last_error();
	const char *reason = ERR_reason_error_string(code);

	if (ERR_SYSTEM_ERROR(code))
		snprintf(out, max, "%s", err_text(err_from_errno(ERR_GET_REASON(code))));
	else if (reason)
		snprintf(out, max, "%s", reason);
	else if (code)
		snprintf(out, max, "OpenSSL's error %lx", code);
	else
		snprintf(out, max, "OpenSSL gives no reason");
	ERR_clear_error();
}

int tls_error_set(struct errtext *e, int err, const char *fmt, ...)
{
	char reason[120];
	struct errtext what;
	va_list ap;

	tls_error_text(reason, sizeof reason);
	va_start(ap, fmt);
	vsnprintf(what.s, sizeof what.s, fmt, ap);
	va_end(ap);
	return errtext_set(e, err, "%s: %s", what.s, reason);
}
