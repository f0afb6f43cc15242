#include "tls/tls_ticket.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "tls/tls_context_priv.h"

static time_t now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + 1; /* never 0 */
}

static bool make_key(struct tls_ticket_key *k)
{
	k->made_s = now_s();
	return RAND_bytes(k->name, sizeof k->name) == 1 &&
	       RAND_priv_bytes(k->cipher, sizeof k->cipher) == 1 &&
	       RAND_priv_bytes(k->mac, sizeof k->mac) == 1;
}

/* Under the lock. */
static bool turn_keys(struct tls_tickets *t)
{
	struct tls_ticket_key fresh;
	const time_t age = now_s() - t->keys[0].made_s;

	if (age < t->lifetime_s)
		return true;
	if (!make_key(&fresh))
		return false;
	t->keys[1] = t->keys[0];
	t->keys[0] = fresh;
	mem_wipe(&fresh, sizeof fresh);
	return true;
}

static bool newest_key(struct tls_tickets *t, struct tls_ticket_key *k)
{
	pthread_mutex_lock(&t->lock);
	const bool ok = turn_keys(t);
	*k = t->keys[0];
	pthread_mutex_unlock(&t->lock);
	return ok;
}

/* 0: none of ours; 1: the one that makes tickets now; 2: the older one. */
static int find_key(struct tls_tickets *t, const unsigned char *name, struct tls_ticket_key *k)
{
	int found = 0;

	pthread_mutex_lock(&t->lock);
	turn_keys(t);
	for (int i = 0; i < 2 && !found; i++)
		if (t->keys[i].made_s && memcmp(t->keys[i].name, name, sizeof t->keys[i].name) == 0) {
			*k = t->keys[i];
			/* The older one is good for one life more, no matter how long nobody came. */
			found = i == 0 ? 1 : now_s() - k->made_s < 2 * (time_t)t->lifetime_s ? 2 : 0;
		}
	pthread_mutex_unlock(&t->lock);
	return found;
}

static bool set_up(struct tls_tickets *t, const struct tls_ticket_key *k, const unsigned char *iv,
		   EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int encrypt)
{
	char digest[] = "SHA256";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)k->mac, sizeof k->mac),
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0), OSSL_PARAM_construct_end()
	};

	return EVP_CipherInit_ex2(cipher, t->aes, k->cipher, iv, encrypt, NULL) == 1 &&
	       EVP_MAC_CTX_set_params(mac, params) == 1;
}

/* 0: no ticket, a full handshake instead; 1: it is good; 2: it is good, and a new one replaces it. */
static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
		     EVP_MAC_CTX *mac, int encrypt)
{
	struct tls_tickets *t = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	struct tls_ticket_key k;
	int rc;

	if (encrypt) {
		rc = newest_key(t, &k) && RAND_bytes(iv, TLS_TICKET_IV_OCTETS) == 1;
		if (rc)
			memcpy(name, k.name, sizeof k.name);
	} else {
		rc = find_key(t, name, &k);
	}
	/* Clients of TLS 1.3 show a ticket once (RFC 8446 appendix C.4): they need another. */
	if (rc == 1 && !encrypt && SSL_version(ssl) >= TLS1_3_VERSION)
		rc = 2;
	if (rc && !set_up(t, &k, iv, cipher, mac, encrypt))
		rc = 0;
	mem_wipe(&k, sizeof k);
	return rc;
}

int tls_tickets_init(struct tls_tickets *t, uint32_t lifetime_s)
{
	*t = (struct tls_tickets){ .lifetime_s = lifetime_s };
	pthread_mutex_init(&t->lock, NULL);
	t->aes = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
	return t->aes && make_key(&t->keys[0]) ? 0 : -ERR_UNSUPPORTED;
}

void tls_tickets_deinit(struct tls_tickets *t)
{
	EVP_CIPHER_free(t->aes);
	pthread_mutex_destroy(&t->lock);
	mem_wipe(t->keys, sizeof t->keys);
}

void tls_tickets_attach(struct tls_tickets *t, SSL_CTX *ctx)
{
	SSL_CTX_set_app_data(ctx, t);
	SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket);
}
