/* auth/auth_gss.h - private to the two sides of GSSAPI: what they share of GSS-API.
 *
 * Threads: any.  Tests: tests/kerberos/gssapi.py
 */
#pragma once

#include <gssapi/gssapi_ext.h>
#include <gssapi/gssapi_krb5.h>

#include "base/err.h"
#include "base/span.h"

enum { AUTH_GSS_LAYER_NONE = 1, AUTH_GSS_LAYER_OCTETS = 4 }; /* RFC 4752 section 3.3 */

static inline struct span auth_gss_span(const gss_buffer_desc *b)
{
	return span_make(b->value, b->length);
}

/* Only read by the library. */
static inline gss_buffer_desc auth_gss_buffer(struct span s)
{
	return (gss_buffer_desc){ .length = s.n, .value = (void *)(uintptr_t)s.p };
}

bool auth_gss_is_krb5(gss_const_OID mech);

/* "<what>: <the library's words>", the mechanism's own if it has some. */
void auth_gss_say(OM_uint32 major, OM_uint32 minor, const char *what, char *why, size_t max);

/* A Kerberos principal by its text. 0 or -ERR_INVAL. */
int auth_gss_name(const char *principal, gss_name_t *name_r, struct errtext *e);

/* The text of a principal, cut never: -ERR_TOOBIG. */
int auth_gss_name_text(gss_name_t name, char *text, size_t max);

struct auth_gss_store { /* where keys and tickets are; NULL: the library's own choice */
	const char *keytab, *client_keytab, *ccache, *rcache;
};

/* For Kerberos only. @usage GSS_C_ACCEPT or GSS_C_INITIATE; @name may be GSS_C_NO_NAME. */
OM_uint32 auth_gss_acquire(OM_uint32 *minor, gss_name_t name, gss_cred_usage_t usage,
			   const struct auth_gss_store *store, gss_cred_id_t *cred_r);
