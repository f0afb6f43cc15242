/* variant.c - what keeps connections to one next hop apart: the credential that mail is sent with, and mail that needs more than
 * the route does. It is a part of the destination's name, so that it gets connections, limits and a state of its own. */
#include "delivery/delivery_priv.h"

#include <stdio.h>

#define REQUIRETLS "requiretls"
#define OPTIONAL   "may"
#define AS         "as "

struct span variant_format(struct delivery *d, const struct variant *v)
{
	const char *const need = v->requiretls ? REQUIRETLS : v->optional ? OPTIONAL : "";
	const int n = snprintf(d->variant, sizeof d->variant, "%s%s%s%.*s", need,
			       *need && v->login.n ? " " : "", v->login.n ? AS : "", SPAN_ARG(v->login));

	require(n >= 0 &&
		(size_t)n <
			sizeof d->variant); /* a login's domain is one of the configuration's, so a name */
	return span_make(d->variant, (size_t)n);
}

struct variant variant_parse(struct span text)
{
	struct variant v = { 0 };

	if (span_starts(text, SPAN(REQUIRETLS))) {
		v.requiretls = true;
		text = span_trim(span_skip(text, sizeof REQUIRETLS - 1));
	} else if (span_starts(text, SPAN(OPTIONAL))) {
		v.optional = true;
		text = span_trim(span_skip(text, sizeof OPTIONAL - 1));
	}
	if (span_starts(text, SPAN(AS)))
		v.login = span_skip(text, sizeof AS - 1);
	return v;
}
