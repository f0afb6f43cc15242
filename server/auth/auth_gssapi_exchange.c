/* Happy path of an exchange (RFC 4752 section 3.2):
 *
 *   1. the client's token is accepted with our key: who it is, for which service                       TOKEN
 *   2. has the library a token for the client, it goes as a challenge and the client says nothing      SENT
 *   3. the offer goes, wrapped: no security layer                                                      OFFERED
 *   4. the client's choice comes, wrapped, with whom it wants to act as                                OVER
 *
 * Each step is one job on the pool of the auth_gssapi. It fails when a token is not what the step wants (malformed), when the
 * client cannot be believed or may not act so (refused), and when it is our key, clock or disk (temporary). What failed is over.
 */
#include <errno.h>
#include <krb5.h>
#include <stdio.h>
#include <stdlib.h>

#include "auth/auth_exchange.h"
#include "auth/auth_gssapi_priv.h"
#include "auth/auth_principal.h"
#include "base/check.h"
#include "base/mem.h"
#include "base/utf8.h"

#define BINDING "tls-server-end-point" /* RFC 5929 section 4 */

enum { BINDING_MAX = 128, PRINCIPAL_MAX = AUTH_USER_MAX + AUTH_REALM_MAX };

struct auth_gssapi_state {
	enum { AT_TOKEN, AT_SENT, AT_OFFERED, AT_OVER } at;
	const struct auth_channel *channel;
	gss_ctx_id_t ctx;
	gss_buffer_desc challenge; /* the library's */
	struct buf in;
	char binding[BINDING_MAX];
	size_t nbinding;
	char own_realm[AUTH_REALM_MAX]; /* of the principal that the client has a ticket for */
	struct auth_identity identity;  /* once the context stands */
	bool bound;
};

/* ---- how a step ends ------------------------------------------------------------------------------------- */

static void end(struct auth_gssapi_exchange *x, enum auth_gssapi_result result, enum auth_answer answer,
		const char *why)
{
	x->result = result;
	x->answer = answer;
	(void)snprintf(x->why, sizeof x->why, "%s", why);
	x->state_->at = AT_OVER;
}

static void malformed(struct auth_gssapi_exchange *x, const char *why)
{
	end(x, AUTH_GSSAPI_MALFORMED, AUTH_ANSWER_WRONG, why);
}

static void refuse(struct auth_gssapi_exchange *x, enum auth_answer answer, const char *why)
{
	end(x, AUTH_GSSAPI_REFUSED, answer, why);
}

static void challenge(struct auth_gssapi_exchange *x, int at)
{
	x->result = AUTH_GSSAPI_CHALLENGE;
	x->challenge = auth_gss_span(&x->state_->challenge);
	x->state_->at = at;
}

/* What we must mend ourselves: no key for this service or this version of it, the clock, the replay cache. */
static bool is_ours(OM_uint32 minor)
{
	switch ((krb5_error_code)minor) {
	case KRB5KRB_AP_ERR_SKEW:
	case KRB5KRB_AP_ERR_TKT_NYV:
	case KRB5KRB_AP_ERR_NOKEY:
	case KRB5KRB_AP_ERR_BADKEYVER:
	case KRB5KRB_AP_WRONG_PRINC:
	case KRB5KRB_AP_ERR_NOT_US:
	case KRB5_KT_NOTFOUND:
	case KRB5_KT_KVNONOTFOUND:
	case KRB5_KT_IOERR:
	case KRB5_RC_IO:
	case KRB5_RC_IO_PERM:
	case KRB5_RC_IO_SPACE:
	case KRB5_RC_IO_IO:
	case KRB5_RC_IO_UNKNOWN:
	case ENOENT:
	case EACCES:
	case EROFS:
	case ENOSPC:
		return true;
	default:
		return false;
	}
}

