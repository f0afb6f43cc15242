#include "main/cli_upstream.h"

#include "main/upstream_check.h"

int cli_upstream_check(void *arg, struct span in, struct buf *out, struct errtext *why)
{
	struct upstream_request req = { 0 };

	(void)arg;
	while (in.p) {
		struct span line = span_cut(&in, '\n');
		const struct span key = span_cut(&line, ' ');
		const struct span value = line.p ? line : SPAN("");
		if (span_eq(key, SPAN("config")))
			req.config = value;
		else if (span_eq(key, SPAN("route")))
			req.route = value;
		else if (span_eq(key, SPAN("to")))
			req.to = value;
		else if (span_eq(key, SPAN("from")))
			req.from = value;
		else if (key.n)
			return errtext_set(why, ERR_BUG, "upstream check: no parameter \"%.*s\"",
					   SPAN_ARG(span_first(key, 40)));
	}
	if (!req.config.n || !req.route.n)
		return errtext_set(why, ERR_INVAL, "upstream check: a configuration and a route are wanted");
	return upstream_check(&req, out, why);
}
