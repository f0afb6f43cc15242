/* The user file as a backend, asked as a session asks it: by AUTH commands, and directly. */
#include "auth/auth_users.h"

#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "exchange_bed.h"
#include "tls/tls_digest.h"

enum { MANY = 200 };

struct file_bed {
	struct bed bed;
	char dir[64], file[100];
	struct auth_backend *users;
	struct buf text;
};

/* A hash that costs less than ours, so that the tests are quick. */
static void set_cheap_password(struct auth_user *u, const char *password)
{
	uint8_t salted[AUTH_SCRAM_KEY];

	u->hash = (struct auth_user_hash){ .log_n = 9, .r = 8, .p = 1, .nsalt = 8, .salt = "saltsalt" };
	NEED(tls_scrypt(span_of(password), SPAN("saltsalt"), 1 << 9, 8, 1, u->hash.hash,
			sizeof u->hash.hash) == 0);
	u->scram = (struct auth_user_scram){ .iterations = 4096, .nsalt = 8, .salt = "saltsalt" };
	NEED(auth_scram_salted(span_of(password), SPAN("saltsalt"), 4096, salted) == 0);
	NEED(auth_scram_keys(salted, u->scram.stored_key, u->scram.server_key) == 0);
}

static void add_user(struct file_bed *f, const char *name, const char *password, bool disabled,
		     const char *principal)
{
	struct auth_user u = { .name = span_of(name), .disabled = disabled, .principal = span_of(principal) };

	set_cheap_password(&u, password);
	auth_users_format_user(&u, &f->text);
}

/* As any editor does it: a new file under the old name. */
static void write_file(struct file_bed *f)
{
	char fresh[120];

	snprintf(fresh, sizeof fresh, "%s.new", f->file);
	FILE *out = fopen(fresh, "w");
	NEED(out);
	NEED(fwrite(f->text.p, 1, f->text.n, out) == f->text.n);
	NEED(fclose(out) == 0);
	NEED(rename(fresh, f->file) == 0);
}

static void users_open(struct file_bed *f, struct auth_users_config cfg)
{
	struct errtext e = { "" };

	bed_open(&f->bed);
	f->text = BUF_INIT(1 << 20);
	snprintf(f->dir, sizeof f->dir, "/tmp/postern-users-XXXXXX");
	NEED(mkdtemp(f->dir));
	snprintf(f->file, sizeof f->file, "%s/users", f->dir);
	auth_users_format_head((const uint8_t *)"0123456789abcdef0123456789abcdef", &f->text);
	add_user(f, "copier7", "right", false, "");
	add_user(f, "gone", "right", true, "");
	add_user(f, "lab", "right", false, "smtp-relay/lab.example.edu@EXAMPLE.EDU");
	buf_add_str(&f->text, "alias cp-4711 to=copier7\nalias sec to=second\n");
	write_file(f);
	cfg.file = span_of(f->file);
	if (auth_users_new(&cfg, &f->users, &e) < 0)
		FAIL("%s", e.s);
	NEED(f->users);
	f->bed.server.backend[0] = f->users;
}

static void users_close(struct file_bed *f)
{
	bed_close(&f->bed);
	f->users->ops->free(f->users);
	(void)unlink(f->file);
	(void)rmdir(f->dir);
	buf_free(&f->text);
}

/* Threads answer, so the loop waits. */
static enum auth_result slow_auth(struct file_bed *f, const char *mech, struct span plain)
{
	struct bed *b = &f->bed;

	auth_exchange_deinit(&b->x);
	auth_exchange_init(&b->x, &b->server, &b->channel, bed_done);
	b->done = false;
	loop_set_resident(b->loop, true);
	NEED(auth_exchange_start(&b->x, &b->scope, span_of(mech), span_of(bed_base64(b, plain)),
				 EXCHANGE_BED_LONG_US) == 0);
	while (!b->done)
		loop_run_once(b->loop, true);
	return b->x.result;
}

