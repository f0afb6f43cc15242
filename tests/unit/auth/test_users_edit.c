#include "auth/auth_users_edit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth/auth_users.h"
#include "test.h"

struct bed {
	char dir[64], file[100];
	struct errtext e;
};

static void bed_open(struct bed *b)
{
	*b = (struct bed){ .dir = "/tmp/postern-edit-XXXXXX" };
	NEED(mkdtemp(b->dir));
	snprintf(b->file, sizeof b->file, "%s/users", b->dir);
}

static void bed_close(struct bed *b)
{
	(void)unlink(b->file);
	CHECK_INT(0, rmdir(b->dir)); /* nothing else was left there */
}

static struct auth_users_edit *edit(struct bed *b, bool may_create)
{
	struct auth_users_edit *ed = NULL;

	if (auth_users_edit_open(b->file, may_create, &ed, &b->e) < 0)
		FAIL("%s", b->e.s);
	NEED(ed);
	return ed;
}

static void commit(struct bed *b, struct auth_users_edit *ed)
{
	if (auth_users_edit_commit(ed, &b->e) < 0)
		FAIL("%s", b->e.s);
	auth_users_edit_close(&ed);
}

static void add_user(struct auth_users_edit *ed, const char *name, const char *comment)
{
	struct errtext e = { "" };
	const struct auth_user u = { .name = span_of(name),
				     .comment = span_of(comment),
				     .hash = { .log_n = 4, .r = 8, .p = 1, .nsalt = 8 } };

	if (auth_users_edit_user(ed, &u, &e) < 0)
		FAIL("%s", e.s);
}

static void add_alias(struct auth_users_edit *ed, const char *name, const char *to)
{
	struct errtext e = { "" };
	const struct auth_users_entry a = { .is_alias = true,
					    .user = { .name = span_of(name) },
					    .to = span_of(to) };

	if (auth_users_edit_alias(ed, &a, &e) < 0)
		FAIL("%s", e.s);
}

static const struct auth_users_entry *find(struct auth_users_edit *ed, const char *name)
{
	return auth_users_find(auth_users_edit_table(ed), span_of(name));
}

static void a_new_file_has_a_key_and_is_private(void)
{
	struct auth_users_table *t = NULL;
	struct stat st;
	struct bed b;

	bed_open(&b);
	struct auth_users_edit *ed = edit(&b, true);
	add_user(ed, "copier7", "3rd floor");
	CHECK(access(b.file, F_OK) < 0); /* not before it is committed */
	commit(&b, ed);
	CHECK_INT(0, stat(b.file, &st));
	CHECK_INT(0640, st.st_mode & 07777);
	CHECK_INT(0, auth_users_read(b.file, &t, &b.e));
	NEED(t);
	CHECK(t->has_key);
	CHECK(auth_users_find(t, SPAN("copier7")) != NULL);
	auth_users_table_free(&t);
	bed_close(&b);
}

static void mode_links_and_comments_stay(void)
{
	char link[120];
	struct stat st;
	struct bed b;

	bed_open(&b);
	FILE *f = fopen(b.file, "w");
	NEED(f);
	fputs("# ours\nalias a to=b\n# end\n", f);
	NEED(fclose(f) == 0);
	CHECK_INT(0, chmod(b.file, 0604));
	snprintf(link, sizeof link, "%s/link", b.dir);
	CHECK_INT(0, symlink("users", link));
	struct auth_users_edit *ed = NULL;
	NEED(auth_users_edit_open(link, false, &ed, &b.e) == 0);
	add_alias(ed, "a", "c");
	add_alias(ed, "x", "y");
	CHECK_SPAN("# ours\nalias a to=c\n# end\nalias x to=y\n", auth_users_edit_table(ed)->text);
	commit(&b, ed);
	CHECK_INT(0, lstat(link, &st));
	CHECK(S_ISLNK(st.st_mode));
	CHECK_INT(0, stat(b.file, &st));
	CHECK_INT(0604, st.st_mode & 07777);
	CHECK_INT(0, unlink(link));
	bed_close(&b);
}

