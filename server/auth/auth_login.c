/* LOGIN, which was never a standard (draft-murchison-sasl-login): the server asks for the name, then for the password.
 * Devices speak it in more ways than one, and all of these are served:
 *
 *   AUTH LOGIN, name, password          as the draft has it
 *   AUTH LOGIN <name>, password         the name on the command's line, though RFC 4954 section 4 has the server begin
 *   AUTH LOGIN =, name, password        an empty answer where the name was due: it is asked for again
 *   name NUL password, or               both in one answer, the latter as PLAIN has it
 *   NUL name NUL password
 *   name NUL, password NUL              the end of a C string sent along
 */
#include "auth/auth_priv.h"

static enum auth_step ask_user(struct auth_exchange *x)
{
	x->state_->m.login.asked_user = true;
	return auth_challenge(x, SPAN("Username:"));
}

static struct span without_nul(struct span s)
{
	return s.n > 1 && s.p[s.n - 1] == '\0' ? span_first(s, s.n - 1) : s;
}

static enum auth_step take_user(struct auth_exchange *x, struct span in)
{
	struct span rest = without_nul(in);

	if (span_starts(rest, SPAN("\0")))
		return auth_plain_message(x, rest);
	const struct span user = span_cut(&rest, '\0');
	if (auth_take_user(x, user) == AUTH_SAID)
		return AUTH_SAID;
	if (rest.p)
		return auth_check_password(x, rest);
	x->state_->m.login.asked_password = true;
	return auth_challenge(x, SPAN("Password:"));
}

static enum auth_step step_login(struct auth_exchange *x, struct span in)
{
	struct auth_login *l = &x->state_->m.login;

	if (l->asked_password)
		return auth_check_password(x, without_nul(in));
	return in.n ? take_user(x, in) : ask_user(x);
}

const struct auth_mechanism auth_mechanism_login = { .step = step_login,
						     .server_first = true,
						     .cancel = auth_check_cancel };
