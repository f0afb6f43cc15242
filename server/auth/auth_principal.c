#include "auth/auth_principal.h"

static int refuse(int err, const char *why, const char **why_r)
{
	*why_r = why;
	return err;
}

static const char *fault_in_name(struct span name)
{
	for (struct span rest = name; rest.p;)
		if (span_cut(&rest, '/').n == 0)
			return "an empty name, or a part of it is";
	return NULL;
}

int auth_principal_parse(struct span user, struct span realm, struct auth_identity *id_r, const char **why_r)
{
	if (user.n == 0 || user.n >= AUTH_USER_MAX || realm.n == 0 || realm.n >= AUTH_REALM_MAX)
		return refuse(-ERR_SYNTAX, "empty, or too long for a principal", why_r);
	for (size_t i = 0; i < user.n; i++) {
		const unsigned char c = (unsigned char)user.p[i];
		if (c < 0x20 || c == 0x7f || c == '\\')
			return refuse(-ERR_SYNTAX, "a backslash or a control character in a principal",
				      why_r);
	}
	struct span own = user;
	const struct span name = span_cut(&own, '@');
	if (span_find_char(own, '@') >= 0)
		return refuse(-ERR_SYNTAX, "more than one @ in a principal", why_r);
	if (own.p && own.n == 0)
		return refuse(-ERR_SYNTAX, "an empty realm", why_r);
	const char *fault = fault_in_name(name);
	if (fault || name.n == 0)
		return refuse(-ERR_SYNTAX, fault ? fault : "an empty name", why_r);
	if (own.p && !span_ieq(own, realm))
		return refuse(-ERR_DENIED, "of another realm; no KDC was asked", why_r);

	struct auth_identity id = { .user = "" };
	memcpy(id.user, name.p, name.n);
	id.user[name.n] = '@';
	memcpy(id.user + name.n + 1, realm.p, realm.n);
	memcpy(id.realm, realm.p, realm.n);
	*id_r = id;
	return 0;
}

struct span auth_principal_name(const struct auth_identity *id)
{
	struct span rest = span_of(id->user);

	return span_cut(&rest, '@');
}
