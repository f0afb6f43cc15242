#include "auth/auth_pattern.h"

#include "auth/auth_principal.h"
#include "base/buf.h"

enum { PATTERN_MAX = 4096 };

int auth_pattern_set(struct auth_pattern *p, const char *text, struct errtext *e)
{
	struct buf whole = BUF_INIT(PATTERN_MAX);
	int err = 0;

	if (!text)
		return 0;
	buf_addf(&whole, "^(%s)$", text);
	const int code =
		whole.overflow ? REG_ESPACE : regcomp(&p->regex_, buf_cstr(&whole), REG_EXTENDED | REG_NOSUB);
	if (code) {
		char why[120];
		regerror(code, NULL, why, sizeof why);
		err = errtext_set(e, ERR_INVAL, "allow: %s", why);
	}
	p->set_ = !code;
	buf_free(&whole);
	return err;
}

void auth_pattern_deinit(struct auth_pattern *p)
{
	if (p->set_)
		regfree(&p->regex_);
	p->set_ = false;
}

bool auth_pattern_matches(const struct auth_pattern *p, const struct auth_identity *id)
{
	char name[AUTH_USER_MAX + AUTH_REALM_MAX];
	const struct span s = auth_principal_name(id);

	if (!p->set_)
		return true;
	memcpy(name, s.p, s.n);
	name[s.n] = '\0';
	return regexec(&p->regex_, name, 0, NULL, 0) == 0;
}
