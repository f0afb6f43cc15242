#include "auth/auth_krb5.h"

#include <errno.h>
#include <krb5.h>
#include <profile.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/check.h"
#include "base/mem.h"

enum { TICKET_LIFE_S = 300, KDC_SLOW_US = 900 * 1000, SECONDS_TEXT = 24 };

struct auth_krb5 {
	krb5_context ctx;
	profile_t file; /* krb5.conf; the context reads it through profile_get() */
	krb5_principal service;
	char *keytab;
	char *realm;
	atomic_uint *kdc_turn;
	char timeout_s[SECONDS_TEXT];
};

/* ---- what the library reads of its configuration --------------------------------------------------------- */

static bool names_are(const char *const *names, const char *a, const char *b, const char *c)
{
	return names[0] && strcmp(names[0], a) == 0 && names[1] && strcmp(names[1], b) == 0 &&
	       (c ? names[2] && strcmp(names[2], c) == 0 && !names[3] : !names[2]);
}

static void turn_left(char **v, size_t n, unsigned by)
{
	for (unsigned i = 0; i < by; i++) {
		char *const first = v[0];
		memmove(v, v + 1, (n - 1) * sizeof *v);
		v[n - 1] = first;
	}
}

static long profile_get(void *arg, const char *const *names, char ***values_r)
{
	struct auth_krb5 *k = arg;

	/* Known to libkrb5 from 1.22 on, where nothing else limits how long an accepted TCP connection is waited on. */
	if (names_are(names, "libdefaults", "request_timeout", NULL)) {
		char **v = mem_alloc_array(2, sizeof *v);
		v[0] = mem_strdup(k->timeout_s);
		*values_r = v;
		return 0;
	}
	const long err = profile_get_values(k->file, (const char **)(uintptr_t)names, values_r);
	if (!err && k->realm && names_are(names, "realms", k->realm, "kdc")) {
		size_t n = 0;
		while ((*values_r)[n])
			n++;
		if (n > 1)
			turn_left(*values_r, n, atomic_load(k->kdc_turn) % (unsigned)n);
	}
	return err;
}

/* Ours or the library's: both come from malloc. */
static void profile_free(void *arg, char **values)
{
	(void)arg;
	for (char **v = values; v && *v; v++)
		free(*v);
	free(values);
}

/* The copy that a context makes is the same, for it does not outlive us. */
static long profile_copy(void *arg, void **copy_r)
{
	*copy_r = arg;
	return 0;
}

static krb5_error_code open_file(struct auth_krb5 *k, const char *path)
{
	krb5_error_code code;

	if (path) {
		const char *files[] = { path, NULL };
		return (krb5_error_code)profile_init(files, &k->file);
	}
	krb5_context ctx;
	code = krb5_init_context(&ctx);
	if (code)
		return code;
	code = krb5_get_profile(ctx, &k->file);
	krb5_free_context(ctx);
	return code;
}

static krb5_error_code open_context(struct auth_krb5 *k, const char *path)
{
	struct profile_vtable vtable = {
		.minor_ver = 1, .get_values = profile_get, .free_values = profile_free, .copy = profile_copy
	};
	profile_t through = NULL;
	krb5_error_code code = open_file(k, path);

	if (!code)
		code = (krb5_error_code)profile_init_vtable(&vtable, k, &through);
	if (!code)
		code = krb5_init_context_profile(through, 0, &k->ctx);
	if (through)
		profile_release(through);
	return code;
}

/* ---- words ----------------------------------------------------------------------------------------------- */

/* "<what>: <the library's words>" */
static void say(struct auth_krb5 *k, krb5_error_code code, const char *what, char *why, size_t max)
{
	const char *text = krb5_get_error_message(k->ctx, code); /* without a context it knows words, too */

	snprintf(why, max, "%s: %s", what, text);
	krb5_free_error_message(k->ctx, text);
}

static int fail(struct auth_krb5 *k, krb5_error_code code, const char *what, struct errtext *e)
{
	char why[sizeof e->s];

	say(k, code, what, why, sizeof why);
	return errtext_set(e, code == ENOENT || code == KRB5_KT_NOTFOUND ? ERR_NOTFOUND : ERR_INVAL, "%s",
			   why);
}

