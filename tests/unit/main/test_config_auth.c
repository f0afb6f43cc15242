/* Where a listener looks passwords up: each name of `auth` has to become something that can be asked. */
#include "config_bed.h"

#define HEAD     "hostname = \"relay.example.org\"\n"
#define POLICIES "policies = { use \"relay_networks\" { networks = \"192.0.2.0/24\" } }"
#define CLEAR    "auth_clear_from = \"192.0.2.0/24\", "

/* What can be made without a KDC, in the order of the list. */
static void places_in_order(void)
{
	struct config_bed bed;

	bed_open(&bed);
	bed_write(&bed, "users", "");
	NEED(chmod(bed.made[bed.nmade - 1], 0600) == 0);
	bed_need(&bed, HEAD
		 "users = { file = \"users\" }\n"
		 "saslauthd = { socket = \"/run/saslauthd/mux\" }\n"
		 "listener \"a\" { bind = \"127.0.0.1:2525\", auth = { \"users\", \"saslauthd\" }, " CLEAR
			 POLICIES " }\n"
		 "listener \"b\" { bind = \"127.0.0.1:2526\", auth = { \"saslauthd\" }, " CLEAR POLICIES
		 " }\n");
	const struct auth_server *a = bed.cfg->listeners[0].session.auth.server,
				 *b = bed.cfg->listeners[1].session.auth.server;
	NEED(a && b);
	CHECK_INT(2, a->nbackends);
	NEED(a->nbackends == 2);
	CHECK_STR("users", a->backend[0]->ops->name);
	CHECK_STR("saslauthd", a->backend[1]->ops->name);
	CHECK_INT(1, b->nbackends);
	CHECK(b->backend[0] == a->backend[1]); /* one for all listeners */
	bed_close(&bed);
}

static void what_is_wrong(void)
{
	struct config_bed bed;

	bed_open(&bed);
	CHECK_INT(-ERR_INVAL,
		  bed_load(&bed,
			   HEAD "saslauthd = { realm = \"a@b\" }\n"
				"listener \"a\" { bind = \"127.0.0.1:2525\", auth = { \"saslauthd\" }, " CLEAR
					POLICIES " }\n"));
	bool said = false;
	for (size_t i = 0; i < bed.problems.n; i++)
		said |= bed.problems.v[i].line == 2 &&
			span_find(bed.problems.v[i].text, SPAN("the realm is too long or has an")) >= 0;
	CHECK(said);
	bed_close(&bed);
}

TEST_MAIN(TEST(places_in_order), TEST(what_is_wrong))
