/* What may change while the server runs, and what may not; and the examples that we ship. */
#include "config_bed.h"

#define USE "policies = { use \"helo_characters\" } "
#define A   "listener \"a\" { bind = \"127.0.0.1:2525\", " USE "}\n"

struct change {
	const char *was, *is;
	const char *says; /* NULL: it may change */
	unsigned line;
};

#define HEAD "hostname = \"relay.example.org\" workers = 2\n"

static const struct change changes[] = {
	{ HEAD A, HEAD A, NULL, 0 },
	{ HEAD A, "-- moved down\n\n" HEAD A, NULL, 0 },
	{ HEAD A,
	  HEAD A "message_size = \"1MB\" help_url = \"https://x.example/\" log = { format = \"postfix\" }\n",
	  NULL, 0 },
	{ HEAD A, HEAD "listener \"a\" { bind = { \"127.0.0.1:2525\" }, policies = {}, errors_max = 3 }\n",
	  NULL, 0 },
	{ HEAD A,
	  HEAD A
	  "route \"*\" { via = \"[a.example]\" }\nqueue = { retry = \"1m\" }\ndelivery = { connections = 7 }\n",
	  NULL, 0 },
	{ HEAD A, HEAD A "profile \"p\" {}\n", NULL, 0 },
	{ HEAD A, HEAD A "queue = { retry = \"1m\",\n dest_idle = \"1m\" }\n", "queue.dest_idle", 3 },
	{ HEAD A, HEAD A "\ndata_dir = \"/srv/postern\"\n", "data_dir", 4 },
	{ HEAD A, HEAD A "control = \"off\"\n", "control", 3 },
	{ HEAD A, HEAD A "user = \"nobody\"\n", "user", 3 },
	{ HEAD A, "hostname = \"relay.example.org\" workers = 3\n" A, "workers", 1 },
	{ HEAD A, HEAD A "spool = { segment_size = \"2MiB\" }\n", "spool", 3 },
	{ HEAD A, HEAD A "dns = { tries = 3 }\n", "dns", 3 },
	{ HEAD A, HEAD A "limits = { wait = \"1s\" }\n", "limits", 3 },
	{ HEAD A, HEAD "\nlistener \"a\" { bind = \"127.0.0.1:2526\", " USE "}\n", "listener \"a\": bind",
	  3 },
	{ HEAD A, HEAD A "listener \"b\" { bind = \"127.0.0.1:2526\", " USE "}\n", "listener \"b\" is new",
	  3 },
	{ HEAD A "listener \"b\" { bind = \"127.0.0.1:2526\", " USE "}\n", HEAD A, "listener \"b\" is gone",
	  0 },
};

static void some_things_need_a_restart(void)
{
	struct config_bed was, is;

	bed_open(&was);
	bed_open(&is);
	for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
		const struct change *c = &changes[i];
		NEED(bed_load(&was, c->was) == 0 && bed_load(&is, c->is) == 0);
		config_problems_init(&is.problems, is.mem);
		const size_t n = config_reload_check(was.cfg, is.cfg, &is.problems);
		CHECK_INT(n, is.problems.errors);
		if (n == (c->says ? 1u : 0u) &&
		    (!c->says || (span_starts(is.problems.v[0].text, span_of(c->says)) &&
				  (!c->line || is.problems.v[0].line == c->line))))
			continue;
		FAIL("change %zu: expected line %u: %s...; it is\n%s", i, c->line,
		     c->says ? c->says : "nothing", c->is);
		bed_print(&is);
	}
	bed_close(&was);
	bed_close(&is);
}

static void all_that_needs_a_restart_is_said(void)
{
	struct config_bed was, is;

	bed_open(&was);
	bed_open(&is);
	bed_need(&was, HEAD A);
	bed_need(
		&is,
		"hostname = \"relay.example.org\" workers = 5 data_dir = \"/x\" spool = { memory = \"1MiB\" }\n"
		"listener \"b\" { bind = \"127.0.0.1:2525\", " USE "}\n");
	CHECK_INT(5, config_reload_check(was.cfg, is.cfg,
					 &is.problems)); /* workers, data_dir, spool, a is gone, b is new */
	bed_close(&was);
	bed_close(&is);
}

static void examples_load(void)
{
	static const char *const examples[] = { "campus.conf.lua", "minimal.conf.lua" };
	struct arena *mem = arena_new(1 << 20);
	char path[512];

	for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
		struct config_problems problems;
		struct config *cfg = NULL;
		snprintf(path, sizeof path, "%s/contrib/examples/%s", TEST_SOURCE_DIR, examples[i]);
		config_problems_init(&problems, mem);
		const int r = config_load(path, &problems, &cfg);
		if (r < 0 || problems.n) {
			struct buf out = BUF_INIT(65536);
			config_problems_write(&problems, &out);
			FAIL("%s: expected no problems, found\n%s", path, buf_cstr(&out));
			buf_free(&out);
		}
		config_unref(&cfg);
	}
	arena_free(&mem);
}

static void the_campus_is_as_written(void)
{
	struct arena *mem = arena_new(1 << 20);
	struct config_problems problems;
	struct config *cfg = NULL;

	config_problems_init(&problems, mem);
	NEED(config_load(TEST_SOURCE_DIR "/contrib/examples/campus.conf.lua", &problems, &cfg) == 0);
	const struct session_listener *l = &cfg->listeners[0].session;
	CHECK_SPAN("relay", l->name);
	CHECK_SPAN("Service desk, 555-0100, help@example.edu", l->help_text);
	CHECK_INT(50000000, l->message_max_bytes);
	CHECK_INT(20, l->clients.per_client_max);
	CHECK_INT(2, cfg->listeners[0].nbind);
	const struct route *inside = route_find(&cfg->routes, SPAN("chem.example.edu")),
			   *out = route_find(&cfg->routes, SPAN("a.example"));
	CHECK_SPAN("internal", inside->name);
	CHECK(inside == route_by_name(&cfg->routes, SPAN("internal")));
	CHECK_INT(2, inside->nhosts);
	CHECK_INT(3, inside->host[0].weight);
	CHECK_INT(2, inside->schedule.nnotices);
	CHECK_SPAN("[smtp.upstream.example]:587", out->host[0].text);
	CHECK_INT(600, out->limits.rate.count);
	CHECK_SPAN("copiers", cfg->profiles[0].name);
	CHECK(!l->profile); /* only those in the networks of the policy have it */
	config_unref(&cfg);
	arena_free(&mem);
}

TEST_MAIN(TEST(some_things_need_a_restart), TEST(all_that_needs_a_restart_is_said), TEST(examples_load),
	  TEST(the_campus_is_as_written))