/* ---- life ------------------------------------------------------------------------------------------------ */

int auth_krb5_new(const struct auth_krb5_config *c, struct auth_krb5 **k_r, struct errtext *e)
{
	struct auth_krb5 *k = mem_alloc(sizeof *k);
	const char *step = c->krb5_conf ? c->krb5_conf : "krb5.conf";
	const int64_t timeout_s = c->timeout_us / 1000000;
	char *found = NULL;
	int err = 0;

	k->kdc_turn = c->kdc_turn;
	k->keytab = mem_strdup(c->keytab);
	snprintf(k->timeout_s, sizeof k->timeout_s, "%lld", (long long)(timeout_s > 0 ? timeout_s : 1));
	krb5_error_code code = open_context(k, c->krb5_conf);
	if (code)
		goto failed;
	step = "default realm";
	if (c->realm)
		code = krb5_set_default_realm(k->ctx, c->realm);
	if (!code)
		code = krb5_get_default_realm(k->ctx, &found);
	if (code)
		goto failed;
	k->realm = mem_strdup(found);
	krb5_free_default_realm(k->ctx, found);
	step = c->service;
	code = krb5_parse_name(k->ctx, c->service, &k->service);
	if (code)
		goto failed;
	*k_r = k;
	return 0;
failed:
	err = fail(k, code, step, e);
	auth_krb5_free(&k);
	return err;
}

void auth_krb5_free(struct auth_krb5 **kp)
{
	struct auth_krb5 *k = *kp;

	if (!k)
		return;
	*kp = NULL;
	if (k->service)
		krb5_free_principal(k->ctx, k->service);
	if (k->ctx)
		krb5_free_context(k->ctx);
	if (k->file)
		profile_release(k->file);
	free(k->realm);
	free(k->keytab);
	free(k);
}

const char *auth_krb5_realm(const struct auth_krb5 *k)
{
	return k->realm;
}

int auth_krb5_keytab_ok(struct auth_krb5 *k, struct errtext *e)
{
	krb5_keytab keytab = NULL;
	krb5_keytab_entry entry;
	krb5_error_code code = krb5_kt_resolve(k->ctx, k->keytab, &keytab);

	if (!code)
		code = krb5_kt_get_entry(k->ctx, keytab, k->service, 0, 0, &entry);
	if (!code)
		krb5_free_keytab_entry_contents(k->ctx, &entry);
	if (keytab)
		krb5_kt_close(k->ctx, keytab);
	return code ? fail(k, code, k->keytab, e) : 0;
}

/* ---- a login --------------------------------------------------------------------------------------------- */

/* What a KDC's refusal means. All else is TEMPFAIL: devices give up for good on a 535. */
static enum auth_answer answer_of(krb5_error_code code)
{
	switch (code) {
	case KRB5KDC_ERR_PREAUTH_FAILED:
	case KRB5KRB_AP_ERR_BAD_INTEGRITY: /* a principal without preauthentication: its reply cannot be decrypted */
		return AUTH_ANSWER_WRONG;
	case KRB5KDC_ERR_C_PRINCIPAL_UNKNOWN:
	case KRB5KDC_ERR_WRONG_REALM:
		return AUTH_ANSWER_UNKNOWN_HERE;
	case KRB5KDC_ERR_NAME_EXP:
	case KRB5KDC_ERR_KEY_EXP:
		return AUTH_ANSWER_EXPIRED;
	case KRB5KDC_ERR_CLIENT_REVOKED:
	case KRB5KDC_ERR_CLIENT_NOTYET:
	case KRB5KDC_ERR_POLICY:
		return AUTH_ANSWER_LOCKED;
	default:
		return AUTH_ANSWER_TEMPFAIL;
	}
}

/* The protocol's own errors (RFC 4120 section 7.5.9) are the first 128 of the table. */
static enum auth_krb5_kdc kdc_of(krb5_error_code code)
{
	if (code == 0 || (code >= ERROR_TABLE_BASE_krb5 && code < ERROR_TABLE_BASE_krb5 + 128) ||
	    code == KRB5_KDCREP_SKEW || code == KRB5_KDCREP_MODIFIED)
		return AUTH_KRB5_KDC_ANSWERED;
	if (code == KRB5_KDC_UNREACH || code == KRB5_REALM_CANT_RESOLVE)
		return AUTH_KRB5_KDC_SILENT;
	return AUTH_KRB5_KDC_UNASKED;
}