static void passwords_are_checked(void)
{
	struct file_bed f;

	users_open(&f, (struct auth_users_config){ 0 });
	CHECK_INT(AUTH_DONE, slow_auth(&f, "PLAIN", SPAN("\0copier7\0right")));
	CHECK_STR("copier7", f.bed.x.identity.user);
	CHECK_STR("users", f.bed.x.backend);
	CHECK_INT(AUTH_REFUSED, slow_auth(&f, "PLAIN", SPAN("\0copier7\0wrong")));
	CHECK_INT(AUTH_ANSWER_WRONG, f.bed.x.answer);
	CHECK_STR("the password is wrong", f.bed.x.why);
	CHECK_INT(AUTH_REFUSED, slow_auth(&f, "PLAIN", SPAN("\0gone\0right")));
	CHECK_INT(AUTH_ANSWER_LOCKED, f.bed.x.answer);
	CHECK_INT(AUTH_REFUSED, slow_auth(&f, "PLAIN", SPAN("\0gone\0wrong")));
	CHECK_INT(AUTH_ANSWER_WRONG, f.bed.x.answer);
	CHECK_INT(AUTH_REFUSED,
		  slow_auth(&f, "PLAIN", SPAN("\0copier7\0e\xcc\x81"))); /* cannot be prepared */
	CHECK_INT(AUTH_ANSWER_WRONG, f.bed.x.answer);
	/* Prepared, it is the same password. */
	CHECK_INT(AUTH_DONE, slow_auth(&f, "PLAIN", SPAN("\0copier7\0rig\xc2\xadht")));
	users_close(&f);
}

static void who_is_not_here_is_another_backends(void)
{
	struct file_bed f;

	users_open(&f, (struct auth_users_config){ 0 });
	CHECK_INT(AUTH_DONE, slow_auth(&f, "PLAIN", SPAN("\0second\0pw")));
	CHECK_STR("second", f.bed.x.backend);
	f.bed.server.nbackends = 1;
	CHECK_INT(AUTH_REFUSED, slow_auth(&f, "PLAIN", SPAN("\0second\0pw")));
	CHECK_INT(AUTH_ANSWER_UNKNOWN_HERE, f.bed.x.answer);
	users_close(&f);
}

static void aliases_and_principals(void)
{
	struct file_bed f;

	users_open(&f, (struct auth_users_config){ 0 });
	CHECK_INT(AUTH_DONE, slow_auth(&f, "PLAIN", SPAN("\0cp-4711\0right")));
	CHECK_STR("copier7", f.bed.x.identity.user);
	CHECK_SPAN("cp-4711", f.bed.x.tried);
	CHECK_INT(AUTH_DONE, slow_auth(&f, "PLAIN", SPAN("cp-4711\0cp-4711\0right")));
	CHECK_INT(AUTH_DONE, slow_auth(&f, "PLAIN", SPAN("copier7\0cp-4711\0right")));
	/* Of a user of another backend. */
	CHECK_INT(AUTH_DONE, slow_auth(&f, "PLAIN", SPAN("\0sec\0pw")));
	CHECK_STR("second@second", f.bed.x.identity.user);
	CHECK_INT(AUTH_DONE, slow_auth(&f, "PLAIN", SPAN("\0lab\0right")));
	CHECK_STR("smtp-relay/lab.example.edu@EXAMPLE.EDU", f.bed.x.identity.user);
	CHECK_STR("EXAMPLE.EDU", f.bed.x.identity.realm);
	users_close(&f);
}