static void users_and_aliases_come_and_go(void)
{
	struct bed b;

	bed_open(&b);
	struct auth_users_edit *ed = edit(&b, true);
	add_user(ed, "one", "");
	add_user(ed, "two", "");
	add_alias(ed, "1", "one");
	add_alias(ed, "i", "one");
	add_alias(ed, "2", "two");
	struct auth_user u = find(ed, "two")->user;
	u.disabled = true; /* its spans are of the table */
	CHECK_INT(0, auth_users_edit_user(ed, &u, &b.e));
	CHECK(find(ed, "two")->user.disabled);
	CHECK_INT(3, auth_users_edit_remove(ed, SPAN("one"), &b.e));
	CHECK(!find(ed, "one") && !find(ed, "1") && !find(ed, "i") && find(ed, "2"));
	CHECK_INT(1, auth_users_edit_remove(ed, SPAN("2"), &b.e));
	CHECK(find(ed, "two") != NULL);
	CHECK_INT(-ERR_NOTFOUND, auth_users_edit_remove(ed, SPAN("2"), &b.e));
	CHECK_STR("there is no user \"2\"", b.e.s);
	add_alias(ed, "2", "two");
	CHECK_INT(-ERR_EXISTS, auth_users_edit_user(ed, &(struct auth_user){ .name = SPAN_INIT("2") }, &b.e));
	CHECK_STR("\"2\" is an alias already", b.e.s);
	CHECK_INT(-ERR_EXISTS,
		  auth_users_edit_alias(
			  ed,
			  &(struct auth_users_entry){ .user.name = SPAN_INIT("two"), .to = SPAN_INIT("x") },
			  &b.e));
	CHECK_INT(0, auth_users_edit_append(ed, SPAN("alias p to=q\nalias r to=s\n"), &b.e));
	CHECK(find(ed, "r") != NULL);
	auth_users_edit_close(&ed); /* and nothing happened */
	bed_close(&b);
}

static void what_could_not_be_read_is_not_written(void)
{
	struct bed b;

	bed_open(&b);
	struct auth_users_edit *ed = edit(&b, true);
	CHECK(auth_users_edit_user(ed, &(struct auth_user){ .name = SPAN_INIT("x") }, &b.e) <
	      0); /* no password */
	CHECK(auth_users_edit_user(ed, &(struct auth_user){ .name = SPAN_INIT("a\nb"), .hash.log_n = 4 },
				   &b.e) < 0);
	CHECK(auth_users_edit_append(ed, SPAN("user\n"), &b.e) < 0);
	CHECK(!find(ed, "x"));
	auth_users_edit_close(&ed);
	CHECK_INT(-ERR_NOTFOUND, auth_users_edit_open(b.file, false, &ed, &b.e));
	CHECK(!ed);
	CHECK_INT(-ERR_NOTFOUND, auth_users_edit_open("/nonexistent/users", true, &ed, &b.e));
	bed_close(&b);
}

struct other {
	struct bed *b;
	atomic_bool has_it;
};

static void *wants_it(void *arg)
{
	struct other *o = arg;
	struct auth_users_edit *ed = NULL;
	struct errtext e;

	if (auth_users_edit_open(o->b->file, true, &ed, &e) == 0) {
		atomic_store(&o->has_it, true);
		add_user(ed, "second", "");
		(void)auth_users_edit_commit(ed, &e);
		auth_users_edit_close(&ed);
	}
	return NULL;
}

static void two_at_once_lose_nothing(void)
{
	struct bed b;
	struct other o = { .b = &b };
	pthread_t thread;

	bed_open(&b);
	struct auth_users_edit *ed = edit(&b, true);
	NEED(pthread_create(&thread, NULL, wants_it, &o) == 0);
	usleep(120 * 1000);
	CHECK(!atomic_load(&o.has_it));
	add_user(ed, "first", "");
	commit(&b, ed);
	pthread_join(thread, NULL);
	CHECK(atomic_load(&o.has_it));
	ed = edit(&b, false);
	CHECK(find(ed, "first") && find(ed, "second"));
	auth_users_edit_close(&ed);
	bed_close(&b);
}

TEST_MAIN(TEST(a_new_file_has_a_key_and_is_private), TEST(mode_links_and_comments_stay),
	  TEST(users_and_aliases_come_and_go), TEST(what_could_not_be_read_is_not_written),
	  TEST(two_at_once_lose_nothing))
