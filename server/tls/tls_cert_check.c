/* A pair is looked at from its files inwards. Each step adds to a list of findings and the next one goes on with what is there: an
 * operator wants to hear of the expired intermediate and of the wrong key in one run. What can be said by loading the pair as the
 * server does (tls_pair_load) is said in its words. */
#include "tls/tls_cert_check.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>

#include "base/check.h"
#include "base/mem.h"
#include "tls/tls_cert_check_priv.h"

enum { SOON_DAYS = 14, DAY_S = 86400, RSA_BITS_MIN = 2048, EC_BITS_MIN = 224, FINDINGS_MAX = 64 * 1024 };

void tls_check_say(struct tls_check *k, bool problem, const char *about, const char *fmt, ...)
{
	struct buf text = BUF_INIT(2000);
	va_list ap;

	va_start(ap, fmt);
	buf_vaddf(&text, fmt, ap);
	va_end(ap);
	json_object(&k->findings, NULL);
	json_cstr(&k->findings, "grade", problem ? "problem" : "warning");
	json_cstr(&k->findings, "about", about);
	json_cstr(&k->findings, "text", buf_cstr(&text));
	json_object_end(&k->findings);
	k->problems += problem;
	buf_free(&text);
}

/* ---- files --------------------------------------------------------------------------------------------- */

static void look_at_key_file(struct tls_check *k)
{
	const char *path = k->key_path ? k->key_path : k->cert_path;
	struct statvfs fs;
	struct stat st;

	if (stat(path, &st) < 0)
		return; /* loading it says so */
	if (st.st_mode & S_IWOTH)
		tls_check_say(k, true, "permissions",
			      "%s: everybody on this machine may write the file of the key; chmod 0640 it",
			      path);
	if (!(st.st_mode & S_IROTH))
		return;
	/* Container runtimes mount secrets so: who is in the container is the server alone. */
	const bool read_only = statvfs(path, &fs) == 0 && (fs.f_flag & ST_RDONLY);
	tls_check_say(k, !read_only, "permissions",
		      "%s: everybody %s may read the key; chmod 0640 it, with the server's group", path,
		      read_only ? "in this container" : "on this machine");
}

/* ---- strength and purpose ------------------------------------------------------------------------------ */

static void name_key(const EVP_PKEY *key, char *out, size_t max)
{
	char group[40] = "";

	if (EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA)
		snprintf(out, max, "RSA %d", EVP_PKEY_get_bits(key));
	else if (EVP_PKEY_get_base_id(key) == EVP_PKEY_EC &&
		 EVP_PKEY_get_group_name(key, group, sizeof group, NULL) == 1)
		snprintf(out, max, "ECDSA %s", group);
	else
		snprintf(out, max, "%s",
			 EVP_PKEY_get0_type_name(key) ? EVP_PKEY_get0_type_name(key) : "unknown");
}

static void look_at_strength(struct tls_check *k)
{
	X509 *x = k->pair.cert;
	const EVP_PKEY *key = X509_get0_pubkey(x);
	int digest = NID_undef;

	if (!key) {
		tls_check_say(k, true, "strength",
			      "the certificate's key is of a kind that OpenSSL does not know");
		return;
	}
	if (EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA && EVP_PKEY_get_bits(key) < RSA_BITS_MIN)
		tls_check_say(k, true, "strength", "an RSA key of %d bits is too short; clients want %d",
			      EVP_PKEY_get_bits(key), RSA_BITS_MIN);
	if (EVP_PKEY_get_base_id(key) == EVP_PKEY_EC && EVP_PKEY_get_bits(key) < EC_BITS_MIN)
		tls_check_say(k, true, "strength", "a key on a curve of %d bits is too short",
			      EVP_PKEY_get_bits(key));
	/* Of one that signs itself nobody looks at the signature. */
	if (X509_get_signature_info(x, &digest, NULL, NULL, NULL) == 1 &&
	    (digest == NID_sha1 || digest == NID_md5) && X509_check_issued(x, x) != X509_V_OK)
		tls_check_say(k, true, "strength", "it is signed with %s, which clients refuse",
			      OBJ_nid2sn(digest));
	if (k->q->client && X509_check_purpose(x, X509_PURPOSE_SSL_CLIENT, 0) != 1)
		tls_check_say(k, true, "purpose", "it is not meant for clients (extended key usage)");
	if (!k->q->client && X509_check_purpose(x, X509_PURPOSE_SSL_SERVER, 0) != 1)
		tls_check_say(k, true, "purpose", "it is not meant for servers (extended key usage)");
	if (X509_check_ca(x) == 1 && X509_check_issued(x, x) != X509_V_OK)
		tls_check_say(k, false, "purpose",
			      "it is a CA's certificate; the server's own must come first in the file");
}