static krb5_error_code get_ticket(struct auth_krb5 *k, krb5_principal client, const char *password,
				  krb5_creds *creds)
{
	krb5_get_init_creds_opt *opt = NULL;
	char *service = NULL;
	krb5_error_code code = krb5_get_init_creds_opt_alloc(k->ctx, &opt);

	if (!code)
		code = krb5_unparse_name(k->ctx, k->service, &service);
	if (!code) {
		krb5_get_init_creds_opt_set_tkt_life(opt, TICKET_LIFE_S);
		krb5_get_init_creds_opt_set_renew_life(opt, 0);
		krb5_get_init_creds_opt_set_forwardable(opt, 0);
		krb5_get_init_creds_opt_set_proxiable(opt, 0);
		krb5_get_init_creds_opt_set_canonicalize(opt, 0);
		krb5_get_init_creds_opt_set_anonymous(opt, 0);
		krb5_get_init_creds_opt_set_change_password_prompt(opt, 0);
		code = krb5_get_init_creds_password(k->ctx, creds, client, password, NULL, NULL, 0, service,
						    opt);
	}
	krb5_free_unparsed_name(k->ctx, service);
	krb5_get_init_creds_opt_free(k->ctx, opt);
	return code;
}

static krb5_error_code verify_ticket(struct auth_krb5 *k, krb5_creds *creds)
{
	krb5_verify_init_creds_opt opt;
	krb5_keytab keytab;
	krb5_error_code code = krb5_kt_resolve(k->ctx, k->keytab, &keytab);

	if (code)
		return code;
	/* Both the principal and nofail must be said: else a keytab without a host principal verifies nothing, silently. */
	krb5_verify_init_creds_opt_init(&opt);
	krb5_verify_init_creds_opt_set_ap_req_nofail(&opt, 1);
	code = krb5_verify_init_creds(k->ctx, creds, k->service, keytab, NULL, &opt);
	krb5_kt_close(k->ctx, keytab);
	return code;
}

static bool is_of_our_realm(const struct auth_krb5 *k, krb5_const_principal p)
{
	return span_eq(span_make(p->realm.data, p->realm.length), span_of(k->realm));
}

static int64_t clock_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* Another KDC goes first from now on, unless another thread has seen to that meanwhile. */
static void turn_kdcs(struct auth_krb5 *k, unsigned seen)
{
	atomic_compare_exchange_strong(k->kdc_turn, &seen, seen + 1);
}

void auth_krb5_login(struct auth_krb5 *k, const char *principal, const char *password,
		     struct auth_krb5_login *r)
{
	krb5_principal client = NULL;
	krb5_creds creds = { 0 };
	krb5_error_code code = krb5_parse_name(k->ctx, principal, &client);

	*r = (struct auth_krb5_login){ .answer = AUTH_ANSWER_TEMPFAIL };
	if (code ||
	    !is_of_our_realm(
		    k,
		    client)) { /* looked at before, by our own rules: this is the last door before a packet */
		r->answer = AUTH_ANSWER_UNKNOWN_HERE;
		snprintf(r->why, sizeof r->why, "not a principal of %s", k->realm);
		goto out;
	}
	const unsigned turn = atomic_load(k->kdc_turn);
	const int64_t began_us = clock_us();
	code = get_ticket(k, client, password, &creds);
	r->kdc = kdc_of(code);
	if (r->kdc == AUTH_KRB5_KDC_SILENT || clock_us() - began_us >= KDC_SLOW_US)
		turn_kdcs(k, turn);
	if (code) {
		r->answer = answer_of(code);
		say(k, code, r->answer == AUTH_ANSWER_TEMPFAIL ? "no ticket" : "KDC", r->why, sizeof r->why);
		goto out;
	}
	code = verify_ticket(k, &creds);
	if (code)
		say(k, code, "the KDC is false, or our keytab is not up to date", r->why, sizeof r->why);
	else
		r->answer = AUTH_ANSWER_RIGHT;
out:
	krb5_free_cred_contents(k->ctx, &creds);
	krb5_free_principal(k->ctx, client);
}
