#include "tls/tls_hello.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/check.h"
#include "base/mem.h"
#include "tls/tls_filter_priv.h"

/* Cipher suites that old devices offer and that this OpenSSL does not know any more. */
static const struct {
	unsigned id;
	const char *name;
} forgotten[] = {
	{ 0x0003, "EXP-RC4-MD5" },
	{ 0x0004, "RC4-MD5" },
	{ 0x0005, "RC4-SHA" },
	{ 0x0006, "EXP-RC2-CBC-MD5" },
	{ 0x0007, "IDEA-CBC-SHA" },
	{ 0x0008, "EXP-DES-CBC-SHA" },
	{ 0x0009, "DES-CBC-SHA" },
	{ 0x000a, "DES-CBC3-SHA" },
	{ 0x0011, "EXP-EDH-DSS-DES-CBC-SHA" },
	{ 0x0012, "EDH-DSS-DES-CBC-SHA" },
	{ 0x0013, "EDH-DSS-DES-CBC3-SHA" },
	{ 0x0014, "EXP-EDH-RSA-DES-CBC-SHA" },
	{ 0x0015, "EDH-RSA-DES-CBC-SHA" },
	{ 0x0016, "EDH-RSA-DES-CBC3-SHA" },
	{ 0x0018, "ADH-RC4-MD5" },
	{ 0x001b, "ADH-DES-CBC3-SHA" },
	{ 0x0062, "EXP1024-DES-CBC-SHA" },
	{ 0x0064, "EXP1024-RC4-SHA" },
	{ 0x0066, "DHE-DSS-RC4-SHA" },
	{ 0x0096, "SEED-SHA" },
	{ 0xc002, "ECDH-ECDSA-RC4-SHA" },
	{ 0xc007, "ECDHE-ECDSA-RC4-SHA" },
	{ 0xc008, "ECDHE-ECDSA-DES-CBC3-SHA" },
	{ 0xc00c, "ECDH-RSA-RC4-SHA" },
	{ 0xc011, "ECDHE-RSA-RC4-SHA" },
	{ 0xc012, "ECDHE-RSA-DES-CBC3-SHA" },
	{ 0x010080, "SSL2-RC4-MD5" },
	{ 0x020080, "SSL2-EXP-RC4-MD5" },
	{ 0x0700c0, "SSL2-DES-CBC3-MD5" },
};

static unsigned octets2(const unsigned char *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

/* RFC 8701: values that mean nothing, to keep servers from choking on them. */
static bool is_grease(unsigned v)
{
	return (v & 0x0f0f) == 0x0a0a && (v >> 8) == (v & 0xff);
}

static void keep_ciphers(struct tls_hello *h, const unsigned char *p, size_t n, size_t each)
{
	for (; n >= each; p += each, n -= each) {
		const unsigned id = each == 3 ? (unsigned)p[0] << 16 | octets2(p + 1) : octets2(p);
		if (h->nciphers == ARRAY_LEN(h->ciphers)) {
			h->cut = true;
			return;
		}
		if (!is_grease(id) && id != 0x00ff) /* TLS_EMPTY_RENEGOTIATION_INFO_SCSV is no cipher */
			h->ciphers[h->nciphers++] = id;
	}
}

/* RFC 8446 section 4.2.1: a list of versions behind one octet of length. */
static void keep_versions(struct tls_hello *h, const unsigned char *p, size_t n)
{
	if (n < 1 || p[0] != n - 1)
		return;
	for (p++, n--; n >= 2 && h->nversions < ARRAY_LEN(h->versions); p += 2, n -= 2)
		if (!is_grease(octets2(p)))
			h->versions[h->nversions++] = octets2(p);
}

int tls_hello_seen(SSL *ssl, int *alert, void *arg)
{
	struct tls_filter *f = SSL_get_app_data(ssl);
	const unsigned char *p = NULL;
	size_t n;

	(void)alert;
	(void)arg;
	if (!f || f->hello)
		return SSL_CLIENT_HELLO_SUCCESS; /* the second one, behind a HelloRetryRequest */
	struct tls_hello *h = f->hello = mem_alloc(sizeof *h);
	n = SSL_client_hello_get0_ciphers(ssl, &p);
	keep_ciphers(h, p, n, SSL_client_hello_isv2(ssl) ? 3 : 2);
	if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_supported_versions, &p, &n) == 1)
		keep_versions(h, p, n);
	else
		h->versions[h->nversions++] = SSL_client_hello_get0_legacy_version(ssl);
	return SSL_CLIENT_HELLO_SUCCESS;
}

/* ---- in words --------------------------------------------------------------------------------------------- */

struct text {
	char *p;
	size_t n, max;
	bool full;
};

/* Adds all of it or nothing, and after the first that does not fit nothing. */
static void add(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void add(struct text *t, const char *fmt, ...)
{
	va_list ap;

	if (t->full)
		return;
	va_start(ap, fmt);
	const int n = vsnprintf(t->p + t->n, t->max - t->n, fmt, ap);
	va_end(ap);
	t->full = n < 0 || (size_t)n >= t->max - t->n;
	if (!t->full)
		t->n += (size_t)n;
	t->p[t->n] = 0;
}

static void add_version(struct text *t, const char *before, unsigned v)
{
	if (v == 0x0300)
		add(t, "%sSSLv3", before);
	else if (v >= 0x0301 && v <= 0x0304)
		add(t, "%sTLSv1.%u", before, v - 0x0301);
	else
		add(t, "%s0x%04x", before, v);
}

static void add_cipher(struct text *t, const char *before, SSL *ssl, unsigned id)
{
	const unsigned char raw[2] = { (unsigned char)(id >> 8), (unsigned char)id };
	const SSL_CIPHER *known = id > 0xffff ? NULL : SSL_CIPHER_find(ssl, raw);
	const char *name = known ? SSL_CIPHER_get_name(known) : NULL;

	for (size_t i = 0; i < ARRAY_LEN(forgotten) && !name; i++)
		if (forgotten[i].id == id)
			name = forgotten[i].name;
	if (name)
		add(t, "%s%s", before, name);
	else
		add(t, "%s0x%04x", before, id);
}

void tls_hello_print(const struct tls_hello *h, SSL *ssl, char *out, size_t max)
{
	static const char more[] = ", ...";
	struct text t = { out, 0, max - sizeof more, false };

	require(max > sizeof more);
	out[0] = 0;
	for (unsigned i = 0; i < h->nversions; i++)
		add_version(&t, i ? " " : "", h->versions[i]);
	for (unsigned i = 0; i < h->nciphers; i++)
		add_cipher(&t, i ? ", " : "; ", ssl, h->ciphers[i]);
	if (h->cut || t.full)
		memcpy(out + t.n, more, sizeof more);
}
