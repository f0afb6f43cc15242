/* tls_cert_chain.c - does the chain in the file lead to somebody whom clients trust? */
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "tls/tls_cert_check_priv.h"

void tls_check_name(const X509_NAME *name, char *out, size_t max)
{
	BIO *b = BIO_new(BIO_s_mem());
	const int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
	char *text = NULL;

	out[0] = 0;
	if (!b)
		return;
	if (at >= 0)
		ASN1_STRING_print_ex(b, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)),
				     ASN1_STRFLGS_RFC2253 & ~ASN1_STRFLGS_ESC_MSB);
	else
		X509_NAME_print_ex(b, name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB);
	const long n = BIO_get_mem_data(b, &text);
	snprintf(out, max, "%.*s", n > 0 ? (int)n : 0, text ? text : "");
	BIO_free(b);
}

/* Strict clients want each certificate to be issued by the next (RFC 5246 section 7.4.2). */
static void look_at_order(struct tls_check *k)
{
	X509 *below = k->pair.cert;
	char name[300], issuer[300];

	for (int i = 0; i < sk_X509_num(k->pair.chain); i++) {
		X509 *above = sk_X509_value(k->pair.chain, i);
		tls_check_name(X509_get_subject_name(above), name, sizeof name);
		if (X509_check_issued(above, below) != X509_V_OK) {
			tls_check_name(X509_get_issuer_name(below), issuer, sizeof issuer);
			tls_check_say(
				k, false, "chain",
				"number %d of the file is the certificate of %s, and that of %s should be there",
				i + 2, name, issuer);
			return;
		}
		below = above;
	}
}

static void say_missing(struct tls_check *k, X509 *last)
{
	const bool leaf = sk_X509_num(k->pair.chain) == 0;
	char issuer[300];

	tls_check_name(X509_get_issuer_name(last), issuer, sizeof issuer);
	/* With the trust store in hand, or when the certificate itself says that there is more, it is known. Else: a private CA? */
	if (k->q->ca_file.n || (leaf && tls_pair_names_issuer(last)))
		tls_check_say(
			k, true, "chain",
			"the certificate of its issuer, %s, is missing: clients that verify will refuse; put the chain behind the "
			"certificate (\"fullchain.pem\")",
			issuer);
	else
		tls_check_say(k, false, "chain",
			      "this machine does not know %s; clients must (--ca FILE says who they trust)",
			      issuer);
}

static void say_result(struct tls_check *k, int err, X509 *at, int depth)
{
	char name[300] = "?";

	if (at)
		tls_check_name(X509_get_subject_name(at), name, sizeof name);
	switch (err) {
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
		say_missing(k, at ? at : k->pair.cert);
		break;
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
		tls_check_say(
			k, false, "chain",
			"it signs itself: clients that verify will refuse, unless each is told to trust it");
		break;
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
		tls_check_say(k, k->q->ca_file.n > 0, "chain", "its root, %s, is not one that %s trusts",
			      name, k->q->ca_file.n ? "the given file" : "this machine");
		break;
	case X509_V_ERR_CERT_SIGNATURE_FAILURE:
		tls_check_say(k, true, "chain", "the signature on the certificate of %s is not its issuer's",
			      name);
		break;
	default:
		tls_check_say(k, true, "chain", "%s (certificate of %s, %d from the first)",
			      X509_verify_cert_error_string(err), name, depth);
	}
}

void tls_check_chain(struct tls_check *k)
{
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *run = X509_STORE_CTX_new();
	char *ca = k->q->ca_file.n ? mem_strndup(k->q->ca_file.p, k->q->ca_file.n) : NULL;

	look_at_order(k);
	if (!store || !run)
		goto out;
	if (ca ? X509_STORE_load_locations(store, ca, NULL) != 1 : X509_STORE_set_default_paths(store) != 1) {
		char why[200];
		tls_error_text(why, sizeof why);
		tls_check_say(k, true, "chain", "%s: it cannot be read as the certificates of CAs: %s",
			      ca ? ca : "the system's CAs", why);
		goto out;
	}
	if (X509_STORE_CTX_init(run, store, k->pair.cert, k->pair.chain) == 1) {
		/* Dates and strength have been said already. */
		X509_VERIFY_PARAM_set_flags(X509_STORE_CTX_get0_param(run), X509_V_FLAG_NO_CHECK_TIME);
		if (X509_verify_cert(run) != 1)
			say_result(k, X509_STORE_CTX_get_error(run), X509_STORE_CTX_get_current_cert(run),
				   X509_STORE_CTX_get_error_depth(run));
	}
out:
	X509_STORE_CTX_free(run);
	X509_STORE_free(store);
	free(ca);
	ERR_clear_error();
}