static void not_accepted(struct auth_gssapi_exchange *x, OM_uint32 major, OM_uint32 minor)
{
	const OM_uint32 error = GSS_ROUTINE_ERROR(major);
	enum auth_gssapi_result result = AUTH_GSSAPI_REFUSED;
	enum auth_answer answer = AUTH_ANSWER_WRONG;
	char why[AUTH_WHY_MAX];

	if (error == GSS_S_DEFECTIVE_TOKEN || error == GSS_S_BAD_MECH) {
		result = AUTH_GSSAPI_MALFORMED;
	} else if (error == GSS_S_CREDENTIALS_EXPIRED ||
		   (krb5_error_code)minor == KRB5KRB_AP_ERR_TKT_EXPIRED) {
		answer = AUTH_ANSWER_EXPIRED;
	} else if (error == GSS_S_NO_CRED || is_ours(minor)) {
		result = AUTH_GSSAPI_TEMPORARY;
		answer = AUTH_ANSWER_TEMPFAIL;
	}
	auth_gss_say(major, minor, "not accepted", why, sizeof why);
	end(x, result, answer, why);
}

/* ---- who it is ------------------------------------------------------------------------------------------- */

/* The ticket must be for our service at some host, or for the one principal that is configured (RFC 4752 section 3.2): other
 * keys in the keytab are not for mail. */
static bool is_our_service(struct auth_gssapi_exchange *x, gss_name_t target)
{
	struct auth_gssapi_state *st = x->state_;
	char text[PRINCIPAL_MAX];

	if (auth_gss_name_text(target, text, sizeof text) < 0)
		return false;
	struct span rest = span_of(text);
	const struct span name = span_cut(&rest, '@');
	struct span host = name;
	const struct span service = span_cut(&host, '/');
	if (!rest.n || rest.n >= sizeof st->own_realm || !host.n || span_find_char(host, '/') >= 0)
		return false;
	memcpy(st->own_realm, rest.p, rest.n);
	if (x->gssapi->principal)
		return strcmp(text, x->gssapi->principal) == 0;
	return span_eq(service, span_of(x->gssapi->service));
}

/* Realms of tickets are compared octet for octet: another spelling is another realm. */
static bool is_of_realm(const char *principal, const char *realm, struct auth_identity *id)
{
	const char *why;

	return realm && auth_principal_parse(span_of(principal), span_of(realm), id, &why) == 0 &&
	       strcmp(id->user, principal) == 0;
}

static bool identify(struct auth_gssapi_exchange *x, gss_name_t source)
{
	const struct auth_gssapi *g = x->gssapi;
	struct auth_gssapi_state *st = x->state_;
	char principal[PRINCIPAL_MAX];

	if (auth_gss_name_text(source, principal, sizeof principal) < 0)
		return false;
	bool known = is_of_realm(principal, g->realm ? g->realm : st->own_realm, &st->identity);
	for (unsigned i = 0; i < g->nrealms && !known; i++)
		known = is_of_realm(principal, g->realms[i], &st->identity);
	return known;
}

/* RFC 4752 section 3.2: what must hold of a context that stands. */
static bool look_at_context(struct auth_gssapi_exchange *x, gss_const_OID mech, OM_uint32 flags)
{
	struct auth_gssapi_state *st = x->state_;
	gss_name_t source = GSS_C_NO_NAME, target = GSS_C_NO_NAME;
	OM_uint32 minor;
	const char *why = NULL;

	const OM_uint32 major =
		gss_inquire_context(&minor, st->ctx, &source, &target, NULL, NULL, NULL, NULL, NULL);
	if (GSS_ERROR(major) || !auth_gss_is_krb5(mech))
		why = "a context that is none of Kerberos";
	else if (!(flags & GSS_C_INTEG_FLAG))
		why = "a context that protects nothing";
	else if (flags & GSS_C_ANON_FLAG)
		why = "an anonymous client";
	else if (!is_our_service(x, target))
		why = "a ticket for another service";
	else if (!identify(x, source))
		why = "a principal of a realm that is not let in";
	else if (!auth_pattern_matches(&x->gssapi->allow, &st->identity))
		why = "a principal that may not log in here";
	gss_release_name(&minor, &source);
	gss_release_name(&minor, &target);
	st->bound = (flags & GSS_C_CHANNEL_BOUND_FLAG) != 0;
	if (why)
		refuse(x, AUTH_ANSWER_WRONG, why);
	return !why;
}

