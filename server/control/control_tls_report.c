/* control_tls_report.c - how TLS fared, as a report of SMTP TLS reporting (RFC 8460). */
#include <stdio.h>
#include <time.h>

#include "control/control_priv.h"

void control_tls_report(struct control_request *r)
{
	const struct span node = span_of(r->env->node ? r->env->node : "");
	char contact[300];
	struct timespec ts;
	int64_t wall_us;

	clock_gettime(CLOCK_REALTIME, &ts);
	wall_us = (int64_t)ts.tv_sec * 1000000;
	if (control_flag(r, "yesterday"))
		wall_us -= INT64_C(86400) * 1000000;
	snprintf(contact, sizeof contact, "postmaster@%.*s", SPAN_ARG(node));
	if (!r->env->tls_report)
		control_fail(r, 404, "nobody counts");
	else if (tls_report_json(r->env->tls_report, wall_us, node, span_of(contact),
				 control_arg(r, "domain"), &r->out) < 0)
		control_fail(r, 500, "the report is too large; ask for one domain");
}
