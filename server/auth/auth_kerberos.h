/* auth/auth_kerberos.h - passwords of Kerberos principals, asked of the site's KDC: the backend "kerberos".
 *
 * A login is answered within `timeout_us`, whatever the library does: the call goes on on its thread and its result, if it
 * comes, is kept for the next try. A realm other than ours is refused before a packet is sent. A KDC that does not answer is
 * left alone (auth_breaker): from then on logins are answered TEMPFAIL at once, one at a time is let through to see, and at
 * most AUTH_KERBEROS_PROBES of those are stuck. Logins with the same name and password at the same time are one question to
 * the KDC.
 *
 * Ownership: the configuration snapshot's. Freeing does not wait for calls that are stuck.
 * Threads:   any loop; see auth_backend.h.
 * Errors:    auth_kerberos_new: -ERR_INVAL, -ERR_NOTFOUND (no key of the service in the keytab) with text.
 * Source:    requirement R-40; MIT krb5's documentation.
 * Tests:     tests/unit/auth/test_kerberos.c (without a KDC), tests/kerberos/backend.py
 */
#pragma once

#include "auth/auth_backend.h"

enum {
	AUTH_KERBEROS_THREADS = 8,
	AUTH_KERBEROS_QUEUE_MAX = 512,
	AUTH_KERBEROS_PROBES = 2,
	AUTH_KERBEROS_PASSWORD_MAX = 1024,
};

struct auth_kerberos_config {
	const char *realm;   /* NULL: the default realm of krb5.conf */
	const char *service; /* "smtp/relay.example.edu": the principal whose key the keytab has */
	const char *keytab;
	const char *krb5_conf; /* NULL: where libkrb5 looks */
	const char *
		allow; /* extended regular expression for the whole name without its realm ("smtp-relay/.*"); NULL: all */
	/* 0 in each of these: the default */
	int64_t timeout_us; /* 5 s; an answer is given a twentieth before it is over, so that it has left by then */
	unsigned threads;         /* AUTH_KERBEROS_THREADS; a thread that waits for a KDC costs little */
	unsigned queue_max;       /* AUTH_KERBEROS_QUEUE_MAX */
	unsigned breaker_bad_max; /* 3 */
	int64_t breaker_retry_us; /* 5 s */
	/* -1: nothing is kept */
	int64_t cache_right_us;   /* 300 s, which is the most, too */
	int64_t cache_refused_us; /* 45 s */
	unsigned cache_entries;   /* 4096 */
};

/* The texts of @config are copied. */
int auth_kerberos_new(const struct auth_kerberos_config *config, struct auth_backend **b_r,
		      struct errtext *e);

/* What is remembered of "name@REALM", or of all ({NULL, 0}): a device was suspended, a password changed. From any thread. */
void auth_kerberos_forget(struct auth_backend *b, struct span principal);

struct auth_kerberos_stats {
	uint64_t logins;     /* that came here */
	uint64_t remembered; /* of them answered from memory */
	uint64_t asked;      /* questions to a KDC */
	uint64_t late;       /* that had no answer in time */
	unsigned busy, queued, cached;
	bool kdc_down; /* it is left alone */
};

struct auth_kerberos_stats auth_kerberos_stats(struct auth_backend *b); /* from any thread */
