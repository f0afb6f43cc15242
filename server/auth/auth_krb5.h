/* auth/auth_krb5.h - private to the Kerberos password backend: one login by libkrb5, on the thread that calls.
 *
 *   1. an initial ticket for our own service, by the password: no ticket-granting ticket is ever held
 *   2. that ticket is checked with our key, and without a key there is no success: else who can answer in the KDC's place would
 *      let everybody in
 *
 * What the library reads of krb5.conf passes through us (a profile of our own in front of the file's): it gets a limit of
 * time, where it knows one, and the KDCs in an order that we turn when the first one was slow, since the library forgets at
 * once that one is dead.
 *
 * Threads: an auth_krb5 belongs to one thread, as its krb5_context does.
 * Errors: -ERR_x with the library's words.  Source: MIT krb5's documentation of krb5_get_init_creds_password and
 * krb5_verify_init_creds.  Tests: tests/kerberos/backend.py
 */
#pragma once

#include <stdatomic.h>

#include "auth/auth_backend.h"

struct auth_krb5;

struct auth_krb5_config {
	const char *krb5_conf; /* NULL: where the library looks */
	const char *realm;     /* NULL: the default realm of krb5.conf */
	const char *service;   /* "smtp/relay.example.edu", with or without "@REALM" */
	const char *keytab;
	int64_t timeout_us;    /* for what the library can limit itself */
	atomic_uint *kdc_turn; /* shared by all threads: how far the list of KDCs is turned */
};

int auth_krb5_new(const struct auth_krb5_config *config, struct auth_krb5 **k_r, struct errtext *e);
void auth_krb5_free(struct auth_krb5 **k);

const char *auth_krb5_realm(const struct auth_krb5 *k);
/* Whether the keytab has a key of our service. */
int auth_krb5_keytab_ok(struct auth_krb5 *k, struct errtext *e);

enum auth_krb5_kdc {
	AUTH_KRB5_KDC_UNASKED,  /* it went wrong before, or it is unknown whether one was asked */
	AUTH_KRB5_KDC_ANSWERED, /* whatever the answer */
	AUTH_KRB5_KDC_SILENT,   /* none answered, or none can be found */
};

struct auth_krb5_login {
	enum auth_answer answer;
	enum auth_krb5_kdc kdc;
	char why[AUTH_WHY_MAX];
};

/* Blocks, for up to half a minute when KDCs are silent. @principal is "name@REALM" of our realm, @password ends with a NUL. */
void auth_krb5_login(struct auth_krb5 *k, const char *principal, const char *password,
		     struct auth_krb5_login *r);
