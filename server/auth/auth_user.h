/* auth/auth_user.h - what Postern's own user file knows of one user: a hash of the password, a SCRAM verifier, dates.
 *
 * The hash is scrypt: OpenSSL 3.0 has no Argon2id (3.2 has), and a second library for it would be one more to keep. Its cost is
 * written beside it, so that it can be raised for the passwords that are set from then on.
 *
 *   password=scrypt:14:8:1:SALT:HASH        log2 of N, r, p; salt and hash in base64
 *   scram=16384:SALT:STOREDKEY:SERVERKEY    iterations; salt and keys in base64
 *
 * Pure, but for the random salts.  Threads: any; both are slow by design, so not on a loop.
 * Source: RFC 7914, RFC 5802.  Tests: tests/unit/auth/test_user.c
 */
#pragma once

#include "auth/auth_backend.h"
#include "base/buf.h"

enum {
	AUTH_USER_SALT_MAX = 32,
	AUTH_USER_HASH = 32,
	AUTH_USER_LOG_N = 14, /* 16 MiB and about 50 ms for each check */
	AUTH_USER_R = 8,
	AUTH_USER_P = 1,
	AUTH_USER_MEMORY_MAX = 64 << 20, /* of a hash that was made elsewhere */
	AUTH_USER_P_MAX = 16,
};

struct auth_user_hash {
	uint8_t log_n, r, p; /* log_n 0: none */
	uint8_t nsalt;
	uint8_t salt[AUTH_USER_SALT_MAX], hash[AUTH_USER_HASH];
};

struct auth_user_scram {
	uint32_t iterations; /* 0: none */
	uint8_t nsalt;
	uint8_t salt[AUTH_SCRAM_SALT_MAX];
	uint8_t stored_key[AUTH_SCRAM_KEY], server_key[AUTH_SCRAM_KEY];
};

struct auth_user {
	struct span name; /* prepared (RFC 4013) */
	struct span
		principal; /* who it is once it is in, if not itself: "smtp-relay/scan.example.edu@EXAMPLE.EDU"; may be empty */
	struct span comment;
	struct auth_user_hash hash;
	struct auth_user_scram scram;
	bool disabled;
	int64_t created_s, changed_s; /* since 1970; 0: not known */
};

/* Hash and verifier of a password that is prepared already. */
int auth_user_set_password(struct auth_user *u, struct span password);
/* 1: right, 0: wrong, -ERR_x: nobody can say. Without a hash, as slow as with one. */
int auth_user_check_password(const struct auth_user_hash *h, struct span password);

/* The values behind password= and scram=. -ERR_SYNTAX; -ERR_TOOBIG: such a cost is not for us. */
int auth_user_hash_parse(struct span s, struct auth_user_hash *h_r);
int auth_user_scram_parse(struct span s, struct auth_user_scram *v_r);
void auth_user_hash_format(const struct auth_user_hash *h, struct buf *out);
void auth_user_scram_format(const struct auth_user_scram *v, struct buf *out);

/* 1 to AUTH_USER_MAX - 1 octets of UTF-8 that preparation leaves as they are. */
bool auth_user_is_name(struct span s);