/* ---- steps ----------------------------------------------------------------------------------------------- */

static void offer(struct auth_gssapi_exchange *x)
{
	static const uint8_t layers[AUTH_GSS_LAYER_OCTETS] = { AUTH_GSS_LAYER_NONE, 0, 0, 0 };
	struct auth_gssapi_state *st = x->state_;
	gss_buffer_desc in = auth_gss_buffer(span_make(layers, sizeof layers));
	OM_uint32 minor;
	const OM_uint32 major = gss_wrap(&minor, st->ctx, 0, GSS_C_QOP_DEFAULT, &in, NULL, &st->challenge);

	if (major != GSS_S_COMPLETE)
		end(x, AUTH_GSSAPI_TEMPORARY, AUTH_ANSWER_TEMPFAIL, "the offer cannot be wrapped");
	else
		challenge(x, AT_OFFERED);
}

static void accept_token(struct auth_gssapi_exchange *x)
{
	struct auth_gssapi_state *st = x->state_;
	gss_buffer_desc in = auth_gss_buffer(buf_span(&st->in));
	struct gss_channel_bindings_struct binding = { .application_data = { .length = st->nbinding,
									     .value = st->binding } };
	gss_cred_id_t cred = GSS_C_NO_CREDENTIAL;
	gss_OID mech = GSS_C_NO_OID;
	OM_uint32 minor, ignored, flags = 0;
	OM_uint32 major = auth_gssapi_credential(x->gssapi, &minor, &cred);

	if (GSS_ERROR(major)) {
		char why[AUTH_WHY_MAX];
		auth_gss_say(major, minor, "no key", why, sizeof why);
		end(x, AUTH_GSSAPI_TEMPORARY, AUTH_ANSWER_TEMPFAIL, why);
		return;
	}
	/* A client that uses no bindings, as RFC 4752 has it, is accepted with ours given, too. */
	major = gss_accept_sec_context(&minor, &st->ctx, cred, &in,
				       st->nbinding ? &binding : GSS_C_NO_CHANNEL_BINDINGS, NULL, &mech,
				       &st->challenge, &flags, NULL, NULL);
	gss_release_cred(&ignored, &cred);
	if (major == GSS_S_CONTINUE_NEEDED)
		challenge(x, AT_TOKEN);
	else if (major != GSS_S_COMPLETE)
		not_accepted(x, major, minor);
	else if (!look_at_context(x, mech, flags))
		return;
	else if (st->challenge.length)
		challenge(x, AT_SENT);
	else
		offer(x);
}

static bool may_act_as(const struct auth_gssapi_exchange *x, struct span authzid)
{
	const struct auth_gssapi_state *st = x->state_;
	const char *ours = x->gssapi->realm ? x->gssapi->realm : st->own_realm;

	if (authzid.n == 0 || span_eq(authzid, span_of(st->identity.user)))
		return true;
	return strcmp(st->identity.realm, ours) == 0 && span_eq(authzid, auth_principal_name(&st->identity));
}