/* ---- dates --------------------------------------------------------------------------------------------- */

static int64_t seconds_of(const ASN1_TIME *t)
{
	struct tm tm = { 0 };

	return ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

static void print_date(int64_t at_s, char out[32])
{
	struct tm tm = { 0 };
	const time_t t = (time_t)at_s;

	gmtime_r(&t, &tm);
	strftime(out, 32, "%Y-%m-%d %H:%M UTC", &tm);
}

static void look_at_dates(struct tls_check *k, X509 *x, const char *whose, bool own)
{
	const int64_t from_s = seconds_of(X509_get0_notBefore(x)), to_s = seconds_of(X509_get0_notAfter(x)),
		      now_s = k->q->now_s;
	const char *about = own ? "expiry" : "chain";
	char when[32];

	if (from_s > now_s) {
		print_date(from_s, when);
		tls_check_say(k, true, about, "%s is not valid before %s; is the clock right?", whose, when);
	}
	print_date(to_s, when);
	if (to_s <= now_s)
		tls_check_say(k, true, about, "%s expired at %s, %lld days ago", whose, when,
			      (long long)((now_s - to_s) / DAY_S));
	else if (to_s - now_s < SOON_DAYS * DAY_S)
		tls_check_say(k, false, about, "%s expires at %s, in %lld days", whose, when,
			      (long long)((to_s - now_s) / DAY_S));
}

/* ---- names --------------------------------------------------------------------------------------------- */

/* For each name that clients would compare: dNSName and iPAddress of subjectAltName. */
static void each_name(X509 *x, void (*see)(void *arg, struct span name), void *arg)
{
	GENERAL_NAMES *alt = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);

	for (int i = 0; alt && i < sk_GENERAL_NAME_num(alt); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(alt, i);
		if (name->type == GEN_DNS) {
			const ASN1_STRING *s = name->d.dNSName;
			see(arg, span_make(ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s)));
		} else if (name->type == GEN_IPADD) {
			const ASN1_STRING *s = name->d.iPAddress;
			struct ip_addr a = { .len = (uint8_t)ASN1_STRING_length(s) };
			if (a.len != 4 && a.len != 16)
				continue;
			memcpy(a.b, ASN1_STRING_get0_data(s), a.len);
			see(arg, span_of(ip_format(&a).s));
		}
	}
	GENERAL_NAMES_free(alt);
}

static void add_name(void *arg, struct span name)
{
	json_str(arg, NULL, name);
}

static void list_name(void *arg, struct span name)
{
	struct buf *list = arg;

	if (list->n < 500)
		buf_addf(list, "%s%.*s", list->n ? ", " : "", SPAN_ARG(span_first(name, 260)));
}

static bool covers(X509 *x, struct span name)
{
	struct ip_addr a;

	if (ip_parse(name, &a))
		return X509_check_ip(x, a.b, a.len, 0) == 1;
	return name.n && X509_check_host(x, name.p, name.n, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, NULL) == 1;
}

static void look_at_names(struct tls_check *k)
{
	struct buf list = BUF_INIT(1000);

	if (k->q->client)
		return;
	each_name(k->pair.cert, list_name, &list);
	if (!list.n)
		tls_check_say(k, true, "names",
			      "it has no name in subjectAltName; clients look at no other place");
	for (size_t i = 0; list.n && i < k->q->nnames; i++) {
		if (!covers(k->pair.cert, k->q->names[i]))
			tls_check_say(k, true, "names", "%.*s is not among its names: %s",
				      SPAN_ARG(span_first(k->q->names[i], 260)), buf_cstr(&list));
	}
	if (list.n && k->q->hostname.n && !covers(k->pair.cert, k->q->hostname))
		tls_check_say(k, false, "names", "the server's own name, %.*s, is not among its names: %s",
			      SPAN_ARG(span_first(k->q->hostname, 260)), buf_cstr(&list));
	buf_free(&list);
}