static void verifiers_are_given_out(void)
{
	struct auth_verifier v, again;
	struct file_bed f;

	users_open(&f, (struct auth_users_config){ 0 });
	f.users->ops->verifier(f.users, SPAN("copier7"), &v);
	CHECK_INT(AUTH_ANSWER_RIGHT, v.answer);
	CHECK_INT(4096, v.iterations);
	CHECK_STR("copier7", v.identity.user);
	f.users->ops->verifier(f.users, SPAN("gone"), &v);
	CHECK_INT(AUTH_ANSWER_LOCKED, v.answer);
	f.users->ops->verifier(f.users, SPAN("nobody"), &v);
	CHECK_INT(AUTH_ANSWER_UNKNOWN_HERE, v.answer);
	CHECK_INT(AUTH_SCRAM_SALT, v.nsalt);
	CHECK_INT(AUTH_SCRAM_ITERATIONS, v.iterations);
	/* Of the file alone: so it is the same after a restart and on another node. */
	f.users->ops->free(f.users);
	const struct auth_users_config cfg = { .file = span_of(f.file) };
	NEED(auth_users_new(&cfg, &f.users, NULL) == 0);
	f.users->ops->verifier(f.users, SPAN("nobody"), &again);
	CHECK(memcmp(v.salt, again.salt, sizeof v.salt) == 0);
	f.users->ops->verifier(f.users, SPAN("nobody2"), &again);
	CHECK(memcmp(v.salt, again.salt, sizeof v.salt) != 0);
	users_close(&f);
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* One whose hash costs what ours do. */
static void add_real_user(struct file_bed *f)
{
	struct auth_user u = { .name = SPAN_INIT("real") };
	struct errtext e;

	NEED(auth_user_set_password(&u, SPAN("right")) == 0);
	auth_users_format_user(&u, &f->text);
	write_file(f);
	CHECK_INT(1, f->users->ops->refresh(f->users, &e));
}

static void a_password_that_was_right_costs_no_second_scrypt(void)
{
	struct file_bed f;

	users_open(&f, (struct auth_users_config){ 0 });
	add_real_user(&f);
	double t0 = seconds();
	CHECK_INT(AUTH_DONE, slow_auth(&f, "PLAIN", SPAN("\0real\0right")));
	const double first = seconds() - t0;
	t0 = seconds();
	for (int i = 0; i < 20; i++)
		CHECK_INT(AUTH_DONE, slow_auth(&f, "PLAIN", SPAN("\0real\0right")));
	const double twenty = seconds() - t0;
	if (twenty > 10 * first)
		FAIL("20 known ones took %.3f s, the first %.3f s", twenty, first);
	users_close(&f);
}

static void a_changed_file_counts_at_once(void)
{
	struct errtext e = { "" };
	struct file_bed f;

	users_open(&f, (struct auth_users_config){ 0 });
	CHECK_INT(0, f.users->ops->refresh(f.users, &e));
	CHECK_INT(AUTH_DONE, slow_auth(&f, "PLAIN", SPAN("\0copier7\0right")));
	buf_reset(&f.text);
	add_user(&f, "copier7", "other", false, "");
	write_file(&f);
	CHECK_INT(1, f.users->ops->refresh(f.users, &e));
	CHECK_INT(0, f.users->ops->refresh(f.users, &e));
	CHECK_INT(AUTH_REFUSED, slow_auth(&f, "PLAIN", SPAN("\0copier7\0right")));
	CHECK_INT(AUTH_DONE, slow_auth(&f, "PLAIN", SPAN("\0copier7\0other")));
	users_close(&f);
}

static void a_file_with_a_mistake_changes_nothing(void)
{
	struct errtext e = { "" };
	struct file_bed f;

	users_open(&f, (struct auth_users_config){ 0 });
	buf_reset(&f.text);
	buf_add_str(&f.text, "user x\n");
	write_file(&f);
	CHECK_INT(-ERR_SYNTAX, f.users->ops->refresh(f.users, &e));
	CHECK(span_ends(span_of(e.s), SPAN("users: line 1: a user without password= and scram=")));
	CHECK_INT(0, f.users->ops->refresh(f.users, &e)); /* told once */
	CHECK_INT(AUTH_DONE, slow_auth(&f, "PLAIN", SPAN("\0copier7\0right")));
	CHECK_INT(0, unlink(f.file));
	CHECK_INT(-ERR_NOTFOUND, f.users->ops->refresh(f.users, &e));
	CHECK_INT(0, f.users->ops->refresh(f.users, &e));
	CHECK_INT(AUTH_DONE, slow_auth(&f, "PLAIN", SPAN("\0copier7\0right")));
	buf_reset(&f.text);
	add_user(&f, "copier7", "other", false, "");
	write_file(&f);
	CHECK_INT(1, f.users->ops->refresh(f.users, &e));
	CHECK_INT(AUTH_DONE, slow_auth(&f, "PLAIN", SPAN("\0copier7\0other")));
	users_close(&f);
}

static void a_file_is_looked_at(void)
{
	struct errtext e = { "" };
	struct auth_backend *b = NULL;
	struct file_bed f;

	users_open(&f, (struct auth_users_config){ 0 });
	CHECK_INT(0, chmod(f.file, 0640));
	CHECK_INT(0, auth_users_look(f.file, &e));
	CHECK_INT(0, chmod(f.file, 0644));
	CHECK_INT(1, auth_users_look(f.file, &e));
	CHECK_INT(-ERR_INVAL, auth_users_look(f.dir, &e));
	CHECK_INT(-ERR_NOTFOUND,
		  auth_users_new(&(struct auth_users_config){ .file = SPAN_INIT("/nonexistent/users") }, &b,
				 &e));
	CHECK(!b);
	CHECK_STR("/nonexistent/users: No such file or directory", e.s);
	users_close(&f);
}

/* ---- many at once -------------------------------------------------------------------------------------- */

struct many {
	struct auth_exchange x[MANY];
	unsigned ended, done, refused, temporary;
};

static struct many *many; /* of the test that runs: an op knows its exchange only */

static void one_of_many_ended(struct op *op)
{
	const struct auth_exchange *x = container_of(op, struct auth_exchange, op);

	many->ended++;
	many->done += x->result == AUTH_DONE;
	many->refused += x->result == AUTH_REFUSED;
	many->temporary += x->result == AUTH_TEMPORARY;
}

static double cpu_seconds(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* MANY logins, all in one turn of the loop; @different: each with a password of its own. */
static void log_in_many(struct file_bed *f, bool different)
{
	struct bed *b = &f->bed;
	char plain[40];

	many = mem_alloc(sizeof *many);
	loop_set_resident(b->loop, true);
	for (int i = 0; i < MANY; i++) {
		int n = snprintf(plain, sizeof plain, "%ccopier7%cright", 0, 0);
		if (different)
			n = snprintf(plain, sizeof plain, "%ccopier7%cwrong%d", 0, 0, i);
		auth_exchange_init(&many->x[i], &b->server, &b->channel, one_of_many_ended);
		NEED(auth_exchange_start(&many->x[i], &b->scope, SPAN("PLAIN"),
					 span_of(bed_base64(b, span_make(plain, (size_t)n))),
					 EXCHANGE_BED_LONG_US) == 0);
	}
	CHECK_INT(0, many->ended);
	while (many->ended < MANY)
		loop_run_once(b->loop, true);
	for (int i = 0; i < MANY; i++)
		auth_exchange_deinit(&many->x[i]);
}

static void many_logins_leave_the_loop_free(void)
{
	struct file_bed f;

	users_open(&f, (struct auth_users_config){ 0 });
	const double loop_s = cpu_seconds(CLOCK_THREAD_CPUTIME_ID),
		     all_s = cpu_seconds(CLOCK_PROCESS_CPUTIME_ID);
	log_in_many(&f, true);
	const double loop_took = cpu_seconds(CLOCK_THREAD_CPUTIME_ID) - loop_s;
	const double all_took = cpu_seconds(CLOCK_PROCESS_CPUTIME_ID) - all_s;
	CHECK_INT(MANY, many->refused);
	if (loop_took > all_took / 2)
		FAIL("the loop took %.3f s of %.3f s", loop_took, all_took);
	free(many);
	users_close(&f);
}

static void many_logins_of_one_device_cost_few_hashes(void)
{
	struct file_bed f;

	users_open(&f, (struct auth_users_config){ 0 });
	double t = cpu_seconds(CLOCK_PROCESS_CPUTIME_ID);
	log_in_many(&f, true);
	const double different = cpu_seconds(CLOCK_PROCESS_CPUTIME_ID) - t;
	free(many);
	t = cpu_seconds(CLOCK_PROCESS_CPUTIME_ID);
	log_in_many(&f, false);
	const double same = cpu_seconds(CLOCK_PROCESS_CPUTIME_ID) - t;
	CHECK_INT(MANY, many->done);
	if (same > different / 2)
		FAIL("%d of one password took %.3f s, of different ones %.3f s", MANY, same, different);
	free(many);
	users_close(&f);
}

static void more_than_the_queue_holds_is_temporary(void)
{
	struct file_bed f;

	users_open(&f, (struct auth_users_config){ .threads = 1, .queue_max = 1 });
	log_in_many(&f, true);
	CHECK(many->refused >= 1 && many->temporary >= 1);
	CHECK_INT(MANY, many->refused + many->temporary);
	free(many);
	users_close(&f);
}

static void a_scope_may_close_meanwhile(void)
{
	struct file_bed f;

	users_open(&f, (struct auth_users_config){ .threads = 1 });
	struct bed *b = &f.bed;
	loop_set_resident(b->loop, true);
	NEED(auth_exchange_start(&b->x, &b->scope, SPAN("PLAIN"),
				 span_of(bed_base64(b, SPAN("\0copier7\0right"))),
				 EXCHANGE_BED_LONG_US) == 0);
	scope_close(&b->scope);
	while (!b->closed)
		loop_run_once(b->loop, true);
	CHECK(b->done);
	CHECK_INT(AUTH_TEMPORARY, b->x.result);
	CHECK_INT(-ERR_CANCELED, b->x.op.status);
	users_close(&f);
}

static void a_deadline_is_temporary(void)
{
	struct file_bed f;

	users_open(&f, (struct auth_users_config){ .timeout_us = 1000 });
	add_real_user(&f);
	CHECK_INT(AUTH_TEMPORARY, slow_auth(&f, "PLAIN", SPAN("\0real\0right")));
	CHECK_INT(AUTH_ANSWER_TEMPFAIL, f.bed.x.answer);
	users_close(&f);
}

TEST_MAIN(TEST(passwords_are_checked), TEST(who_is_not_here_is_another_backends),
	  TEST(aliases_and_principals), TEST(verifiers_are_given_out),
	  TEST(a_password_that_was_right_costs_no_second_scrypt), TEST(a_changed_file_counts_at_once),
	  TEST(a_file_with_a_mistake_changes_nothing), TEST(a_file_is_looked_at),
	  TEST(many_logins_leave_the_loop_free), TEST(many_logins_of_one_device_cost_few_hashes),
	  TEST(more_than_the_queue_holds_is_temporary), TEST(a_scope_may_close_meanwhile),
	  TEST(a_deadline_is_temporary))