static void choose(struct auth_gssapi_exchange *x)
{
	struct auth_gssapi_state *st = x->state_;
	gss_buffer_desc in = auth_gss_buffer(buf_span(&st->in)), out = GSS_C_EMPTY_BUFFER;
	OM_uint32 minor;
	const OM_uint32 major = gss_unwrap(&minor, st->ctx, &in, &out, NULL, NULL);
	const struct span said = auth_gss_span(&out);
	const uint8_t *layer = out.value;

	if (major != GSS_S_COMPLETE) /* supplementary bits are a failure, too (RFC 4752 section 3) */
		refuse(x, AUTH_ANSWER_WRONG, "the choice of a security layer is not authentic");
	else if (said.n < AUTH_GSS_LAYER_OCTETS)
		malformed(x, "a choice of a security layer has four octets");
	else if (layer[0] != AUTH_GSS_LAYER_NONE || layer[1] || layer[2] || layer[3])
		refuse(x, AUTH_ANSWER_WRONG, "a security layer that was not offered");
	else if (!utf8_valid(span_skip(said, AUTH_GSS_LAYER_OCTETS)))
		malformed(x, "an authorization identity that is not UTF-8");
	else if (!may_act_as(x, span_skip(said, AUTH_GSS_LAYER_OCTETS)))
		refuse(x, AUTH_ANSWER_WRONG, "it wants to act as somebody else");
	else
		end(x, AUTH_GSSAPI_DONE, AUTH_ANSWER_RIGHT, "");
	if (x->result == AUTH_GSSAPI_DONE) {
		x->identity = st->identity;
		x->bound = st->bound;
	}
	gss_release_buffer(&minor, &out);
}

static int run_step(struct work *w)
{
	struct auth_gssapi_exchange *x = container_of(w, struct auth_gssapi_exchange, work);
	struct auth_gssapi_state *st = x->state_;
	OM_uint32 minor;

	gss_release_buffer(&minor, &st->challenge);
	x->result = AUTH_GSSAPI_MALFORMED;
	switch (st->at) {
	case AT_TOKEN:
		if (st->in.n)
			accept_token(x);
		else
			challenge(x, AT_TOKEN); /* the client speaks first; it has to be asked to */
		break;
	case AT_SENT:
		if (st->in.n)
			malformed(x, "an answer with data where none belongs");
		else
			offer(x);
		break;
	case AT_OFFERED:
		choose(x);
		break;
	case AT_OVER:
		malformed(x, "the exchange is over");
		break;
	}
	return 0;
}

/* ---- life ------------------------------------------------------------------------------------------------ */

void auth_gssapi_exchange_init(struct auth_gssapi_exchange *x, struct auth_gssapi *g,
			       const struct auth_channel *channel, void (*done)(struct op *op))
{
	*x = (struct auth_gssapi_exchange){ .gssapi = g };
	work_init(&x->work, run_step, done);
	x->state_ = mem_alloc(sizeof *x->state_);
	x->state_->channel = channel;
	x->state_->ctx = GSS_C_NO_CONTEXT;
	buf_init(&x->state_->in, AUTH_GSSAPI_TOKEN_MAX);
}

static void bind_channel(struct auth_gssapi_state *st)
{
	const struct auth_channel *c = st->channel;
	const size_t n = sizeof BINDING ":" - 1;

	if (!c->tls || !c->binding)
		return;
	const int got = c->binding(c->arg, SPAN(BINDING), (uint8_t *)st->binding + n, sizeof st->binding - n);
	if (got <= 0)
		return;
	memcpy(st->binding, BINDING ":", n);
	st->nbinding = n + (size_t)got;
}

int auth_gssapi_exchange_step(struct auth_gssapi_exchange *x, struct scope *scope, struct span token,
			      int64_t deadline_us)
{
	struct auth_gssapi_state *st = x->state_;

	buf_reset(&st->in);
	if (!buf_add_span(&st->in, token))
		return -ERR_TOOBIG;
	x->challenge = (struct span){ NULL, 0 };
	if (st->at == AT_TOKEN && !st->nbinding)
		bind_channel(st);
	return work_start(&x->work, x->gssapi->pool, scope, "gssapi step", deadline_us);
}

void auth_gssapi_exchange_deinit(struct auth_gssapi_exchange *x)
{
	struct auth_gssapi_state *st = x->state_;
	OM_uint32 minor;

	if (!st)
		return;
	x->state_ = NULL;
	gss_release_buffer(&minor, &st->challenge);
	if (st->ctx != GSS_C_NO_CONTEXT)
		gss_delete_sec_context(&minor, &st->ctx, GSS_C_NO_BUFFER);
	buf_wipe(&st->in);
	buf_free(&st->in);
	mem_wipe(st, sizeof *st);
	free(st);
}
