#include "main/refresh.h"

#include <stdio.h>

#include "base/check.h"

struct teller {
	struct logger *log;
	const char *of;
};

static void on_told(void *arg, struct span name, int result, const char *text)
{
	const struct teller *t = arg;
	struct log_rec r;
	char what[300];

	const enum log_event event = result == -ERR_UNREACH ? LOG_EV_TOKEN_FAILING
				     : result < 0           ? LOG_EV_FILE_REFUSED
							    : LOG_EV_FILE_TAKEN;
	if (!log_begin(&r, t->log, event))
		return;
	snprintf(what, sizeof what, "%s of route %.*s", t->of, SPAN_ARG(span_first(name, 200)));
	log_cstr(&r, LOG_F_WHAT, what);
	if (result < 0)
		log_cstr(&r, LOG_F_ERROR, err_name(result));
	if (*text)
		log_cstr(&r, LOG_F_TEXT, text);
	log_end(&r);
}

void refresh_files(const struct config *cfg, struct logger *log)
{
	config_refresh_secrets(cfg, on_told, &(struct teller){ log, "login" });
	config_refresh_route_tls(cfg, on_told, &(struct teller){ log, "tls" });
}