/* ---- the whole ----------------------------------------------------------------------------------------- */

static void write_facts(struct tls_check *k, struct json *out)
{
	static const char hex[] = "0123456789abcdef";
	X509 *x = k->pair.cert;
	char text[300], print[2 * 32 + 1] = "";
	uint8_t digest[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	tls_check_name(X509_get_subject_name(x), text, sizeof text);
	json_cstr(out, "subject", text);
	tls_check_name(X509_get_issuer_name(x), text, sizeof text);
	json_cstr(out, "issuer", text);
	json_array(out, "names");
	each_name(x, add_name, out);
	json_array_end(out);
	json_int(out, "not_before", seconds_of(X509_get0_notBefore(x)));
	json_int(out, "not_after", seconds_of(X509_get0_notAfter(x)));
	if (X509_get0_pubkey(x)) {
		name_key(X509_get0_pubkey(x), text, sizeof text);
		json_cstr(out, "key_type", text);
	}
	if (X509_digest(x, EVP_sha256(), digest, &n) == 1) {
		for (unsigned i = 0; i < n && i < 32; i++) {
			print[2 * i] = hex[digest[i] >> 4];
			print[2 * i + 1] = hex[digest[i] & 15];
		}
		json_cstr(out, "sha256", print);
	}
	json_array(out, "chain");
	for (int i = 0; i < sk_X509_num(k->pair.chain); i++) {
		X509 *link = sk_X509_value(k->pair.chain, i);
		json_object(out, NULL);
		tls_check_name(X509_get_subject_name(link), text, sizeof text);
		json_cstr(out, "subject", text);
		json_int(out, "not_after", seconds_of(X509_get0_notAfter(link)));
		json_object_end(out);
	}
	json_array_end(out);
}

static void look_at_chain_dates(struct tls_check *k)
{
	char name[300], whose[400];

	for (int i = 0; i < sk_X509_num(k->pair.chain); i++) {
		X509 *link = sk_X509_value(k->pair.chain, i);
		tls_check_name(X509_get_subject_name(link), name, sizeof name);
		snprintf(whose, sizeof whose, "the certificate of %s, number %d of the file,", name, i + 2);
		look_at_dates(k, link, whose, false);
	}
}

unsigned tls_cert_check(const struct tls_cert_check *q, struct json *out)
{
	struct buf findings = BUF_INIT(FINDINGS_MAX);
	char *cert = mem_strndup(q->cert.p, q->cert.n),
	     *key = q->key.n ? mem_strndup(q->key.p, q->key.n) : NULL;
	struct tls_check k = { .q = q, .findings = json_to(&findings), .cert_path = cert, .key_path = key };
	struct tls_pair loaded;
	struct errtext e = { "" };

	json_object(out, NULL);
	json_str(out, "where", q->where);
	json_cstr(out, "cert", cert);
	if (key)
		json_cstr(out, "key", key);
	json_array(&k.findings, NULL);
	if (tls_pair_load_certs(&k.pair, cert, &e) < 0) {
		tls_check_say(&k, true, "file", "%s", e.s);
	} else {
		write_facts(&k, out);
		look_at_dates(&k, k.pair.cert, "the certificate", true);
		look_at_chain_dates(&k);
		look_at_names(&k);
		look_at_strength(&k);
		tls_check_chain(&k);
		if (!q->without_key && tls_pair_load(&loaded, cert, key, &e) < 0)
			tls_check_say(&k, true, "key", "%s", e.s);
		else if (!q->without_key)
			tls_pair_deinit(&loaded);
	}
	if (!q->without_key)
		look_at_key_file(&k);
	json_array_end(&k.findings);
	json_raw(out, "findings", findings.overflow ? SPAN("[]") : buf_span(&findings));
	json_object_end(out);
	tls_pair_deinit(&k.pair);
	buf_free(&findings);
	free(cert);
	free(key);
	return k.problems;
}
