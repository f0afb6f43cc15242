/* Mistakes in policies and in their options have the line of their use; where they are in the policy is in the text. */
#include "config_bed.h"

#define HEAD                                                                                                 \
	"hostname = \"relay.example.org\"\nlistener \"relay\" { bind = \"127.0.0.1:2525\", policies = {\n"
#define TAIL "} }\n"

struct mistake {
	const char *policy; /* the text of policies/mine.lua; NULL: none */
	const char *use;    /* line 3 of the configuration */
	unsigned line;      /* of the configuration */
	const char *says;
};

#define POLICY(options, setup)                                                                               \
	"local relay = require \"relay\"\n"                                                                  \
	"return relay.policy { name = \"mine\", api = 1, doc = \"A test.\",\n"                               \
	"  options = { " options " },\n"                                                                     \
	"  setup = function(opt)\n" setup "\n  end }\n"
#define FINE                                                                                                 \
	POLICY("word = { type = \"string\", required = true, doc = \"a word\" }",                            \
	       "return { rcpt = function() end }")

static const struct mistake mistakes[] = {
	{ NULL, "use \"helo_charakters\" {}", 3, "helo_charakters" },
	{ NULL, "use \"acme/rule\" {}", 3, "acme/rule" },
	{ NULL, "use \"helo_characters\" { forbiden = \"&\" }", 3, "forbiden" },
	{ NULL, "use \"helo_characters\" { forbidden = 7 }", 3, "forbidden" },
	{ NULL, "use \"relay_networks\" {}", 3, "networks" },
	{ NULL, "use \"relay_networks\" { networks = {} }", 3, "networks" },
	{ NULL, "use \"relay_networks\" { networks = { \"10.0.0.0/33\" } }", 3, "10.0.0.0/33" },
	{ NULL, "use \"rate_limits\" { per_device = \"often\" }", 3, "per_device" },
	{ NULL, "use \"rate_limits\" { on_store_failure = \"maybe\" }", 3, "on_store_failure" },
	{ FINE, "use \"mine\" {}", 3, "word" },
	{ "local relay = require \"relay\"\nreturn relay.policy {\n name = = }\n", "use \"mine\" {}", 3,
	  "policies/mine.lua:3: unexpected" },
	{ "return 7\n", "use \"mine\" {}", 3, "mine" },
	{ POLICY("", "    error(\"no good\")"), "use \"mine\" {}", 3, "policies/mine.lua:5: no good" },
	{ POLICY("", "    return { hello = function() end }"), "use \"mine\" {}", 3, "hello" },
	{ POLICY("", "    io.open(\"/etc/passwd\")"), "use \"mine\" {}", 3, "io" },
};

static bool found(const struct config_bed *bed, const struct mistake *m)
{
	for (size_t i = 0; i < bed->problems.n; i++) {
		const struct config_problem *p = &bed->problems.v[i];
		if (p->line == m->line && span_eq(p->file, span_of(bed->config)) &&
		    span_find(p->text, span_of(m->says)) >= 0)
			return true;
	}
	return false;
}

static void each_mistake_is_found_at_its_line(void)
{
	for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
		const struct mistake *m = &mistakes[i];
		struct config_bed bed;
		char text[1024];
		bed_open(&bed);
		bed_dir(&bed, "policies");
		if (m->policy)
			bed_write(&bed, "policies/mine.lua", m->policy);
		snprintf(text, sizeof text, "%s%s%s", HEAD, m->use, TAIL);
		if (bed_load(&bed, text) >= 0 || !found(&bed, m)) {
			FAIL("mistake %zu: expected line %u: ...%s...; it is %s; the problems are", i,
			     m->line, m->says, m->use);
			bed_print(&bed);
		}
		bed_close(&bed);
	}
}

static void those_of_the_file_and_of_policies_are_said_together(void)
{
	struct config_bed bed;

	bed_open(&bed);
	CHECK_INT(-ERR_INVAL,
		  bed_load(&bed, HEAD "use \"helo_characters\" { forbiden = \"&\" }, use \"nowhere\" {}" TAIL
				      "workers = 0\n"));
	CHECK_INT(3, bed.problems.errors);
	bed_close(&bed);
}

static void an_own_policy_is_taken(void)
{
	struct config_bed bed;

	bed_open(&bed);
	bed_dir(&bed, "policies");
	bed_write(&bed, "policies/mine.lua", FINE);
	bed_need(&bed, HEAD "use \"mine\" { word = \"x\" }" TAIL);
	bed_close(&bed);
}

static void setup_has_the_budget_of_the_configuration(void)
{
	struct config_bed bed;

	bed_open(&bed);
	bed_dir(&bed, "policies");
	bed_write(&bed, "policies/mine.lua",
		  POLICY("", "    for i = 1, 1000000 do end\n    return { rcpt = function() end }"));
	bed_need(&bed, HEAD "use \"mine\" {}" TAIL);
	CHECK_INT(-ERR_INVAL,
		  bed_load(&bed, HEAD "use \"mine\" {}" TAIL "limits = { setup_instructions = 100000 }\n"));
	NEED(bed.problems.n == 1);
	CHECK_INT(3, bed.problems.v[0].line);
	bed_close(&bed);
}

TEST_MAIN(TEST(each_mistake_is_found_at_its_line), TEST(those_of_the_file_and_of_policies_are_said_together),
	  TEST(an_own_policy_is_taken), TEST(setup_has_the_budget_of_the_configuration))
