/* PLAIN (RFC 4616): one message, "[authzid] NUL user NUL password". */
#include "auth/auth_priv.h"

enum auth_step auth_plain_message(struct auth_exchange *x, struct span in)
{
	struct span rest = in;
	const struct span authzid = span_cut(&rest, '\0');
	const struct span user = span_cut(&rest, '\0');

	if (!rest.p)
		return auth_say(x, AUTH_MALFORMED, "PLAIN wants two NULs");
	if (auth_take_authzid(x, authzid) == AUTH_SAID || auth_take_user(x, user) == AUTH_SAID)
		return AUTH_SAID;
	return auth_check_password(x, rest);
}

const struct auth_mechanism auth_mechanism_plain = { .step = auth_plain_message,
						     .cancel = auth_check_cancel };
