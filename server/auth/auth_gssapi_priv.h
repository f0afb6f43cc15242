/* auth/auth_gssapi_priv.h - private to auth_gssapi: what an acceptor is made of.
 *
 *   auth_gssapi.c           its life and its key
 *   auth_gssapi_exchange.c  the steps of an exchange
 */
#pragma once

#include <pthread.h>

#include "auth/auth_gss.h"
#include "auth/auth_gssapi.h"
#include "auth/auth_pattern.h"

struct auth_gssapi {
	struct work_pool *pool;
	char *keytab, *service, *principal, *realm, *replay_cache;
	char *realms[AUTH_GSSAPI_REALMS_MAX];
	unsigned nrealms;
	struct auth_pattern allow;
};

/* The key to accept with: looked for each time, so that a keytab that was replaced, or is back, is used. */
OM_uint32 auth_gssapi_credential(struct auth_gssapi *g, OM_uint32 *minor, gss_cred_id_t *cred_r);
