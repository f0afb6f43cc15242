/* tls/tls_ticket.h - private to tls: the keys of session tickets (RFC 5077, RFC 8446 section 4.6.1), shared by all threads that
 * serve with one tls_server and kept when its certificates are replaced.
 *
 * There are two keys: the newer one makes tickets, the older one is only read. When the newer one has been in use for as long as
 * tickets live, it becomes the older one; so a ticket is good for its whole life, and who steals our keys can read the
 * sessions of two lives at most (forward secrecy ends there, RFC 9325 section 3.4).
 *
 * Threads: any.  Tests: tests/unit/tls/test_session.c
 */
#pragma once

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdint.h>
#include <time.h>

enum { TLS_TICKET_NAME_OCTETS = 16, TLS_TICKET_KEY_OCTETS = 32, TLS_TICKET_IV_OCTETS = 16 };

struct tls_ticket_key {
	unsigned char name[TLS_TICKET_NAME_OCTETS];
	unsigned char cipher[TLS_TICKET_KEY_OCTETS], mac[TLS_TICKET_KEY_OCTETS];
	time_t made_s; /* monotonic; 0: none */
};

struct tls_tickets {
	pthread_mutex_t lock;
	struct tls_ticket_key keys[2]; /* newer, older */
	uint32_t lifetime_s;
	EVP_CIPHER *aes; /* fetched once: fetching costs as much as using */
};

int tls_tickets_init(struct tls_tickets *t, uint32_t lifetime_s);
void tls_tickets_deinit(struct tls_tickets *t);
/* Makes @ctx use them. They must outlive it. */
void tls_tickets_attach(struct tls_tickets *t, SSL_CTX *ctx);
