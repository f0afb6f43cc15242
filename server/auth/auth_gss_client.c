#include "auth/auth_gss_client.h"

#include <krb5.h>
#include <stdio.h>
#include <stdlib.h>

#include "auth/auth_gss.h"
#include "base/check.h"
#include "base/hash.h"
#include "base/mem.h"

enum { HOST_MAX = 255, NAME_MAX_OCTETS = 600, AUTHZID_MAX = 255 };

struct auth_gss_client {
	enum { AT_TOKEN, AT_LAYER, AT_OVER } at;
	gss_ctx_id_t ctx;
	gss_name_t self, target;
	gss_cred_id_t cred; /* at the first step: it may need a KDC */
	char *keytab, *ccache, *authzid;
	char memory[64]; /* where tickets got with the keytab are kept */
};

/* What a KDC or server has decided; asking again does not help. */
static bool is_final(OM_uint32 minor)
{
	switch ((krb5_error_code)minor) {
	case KRB5KDC_ERR_C_PRINCIPAL_UNKNOWN:
	case KRB5KDC_ERR_S_PRINCIPAL_UNKNOWN:
	case KRB5KDC_ERR_PREAUTH_FAILED:
	case KRB5KDC_ERR_NAME_EXP:
	case KRB5KDC_ERR_KEY_EXP:
	case KRB5KDC_ERR_CLIENT_REVOKED:
	case KRB5KDC_ERR_POLICY:
	case KRB5KRB_AP_ERR_BAD_INTEGRITY:
		return true;
	default:
		return false;
	}
}

static int fail(OM_uint32 major, OM_uint32 minor, const char *what, struct errtext *e)
{
	char why[sizeof e->s];
	int err = ERR_IO;

	if (is_final(minor))
		err = ERR_DENIED;
	else if ((krb5_error_code)minor == KRB5_KDC_UNREACH ||
		 (krb5_error_code)minor == KRB5_REALM_CANT_RESOLVE)
		err = ERR_UNREACH;
	else if (GSS_ROUTINE_ERROR(major) == GSS_S_DEFECTIVE_TOKEN)
		err = ERR_SYNTAX;
	auth_gss_say(major, minor, what, why, sizeof why);
	return errtext_set(e, err, "%s", why);
}

/* ---- life ------------------------------------------------------------------------------------------------ */

/* "smtp/host@REALM"; with an empty realm the KDC of our own says which it is. The host is taken as it is given: what an untrusted
 * name server says of it must not decide whom we trust (RFC 4752 section 5). */
static int import_target(const struct auth_gss_client_config *c, gss_name_t *name_r, struct errtext *e)
{
	char text[NAME_MAX_OCTETS], host[HOST_MAX + 1];
	size_t n = 0;

	for (const char *p = c->host; *p; p++) {
		if (n == HOST_MAX || !(ascii_is_alnum(*p) || *p == '.' || *p == '-' || *p == '_'))
			return errtext_set(e, ERR_INVAL,
					   "the server's name is not one that a ticket could be for");
		host[n++] = ascii_lower(*p);
	}
	host[n] = '\0';
	if (n == 0)
		return errtext_set(e, ERR_INVAL, "the server has no name");
	(void)snprintf(text, sizeof text, "%.60s/%s@%.250s", c->service ? c->service : "smtp", host,
		       c->realm ? c->realm : "");
	return auth_gss_name(text, name_r, e);
}

int auth_gss_client_new(const struct auth_gss_client_config *config, struct auth_gss_client **c_r,
			struct errtext *e)
{
	struct auth_gss_client *c = mem_alloc(sizeof *c);
	int err = 0;

	if (!config->keytab == !config->ccache)
		err = errtext_set(e, ERR_INVAL, "either a keytab or a ccache");
	if (!err && config->authzid && strlen(config->authzid) > AUTHZID_MAX)
		err = errtext_set(e, ERR_INVAL, "the authorization identity is too long");
	if (!err)
		err = import_target(config, &c->target, e);
	if (!err && config->principal)
		err = auth_gss_name(config->principal, &c->self, e);
	if (err) {
		auth_gss_client_free(&c);
		return err;
	}
	c->authzid = mem_strdup(config->authzid ? config->authzid : "");
	if (config->ccache) {
		c->ccache = mem_strdup(config->ccache);
	} else {
		const struct hash_key none = { 0, 0 };
		const char *who = config->principal ? config->principal : "";
		c->keytab = mem_strdup(config->keytab);
		(void)snprintf(c->memory, sizeof c->memory, "MEMORY:postern-%016llx-%016llx",
			       (unsigned long long)hash_sip(&none, span_of(c->keytab)),
			       (unsigned long long)hash_sip(&none, span_of(who)));
	}
	*c_r = c;
	return 0;
}

void auth_gss_client_free(struct auth_gss_client **cp)
{
	struct auth_gss_client *c = *cp;
	OM_uint32 minor;

	if (!c)
		return;
	*cp = NULL;
	if (c->ctx != GSS_C_NO_CONTEXT)
		gss_delete_sec_context(&minor, &c->ctx, GSS_C_NO_BUFFER);
	gss_release_cred(&minor, &c->cred);
	gss_release_name(&minor, &c->self);
	gss_release_name(&minor, &c->target);
	free(c->keytab);
	free(c->ccache);
	free(c->authzid);
	free(c);
}

