/* main/config_dkim.c - keys that mail is signed with. */
#include "main/config_priv.h"

#include "tls/tls_sign.h"

/* What makes verifiers doubt, or strangers sign for us, is said and does not stop the server. */
static void look_at_key(struct config_build *b, const struct config_value *v,
			const struct tls_private_key *key, bool open)
{
	const struct span file = config_span(v, "key");

	if (open)
		config_problem_add(
			b->problems, true, v->file, v->line,
			"dkim.key: everybody may read %.*s; chmod 600 it, for whoever has it signs as you",
			SPAN_ARG(file));
	if (tls_private_key_kind(key) == TLS_KEY_RSA && tls_private_key_bits(key) < TLS_RSA_BITS_WANTED)
		config_problem_add(b->problems, true, v->file, v->line,
				   "dkim.key: %.*s has %u bits; %d are recommended (RFC 8301)",
				   SPAN_ARG(file), tls_private_key_bits(key), TLS_RSA_BITS_WANTED);
}

static void add_key(struct config_build *b, const struct config_value *v)
{
	const struct span file = config_span(v, "key"), domain = config_span(v, "domain");
	struct tls_private_key *key = NULL;
	struct errtext why = { "" };

	const int open = tls_private_key_read(file.p, &key, &why);
	if (open < 0) {
		config_complain(b, v, "dkim.key: %s", why.s);
		return;
	}
	look_at_key(b, v, key, open == 1);
	if (dkim_signer_add(b->cfg->dkim, domain, config_span(v, "selector"), &key, &why) < 0)
		config_complain(b, v, "dkim: %s", why.s);
	tls_private_key_free(&key);
}

void config_build_listener_dkim(struct config_build *b, const struct config_value *v,
				struct session_listener *s)
{
	if (config_bool(config_get(v, "dkim_sign"), true))
		s->signer = b->cfg->dkim;
	s->dkim_verify = config_bool(config_get(v, "dkim_verify"), false);
	s->arc_seal = config_bool(config_get(v, "arc_seal"), false);
	s->dkim_timeout_us = config_us(v, "dkim_timeout");
	if (s->arc_seal && !s->dkim_verify)
		config_complain(b, v, "listener \"%.*s\": arc_seal wants dkim_verify = true",
				SPAN_ARG(s->name));
	else if (s->arc_seal && (!s->signer || !dkim_signer_seals(s->signer)))
		config_complain(
			b, v,
			"listener \"%.*s\": arc_seal wants dkim_sign, and an RSA key of the default domain in dkim",
			SPAN_ARG(s->name));
}

void config_build_dkim(struct config_build *b)
{
	const struct config_value *list = config_get(b->root, "dkim");
	const struct config_value *dflt = NULL;

	if (config_count(list) == 0)
		return;
	b->cfg->dkim = dkim_signer_new();
	for (size_t i = 0; i < config_count(list); i++) {
		const struct config_value *v = config_at(list, i);
		add_key(b, v);
		if (!config_bool(config_get(v, "default"), false))
			continue;
		if (dflt && !span_ieq(config_span(dflt, "domain"), config_span(v, "domain")))
			config_complain(b, v, "dkim.default: two domains cannot both sign what has no key");
		dflt = v;
	}
	/* Without such a key there was a problem already. */
	if (dflt)
		dkim_signer_set_default(b->cfg->dkim, config_span(dflt, "domain"));
}
