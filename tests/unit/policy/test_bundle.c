/* A configuration directory becomes a bundle: what is read, what is kept, what is said about mistakes. */
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "policy/vm.h"
#include "policy_rig.h"

struct tree {
	char dir[32];
	char file[8][96];
	size_t n;
};

static void tree_add(struct tree *t, const char *name, const char *text)
{
	char *path = t->file[t->n++];

	(void)snprintf(path, sizeof t->file[0], "%s/%s", t->dir, name);
	FILE *f = fopen(path, "we");
	NEED(f != NULL);
	(void)fputs(text, f);
	(void)fclose(f);
}

static void tree_open(struct tree *t, const char *config)
{
	char sub[64];

	*t = (struct tree){ .dir = "/tmp/bundleXXXXXX" };
	NEED(mkdtemp(t->dir) != NULL);
	(void)snprintf(sub, sizeof sub, "%s/policies", t->dir);
	(void)mkdir(sub, 0700);
	(void)snprintf(sub, sizeof sub, "%s/policies/acme", t->dir);
	(void)mkdir(sub, 0700);
	(void)snprintf(sub, sizeof sub, "%s/lib", t->dir);
	(void)mkdir(sub, 0700);
	tree_add(t, "postern.lua", config);
}

static void tree_close(struct tree *t)
{
	static const char *const dirs[] = { "policies/acme", "policies", "lib", "" };
	char sub[64];

	for (size_t i = 0; i < t->n; i++)
		(void)unlink(t->file[i]);
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
		(void)snprintf(sub, sizeof sub, "%s/%s", t->dir, dirs[i]);
		(void)rmdir(sub);
	}
}

static const char config[] =
	"hostname = 'smtp-relay.example.edu'\n"
	"data_dir = '/var/lib/postern'\n"
	"local campus = {\n"
	"  use 'helo_characters' { forbidden = '&' },\n"
	"  use 'internal_domains' { domains = file 'internal-domains.txt', from = { '192.0.2.0/24' } },\n"
	"  use 'acme/our_own_rule' {},\n"
	"}\n"
	"listener 'relay' { bind = { '127.0.0.1:2525' }, tls = 'off', policies = campus }\n"
	"listener 'clear' { bind = '127.0.0.1:2526', tls = 'off', policies = campus }\n"
	"route '*' { via = '[192.0.2.25]:25' }\n";

static const char own_rule[] =
	"local relay = require 'relay'\nlocal words = require 'words'\n"
	"return relay.policy { name = 'our_own_rule', api = 1, setup = function() return {\n"
	"  mail = function(txn, sender) if sender.domain == words.bad then return relay.reject { rule = 'bad' } end end } end }\n";

static void print_problems(const struct config_problems *p)
{
	for (size_t i = 0; i < p->n; i++)
		printf("  %.*s:%u: %.*s\n", SPAN_ARG(p->v[i].file), p->v[i].line, SPAN_ARG(p->v[i].text));
}

static void a_whole_configuration(void)
{
	struct rig r;
	struct tree t;
	struct policy_bundle *b = NULL;

	rig_prepare(&r);
	tree_open(&t, config);
	tree_add(&t, "policies/acme/our_own_rule.lua", own_rule);
	tree_add(&t, "lib/words.lua", "return { bad = 'bad.example' }\n");
	tree_add(&t, "internal-domains.txt", "example.org\n# comment\nexample.net\n");
	const int loaded = policy_bundle_load(t.file[0], &r.problems, &b);
	if (loaded < 0)
		print_problems(&r.problems);
	NEED(loaded == 0);
	CHECK_SPAN("smtp-relay.example.edu",
		   config_text(config_get(policy_bundle_config(b), "hostname"), SPAN("")));
	CHECK_INT(2, config_count(config_get(policy_bundle_config(b), "listeners")));
	CHECK_STR(t.file[0], policy_bundle_file(b, 0));
	size_t files = 0;
	while (policy_bundle_file(b, files))
		files++;
	CHECK_INT(4, files);
	tree_close(&t); /* nothing is read after that */
	rig_start(&r, b);
	CHECK(policy_hook_ops.list(r.rt, SPAN("clear")) != NULL);
	CHECK_SPAN("helo-characters", rig_ask(&r, HOOK_HELO)->rule);
	CHECK_INT(VERDICT_ACCEPT, rig_ask(&r, HOOK_RCPT)->kind);
	rig_to(&r, "x@elsewhere.example");
	CHECK_INT(VERDICT_NONE, rig_ask(&r, HOOK_RCPT)->kind);
	rig_from(&r, "a@bad.example");
	CHECK_SPAN("our_own_rule", rig_ask(&r, HOOK_MAIL)->policy);
	CHECK_INT(3, r.rt->vm->nuses); /* both listeners share what they use */
	rig_close(&r);
}

static void expect_problem(const char *text, unsigned line, const char *part)
{
	struct rig r;
	struct tree t;
	struct policy_bundle *b = NULL;
	bool found = false;

	rig_prepare(&r);
	tree_open(&t, text);
	CHECK(policy_bundle_load(t.file[0], &r.problems, &b) < 0);
	CHECK(b == NULL);
	for (size_t i = 0; i < r.problems.n; i++)
		found |= r.problems.v[i].line == line && span_find(r.problems.v[i].text, span_of(part)) >= 0;
	if (!found)
		print_problems(&r.problems);
	CHECK(found);
	tree_close(&t);
	rig_close(&r);
}

#define REST                                                                                                 \
	"\nlistener 'relay' { bind = { '127.0.0.1:2525' }, tls = 'off', policies = { p } }\nroute '*' { via = '[192.0.2.25]:25' }\n"
#define HEAD "hostname = 'a.example.edu'\ndata_dir = '/var/lib/postern'\n"

static void mistakes_have_a_line(void)
{
	expect_problem(HEAD "p = = 1", 3, "unexpected");
	expect_problem(HEAD "local p = use 'helo_characters' { forbiden = '&' }" REST, 3,
		       "unknown option 'forbiden'");
	expect_problem(HEAD "local p = use 'internal_domains' {}" REST, 3, "option 'domains' is missing");
	expect_problem(HEAD "local p = use 'no_such_policy' {}" REST, 3,
		       "there is no policy 'no_such_policy'");
	expect_problem(HEAD "local p = use 'acme/none' {}" REST, 3, "No such file");
	expect_problem(HEAD "while true do end", 3, "takes too long");
	expect_problem(HEAD "local p = use 'helo_characters' { forbidden = function() end }" REST, 3, "");
}

static void a_missing_file_is_a_problem(void)
{
	struct rig r;
	struct policy_bundle *b = NULL;

	rig_prepare(&r);
	CHECK(policy_bundle_load("/nonexistent/postern.lua", &r.problems, &b) < 0);
	NEED(r.problems.n == 1);
	CHECK(span_find(r.problems.v[0].text, SPAN("No such file")) >= 0);
	rig_close(&r);
}

TEST_MAIN(TEST(a_whole_configuration), TEST(mistakes_have_a_line), TEST(a_missing_file_is_a_problem))
