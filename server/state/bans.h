/* state/bans.h - failures of authentication counted, and who is turned away for a while because of them.
 *
 *   at connect   bans_check(b, &rules, &client, SPAN(""), now_us, &ban)         not BANS_NOBODY: 421
 *   at AUTH      bans_check(b, &rules, &client, user, now_us, &ban)             not BANS_NOBODY: 454 or 421, nobody is asked
 *   535          bans_failed(b, &rules, &client, user, x->secret_id, now_us, &ban)  not BANS_NOBODY: a ban begins now; log it
 *   235          bans_ok(b, &rules, &client, user, now_us)
 *
 * What counts: different attempts. The same user with the same wrong secret from the same address counts once however often it
 * comes: that is a device with a stale password, and its neighbours behind the same NAT must not suffer from it. A guesser
 * tries other secrets, or one secret on other users; each is another attempt. Who cannot say which secret it was (SCRAM,
 * GSSAPI) passes NULL, and each failure counts.
 *
 * An address is an IPv4 address or an IPv6 /64. A user is the account that was tried, letters in any case. When failures_max
 * different attempts came within find_us, the address is banned for ban_us; likewise a user, whoever tried. A ban of a user
 * does not hit an address from which that user got in lately: else anybody could lock a user out by guessing.
 *
 * A success takes back what that user at that address had wrong, and nothing else: who has one account cannot wipe out what he
 * does to others.
 *
 * Asking never waits. A store that several nodes share keeps a copy here and tells the others what happened.
 *
 * Ownership: a store belongs to its maker (state/bans_memory.h); rules and spans are borrowed for the call.
 * Threads:   any.  Units: time is an argument, loop_now_us() or any other reading of CLOCK_MONOTONIC.
 * Limits:    BANS_USER_MAX octets of a user count; the number of addresses and users is the store's.
 * Tests:     tests/unit/state/test_bans.c
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/ip.h"
#include "base/span.h"

enum { BANS_USER_MAX = 256, BANS_FAILURES_MAX = 100, BANS_SECRET_ID = 16 };

/* A listener's. */
struct bans_rules {
	/* So many different ones of an address begin a ban, at most BANS_FAILURES_MAX; 0: no bans of addresses. */
	uint32_t failures_max;
	uint32_t user_failures_max; /* of a user, likewise */
	int64_t find_us;            /* failures older than this are forgotten */
	int64_t ban_us;
	const struct ip_set *never; /* networks that are neither counted nor turned away; NULL: none */
};

#define BANS_MAP(X)                                                                                          \
	X(NOBODY, "nobody")                                                                                  \
	X(ADDRESS, "address")                                                                                \
	X(USER, "user")

enum bans_kind {
#define X(name, text) BANS_##name,
	BANS_MAP(X)
#undef X
};

const char *bans_kind_name(enum bans_kind kind);

struct bans_ban {
	enum bans_kind kind;
	struct ip_net net;            /* ADDRESS: 192.0.2.1/32, 2001:db8:1:2::/64 */
	char user[BANS_USER_MAX + 1]; /* USER: in small letters */
	uint32_t failures;            /* different ones that began it */
	int64_t since_us, until_us;
};

struct bans;

struct bans_ops {
	enum bans_kind (*check)(struct bans *b, const struct bans_rules *rules, const struct ip_addr *addr,
				struct span user, int64_t now_us, struct bans_ban *ban_r);
	enum bans_kind (*failed)(struct bans *b, const struct bans_rules *rules, const struct ip_addr *addr,
				 struct span user, const uint8_t *secret_id, int64_t now_us,
				 struct bans_ban *ban_r);
	void (*ok)(struct bans *b, const struct bans_rules *rules, const struct ip_addr *addr,
		   struct span user, int64_t now_us);
	size_t (*list)(struct bans *b, int64_t now_us, struct bans_ban *bans, size_t max);
	bool (*remove_address)(struct bans *b, const struct ip_addr *addr, int64_t now_us);
	bool (*remove_user)(struct bans *b, struct span user, int64_t now_us);
	size_t (*clear)(struct bans *b, int64_t now_us);
	void (*free)(struct bans *b);
};

/* The head of every implementation. */
struct bans {
	const struct bans_ops *ops;
};

/* Who of the two is banned; the address is looked at first. @user empty: not known yet. *ban_r (may be NULL) is set unless
 * NOBODY. */
enum bans_kind bans_check(struct bans *b, const struct bans_rules *rules, const struct ip_addr *addr,
			  struct span user, int64_t now_us, struct bans_ban *ban_r);

/* One failure. @secret_id: BANS_SECRET_ID octets that are the same for the same secret, or NULL. Returns whose ban begins by
 * it, the address first if both do. @user empty: a failure without a name. */
enum bans_kind bans_failed(struct bans *b, const struct bans_rules *rules, const struct ip_addr *addr,
			   struct span user, const uint8_t *secret_id, int64_t now_us,
			   struct bans_ban *ban_r);

void bans_ok(struct bans *b, const struct bans_rules *rules, const struct ip_addr *addr, struct span user,
	     int64_t now_us);

/* Bans in force, in no order, at most @max. Returns how many there are, which may be more. */
size_t bans_list(struct bans *b, int64_t now_us, struct bans_ban *bans, size_t max);

/* Ends a ban and forgets its failures. False: there is none. */
bool bans_remove_address(struct bans *b, const struct ip_addr *addr, int64_t now_us);
bool bans_remove_user(struct bans *b, struct span user, int64_t now_us);
size_t bans_clear(struct bans *b, int64_t now_us); /* all; returns how many */

void bans_free(struct bans **b);
