/* tls/tls_cert_check_priv.h - a check under way; only tls_cert_check.c and tls_cert_chain.c include it. */
#pragma once

#include "base/ip.h"
#include "tls/tls_cert_check.h"
#include "tls/tls_context_priv.h"

struct tls_check {
	const struct tls_cert_check *q;
	const char *cert_path, *key_path;
	struct tls_pair pair; /* certificates only */
	struct json findings;
	unsigned problems;
};

void tls_check_say(struct tls_check *k, bool problem, const char *about, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* A subject or issuer for people: its common name, or all of it. */
void tls_check_name(const X509_NAME *name, char *out, size_t max);

/* Who issued it, and can clients find that out? */
void tls_check_chain(struct tls_check *k);
