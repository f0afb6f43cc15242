/* Which mechanisms there are, and which of them can work on a connection. */
#include "auth/auth_exchange.h"

static const char *const names[] = {
#define X(name, text) [AUTH_MECH_##name] = text,
	AUTH_MECH_MAP(X)
#undef X
};

const char *auth_mech_name(enum auth_mech mech)
{
	return mech < AUTH_MECH_MAX_ ? names[mech] : "?";
}

int auth_mech_parse(struct span name, enum auth_mech *mech_r)
{
	for (unsigned i = 0; i < AUTH_MECH_MAX_; i++) {
		if (span_ieq(name, span_of(names[i]))) {
			*mech_r = (enum auth_mech)i;
			return 0;
		}
	}
	return -ERR_NOTFOUND;
}

static uint32_t bit(enum auth_mech mech)
{
	return UINT32_C(1) << mech;
}

static bool binds(const struct auth_channel *c)
{
	uint8_t octets[256];

	return c->tls && c->binding &&
	       (c->binding(c->arg, SPAN("tls-exporter"), octets, sizeof octets) > 0 ||
		c->binding(c->arg, SPAN("tls-server-end-point"), octets, sizeof octets) > 0);
}

uint32_t auth_offered(const struct auth_server *server, const struct auth_channel *channel)
{
	uint32_t mechs = server->mechs;
	bool verifiers = false;

	if (!channel->tls)
		mechs &= server->clear_mechs;
	for (unsigned i = 0; i < server->nbackends; i++)
		verifiers |= server->backend[i]->ops->verifier != NULL;
	if (server->nbackends == 0)
		mechs &= ~(bit(AUTH_MECH_PLAIN) | bit(AUTH_MECH_LOGIN));
	if (!verifiers)
		mechs &= ~(bit(AUTH_MECH_SCRAM_SHA_256) | bit(AUTH_MECH_SCRAM_SHA_256_PLUS));
	if (!server->gssapi)
		mechs &= ~bit(AUTH_MECH_GSSAPI);
	if (!channel->tls || !channel->external.n)
		mechs &= ~bit(AUTH_MECH_EXTERNAL);
	if ((mechs & bit(AUTH_MECH_SCRAM_SHA_256_PLUS)) && !binds(channel))
		mechs &= ~bit(AUTH_MECH_SCRAM_SHA_256_PLUS);
	return mechs & (bit(AUTH_MECH_MAX_) - 1);
}
