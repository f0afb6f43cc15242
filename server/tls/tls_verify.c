/* What we expect of a server's certificate, and what was wrong with it.
 *
 * Names: RFC 6125 as OpenSSL does it, with subjectAltName alone and a "*" as one whole label; a reference of ours that begins
 * with a dot stands for exactly one label more. DANE: RFC 7672 section 3; OpenSSL's own machine (RFC 6698, RFC 7671) with
 * DANE-EE freed of names and dates as section 3.1.1 wants it, and without PKIX-TA and PKIX-EE, which section 3.1.3 makes unusable.
 */
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>

#include "base/check.h"
#include "base/ip.h"
#include "tls/tls_filter_priv.h"

enum { DANE_TA = 2, DANE_EE = 3, NAME_MAX_OCTETS = 253 };

struct cname {
	char s[NAME_MAX_OCTETS + 1];
};

const char *tls_fault_name(enum tls_fault fault)
{
	static const char *const names[] = {
#define X(name, text) [TLS_FAULT_##name] = text,
		TLS_FAULT_MAP(X)
#undef X
	};

	return (unsigned)fault < TLS_FAULT_MAX_ ? names[fault] : "?";
}

/* Without the dot of the root, which neither SNI (RFC 6066 section 3) nor a certificate has. */
static bool to_cname(struct span s, struct cname *c)
{
	if (span_ends(s, SPAN(".")))
		s.n--;
	if (s.n == 0 || s.n > NAME_MAX_OCTETS || span_find_char(s, 0) >= 0)
		return false;
	memcpy(c->s, s.p, s.n);
	c->s[s.n] = 0;
	return true;
}

bool tls_tlsa_usable(const struct tls_tlsa *t)
{
	static const size_t octets[] = { 0, 32, 64 }; /* Full, SHA2-256, SHA2-512 */

	if (t->usage != DANE_TA && t->usage != DANE_EE)
		return false;
	if (t->selector > 1 || t->matching >= ARRAY_LEN(octets) || t->data.n == 0)
		return false;
	return t->matching == 0 || t->data.n == octets[t->matching];
}

/* ---- before ----------------------------------------------------------------------------------------------- */

static int expect_names(SSL *ssl, const struct tls_connect *how, struct errtext *e)
{
	struct cname c;

	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
				       X509_CHECK_FLAG_SINGLE_LABEL_SUBDOMAINS);
	for (size_t i = 0; i < how->nnames; i++) {
		if (!to_cname(how->names[i], &c) || SSL_add1_host(ssl, c.s) != 1) {
			ERR_clear_error();
			return errtext_set(e, ERR_INVAL, "\"%.*s\" is no name for a certificate",
					   SPAN_ARG(span_first(how->names[i], 100)));
		}
	}
	return 0;
}

static int expect_tlsa(SSL *ssl, const struct tls_connect *how, struct errtext *e)
{
	struct cname base;
	unsigned usable = 0;

	if (!to_cname(how->names[0], &base) || SSL_dane_enable(ssl, base.s) != 1)
		return tls_error_set(e, ERR_INVAL, "DANE for \"%.*s\"",
				     SPAN_ARG(span_first(how->names[0], 100)));
	SSL_dane_set_flags(ssl, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
	for (size_t i = 0; i < how->ntlsa; i++) {
		const struct tls_tlsa *t = &how->tlsa[i];
		if (tls_tlsa_usable(t) && SSL_dane_tlsa_add(ssl, t->usage, t->selector, t->matching,
							    (const unsigned char *)t->data.p, t->data.n) == 1)
			usable++;
	}
	ERR_clear_error(); /* of records that are no certificate or no key */
	return usable ? 0
		      : errtext_set(e, ERR_UNSUPPORTED, "none of the %zu TLSA records can be used",
				    how->ntlsa);
}

int tls_verify_expect(SSL *ssl, const struct tls_connect *how, struct errtext *e)
{
	const bool wants_name = how->verify != TLS_VERIFY_NONE;
	struct ip_addr addr;
	struct cname c;
	int err = 0;

	ERR_clear_error();
	if (wants_name && how->nnames == 0)
		return errtext_set(e, ERR_INVAL, "verification needs a name to compare with");
	SSL_set_verify(ssl, wants_name ? SSL_VERIFY_PEER : SSL_VERIFY_NONE,
		       wants_name ? tls_verify_noted : NULL);
	if (how->verify == TLS_VERIFY_DANE)
		err = expect_tlsa(ssl, how, e);
	/* It cannot be attacked by what it does not verify anyway; old servers without RFC 5746 are better than no TLS. */
	if (how->verify == TLS_VERIFY_NONE)
		SSL_set_options(ssl, SSL_OP_LEGACY_SERVER_CONNECT);
	if (!err)
		err = expect_names(ssl, how, e);
	if (!err && !ip_parse(how->sni, &addr) && to_cname(how->sni, &c) &&
	    SSL_set_tlsext_host_name(ssl, c.s) != 1)
		err = tls_error_set(e, ERR_INVAL, "server name \"%.100s\"", c.s);
	return err;
}

/* ---- after ------------------------------------------------------------------------------------------------ */

enum tls_fault tls_verify_fault(SSL *ssl)
{
	switch (SSL_get_verify_result(ssl)) {
	case X509_V_OK:
		return TLS_FAULT_CERT_MISSING;
	case X509_V_ERR_CERT_HAS_EXPIRED:
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return TLS_FAULT_CERT_EXPIRED;
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		return TLS_FAULT_CERT_NAME;
	case X509_V_ERR_DANE_NO_MATCH:
		return TLS_FAULT_TLSA;
	default:
		return TLS_FAULT_CERT_UNTRUSTED;
	}
}

/* The names that a certificate has, for the operator who sees that it is the wrong one. */
static void print_names(X509 *x, char *out, size_t max)
{
	GENERAL_NAMES *alt = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	size_t n = 0;

	snprintf(out, max, "no name at all");
	for (int i = 0; alt && i < sk_GENERAL_NAME_num(alt); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(alt, i);
		if (name->type != GEN_DNS)
			continue;
		const int got = snprintf(out + n, max - n, "%s%.*s", n ? ", " : "",
					 ASN1_STRING_length(name->d.dNSName),
					 (const char *)ASN1_STRING_get0_data(name->d.dNSName));
		if (got < 0 || (size_t)got >= max - n) {
			out[n] = 0;
			break;
		}
		n += (size_t)got;
	}
	GENERAL_NAMES_free(alt);
}

/* Only here the refused certificate is at hand. */
int tls_verify_noted(int ok, X509_STORE_CTX *store)
{
	const SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	const struct tls_filter *f = SSL_get_app_data(ssl);
	const int err = X509_STORE_CTX_get_error(store);
	X509 *at = X509_STORE_CTX_get_current_cert(store);
	const bool name = err == X509_V_ERR_HOSTNAME_MISMATCH && X509_STORE_CTX_get0_cert(store);
	char what[160] = "";

	if (ok || !f || !f->h || f->h->why[0])
		return ok;
	if (name)
		print_names(X509_STORE_CTX_get0_cert(store), what, sizeof what);
	else if (at)
		X509_NAME_oneline(X509_get_subject_name(at), what, sizeof what);
	for (char *p = what; *p; p++)
		if (*p < 0x20 || *p > 0x7e)
			*p = '?'; /* a peer's octets */
	snprintf(f->h->why, sizeof f->h->why, "certificate not accepted: %.100s%s%s%s",
		 X509_verify_cert_error_string(err), name ? "; it is for " : " (", what, name ? "" : ")");
	return ok;
}