/* ---- steps ----------------------------------------------------------------------------------------------- */

static int acquire(struct auth_gss_client *c, struct errtext *e)
{
	const struct auth_gss_store store = { .client_keytab = c->keytab,
					      .ccache = c->keytab ? c->memory : c->ccache };
	OM_uint32 minor;
	const OM_uint32 major = auth_gss_acquire(&minor, c->self, GSS_C_INITIATE, &store, &c->cred);

	return GSS_ERROR(major) ? fail(major, minor, c->keytab ? c->keytab : c->ccache, e) : 0;
}

static int put(struct buf *out, gss_buffer_desc *token)
{
	OM_uint32 minor;
	const bool fits = buf_add_span(out, auth_gss_span(token));

	gss_release_buffer(&minor, token);
	return fits ? 0 : -ERR_TOOBIG;
}

static int step_token(struct auth_gss_client *c, struct span in, struct buf *out, struct errtext *e)
{
	const OM_uint32 wanted =
		GSS_C_MUTUAL_FLAG | GSS_C_SEQUENCE_FLAG | GSS_C_INTEG_FLAG; /* RFC 4752 section 3.1 */
	gss_buffer_desc token = auth_gss_buffer(in), answer = GSS_C_EMPTY_BUFFER;
	OM_uint32 minor, ignored, flags = 0;

	if (c->cred == GSS_C_NO_CREDENTIAL) {
		const int err = acquire(c, e);
		if (err)
			return err;
	}
	const OM_uint32 major = gss_init_sec_context(
		&minor, c->cred, &c->ctx, c->target, (gss_OID)(uintptr_t)gss_mech_krb5, wanted, 0,
		GSS_C_NO_CHANNEL_BINDINGS, in.n ? &token : GSS_C_NO_BUFFER, NULL, &answer, &flags, NULL);
	if (major != GSS_S_COMPLETE && major != GSS_S_CONTINUE_NEEDED) {
		gss_release_buffer(&ignored, &answer);
		return fail(major, minor, "no ticket for the server, or it is not the one it says", e);
	}
	if (major == GSS_S_COMPLETE) {
		if ((flags & (GSS_C_MUTUAL_FLAG | GSS_C_INTEG_FLAG)) !=
		    (GSS_C_MUTUAL_FLAG | GSS_C_INTEG_FLAG)) {
			gss_release_buffer(&ignored, &answer);
			return errtext_set(e, ERR_DENIED, "the server has not proved itself");
		}
		c->at = AT_LAYER;
	}
	return put(out, &answer);
}

static int step_layer(struct auth_gss_client *c, struct span in, struct buf *out, struct errtext *e)
{
	gss_buffer_desc wrapped = auth_gss_buffer(in), plain = GSS_C_EMPTY_BUFFER,
			answer = GSS_C_EMPTY_BUFFER;
	uint8_t choice[AUTH_GSS_LAYER_OCTETS + AUTHZID_MAX] = { AUTH_GSS_LAYER_NONE, 0, 0, 0 };
	const size_t n = strlen(c->authzid);
	OM_uint32 minor;
	OM_uint32 major = gss_unwrap(&minor, c->ctx, &wrapped, &plain, NULL, NULL);
	const uint8_t *offer = plain.value;
	int err = 0;

	if (major != GSS_S_COMPLETE)
		err = errtext_set(e, ERR_DENIED, "the server's offer of a security layer is not authentic");
	else if (plain.length != AUTH_GSS_LAYER_OCTETS)
		err = errtext_set(e, ERR_SYNTAX,
				  "the server's offer of a security layer has not four octets");
	else if (offer[0] == AUTH_GSS_LAYER_NONE && (offer[1] || offer[2] || offer[3]))
		err = errtext_set(e, ERR_SYNTAX, "a size with no security layer to use it");
	else if (!(offer[0] & AUTH_GSS_LAYER_NONE))
		err = errtext_set(e, ERR_DENIED, "the server insists on a security layer of its own");
	if (plain.value)
		gss_release_buffer(&minor, &plain);
	if (err)
		return err;
	memcpy(choice + AUTH_GSS_LAYER_OCTETS, c->authzid, n);
	gss_buffer_desc text = auth_gss_buffer(span_make(choice, AUTH_GSS_LAYER_OCTETS + n));
	major = gss_wrap(&minor, c->ctx, 0, GSS_C_QOP_DEFAULT, &text, NULL, &answer);
	if (major != GSS_S_COMPLETE)
		return fail(major, minor, "the choice of a security layer cannot be wrapped", e);
	c->at = AT_OVER;
	err = put(out, &answer);
	return err ? err : 1;
}

int auth_gss_client_step(struct auth_gss_client *c, struct span challenge, struct buf *out, struct errtext *e)
{
	buf_reset(out);
	switch (c->at) {
	case AT_TOKEN:
		return step_token(c, challenge, out, e);
	case AT_LAYER:
		return step_layer(c, challenge, out, e);
	default:
		return errtext_set(e, ERR_SYNTAX, "the server says more than the mechanism has");
	}
}
