#include "state/bans.h"

#include "base/check.h"

static const char *const names[] = {
#define X(name, text) text,
	BANS_MAP(X)
#undef X
};

const char *bans_kind_name(enum bans_kind kind)
{
	return (size_t)kind < ARRAY_LEN(names) ? names[kind] : "?";
}

/* Is this client one that the rules are about? */
static bool counts(const struct bans_rules *rules, const struct ip_addr *addr)
{
	if (rules->failures_max == 0 && rules->user_failures_max == 0)
		return false;
	return addr->len && !(rules->never && ip_set_contains(rules->never, addr));
}

enum bans_kind bans_check(struct bans *b, const struct bans_rules *rules, const struct ip_addr *addr,
			  struct span user, int64_t now_us, struct bans_ban *ban_r)
{
	struct bans_ban ban;

	if (!counts(rules, addr))
		return BANS_NOBODY;
	return b->ops->check(b, rules, addr, user, now_us, ban_r ? ban_r : &ban);
}

enum bans_kind bans_failed(struct bans *b, const struct bans_rules *rules, const struct ip_addr *addr,
			   struct span user, const uint8_t *secret_id, int64_t now_us, struct bans_ban *ban_r)
{
	struct bans_ban ban;

	if (!counts(rules, addr))
		return BANS_NOBODY;
	return b->ops->failed(b, rules, addr, user, secret_id, now_us, ban_r ? ban_r : &ban);
}

void bans_ok(struct bans *b, const struct bans_rules *rules, const struct ip_addr *addr, struct span user,
	     int64_t now_us)
{
	if (counts(rules, addr) && user.n)
		b->ops->ok(b, rules, addr, user, now_us);
}

size_t bans_list(struct bans *b, int64_t now_us, struct bans_ban *bans, size_t max)
{
	return b->ops->list(b, now_us, bans, max);
}

bool bans_remove_address(struct bans *b, const struct ip_addr *addr, int64_t now_us)
{
	return addr->len && b->ops->remove_address(b, addr, now_us);
}

bool bans_remove_user(struct bans *b, struct span user, int64_t now_us)
{
	return user.n && b->ops->remove_user(b, user, now_us);
}

size_t bans_clear(struct bans *b, int64_t now_us)
{
	return b->ops->clear(b, now_us);
}

void bans_free(struct bans **b)
{
	if (!*b)
		return;
	(*b)->ops->free(*b);
	*b = NULL;
}
