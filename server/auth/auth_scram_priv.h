/* auth/auth_scram_priv.h - what both sides of SCRAM have in common.
 *
 * Tests: tests/unit/auth/test_scram.c
 */
#pragma once

#include "auth/auth_scram.h"

/* Takes "x=value" off the front of *s, and the comma behind it. False when there is no such attribute there. At the end s->p
 * is NULL. */
bool auth_scram_take(struct span *s, char name, struct span *value_r);
/* Extensions that we do not know are to be ignored (RFC 5802 section 5.1): "x=value" each, to the end; but "m" is never to
 * be ignored. */
bool auth_scram_extensions(struct span s);
/* r: printable and not empty. */
bool auth_scram_is_nonce(struct span s);
/* 1 to 10 digits, the first not 0. */
bool auth_scram_is_iterations(struct span s, uint32_t *iterations_r);
/* "c=" of the final message is base64 of the GS2 header and the binding. */
bool auth_scram_bound(const struct auth_scram *s, struct span binding, struct buf *out);

int auth_scram_hmac(const uint8_t key[AUTH_SCRAM_KEY], struct span data, uint8_t out[AUTH_SCRAM_KEY]);
