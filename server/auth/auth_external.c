/* EXTERNAL (RFC 4422 appendix A): TLS has verified the client's certificate, and the message says who it wants to act as, if not
 * as the one that the certificate names. */
#include <stdio.h>

#include "auth/auth_priv.h"

static enum auth_step step_external(struct auth_exchange *x, struct span in)
{
	const struct span who = x->channel->external;

	if (auth_take_authzid(x, in) == AUTH_SAID || auth_take_user(x, who) == AUTH_SAID)
		return AUTH_SAID;
	(void)snprintf(x->identity.user, sizeof x->identity.user, "%.*s", SPAN_ARG(who));
	return auth_done(x);
}

const struct auth_mechanism auth_mechanism_external = { .step = step_external };
