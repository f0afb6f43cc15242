/* control_bans.c - who is turned away because of failed logins, and letting them in again. */
#include <stdlib.h>
#include <time.h>

#include "base/mem.h"
#include "control/control_priv.h"

static int64_t clock_now_us(clockid_t which)
{
	struct timespec ts;

	clock_gettime(which, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/* Bans are on the monotonic clock; people read the calendar's. */
void control_bans_list(struct control_request *r)
{
	const int64_t now_us = clock_now_us(CLOCK_MONOTONIC),
		      ahead_us = clock_now_us(CLOCK_REALTIME) - now_us;
	struct bans_ban *bans = mem_alloc_array(CONTROL_ROWS_MAX, sizeof *bans);
	const size_t n = r->env->bans ? bans_list(r->env->bans, now_us, bans, CONTROL_ROWS_MAX) : 0;
	struct json j = json_to(&r->out);

	json_object(&j, NULL);
	json_array(&j, "bans");
	for (size_t i = 0; i < n && i < CONTROL_ROWS_MAX; i++) {
		const struct bans_ban *b = &bans[i];
		json_object(&j, NULL);
		json_cstr(&j, "kind", bans_kind_name(b->kind));
		if (b->kind == BANS_USER)
			json_cstr(&j, "user", b->user);
		else if (b->net.bits == 8 * b->net.addr.len)
			json_cstr(&j, "client", ip_format(&b->net.addr).s);
		else
			json_cstr(&j, "client", ip_net_format(&b->net).s);
		json_int(&j, "failures", b->failures);
		json_int(&j, "since", (b->since_us + ahead_us) / 1000000);
		json_int(&j, "until", (b->until_us + ahead_us) / 1000000);
		json_object_end(&j);
	}
	json_array_end(&j);
	json_int(&j, "more", n > CONTROL_ROWS_MAX ? (int64_t)(n - CONTROL_ROWS_MAX) : 0);
	json_object_end(&j);
	free(bans);
}

/* An address, or a network as the list has it. */
static bool read_client(struct span s, struct ip_addr *addr_r)
{
	struct ip_net net;

	if (ip_parse(s, addr_r))
		return true;
	if (!ip_net_parse(s, &net) || net.bits != (net.addr.len == 4 ? 32 : 64))
		return false;
	*addr_r = net.addr;
	return true;
}

void control_bans_remove(struct control_request *r)
{
	const struct span client = control_arg(r, "client"), user = control_arg(r, "user");
	const bool all = control_flag(r, "all");
	const int64_t now_us = clock_now_us(CLOCK_MONOTONIC);
	struct bans *bans = r->env->bans;
	struct ip_addr addr;
	size_t n = 0;

	if ((client.n > 0) + (user.n > 0) + all != 1) {
		control_fail(r, 400, "whose ban? client=, user= or all=1, one of them");
		return;
	}
	if (client.n && !read_client(client, &addr)) {
		control_fail(r, 400, "client: \"%.*s\" is no address, nor a network as bans have it",
			     SPAN_ARG(span_first(client, 60)));
		return;
	}
	if (bans && all)
		n = bans_clear(bans, now_us);
	else if (bans)
		n = client.n ? bans_remove_address(bans, &addr, now_us)
			     : bans_remove_user(bans, user, now_us);
	if (!n && !all) {
		control_fail(r, 404, "%.*s is not banned",
			     SPAN_ARG(span_first(client.n ? client : user, 200)));
		return;
	}
	struct json j = json_to(&r->out);
	json_object(&j, NULL);
	json_int(&j, "removed", (int64_t)n);
	json_object_end(&j);
}
