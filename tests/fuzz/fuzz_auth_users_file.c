/* User files: what is taken is written and read again as the same, and taking an entry out and putting it back changes nothing else. */
#include <stdint.h>
#include <stdlib.h>

#include "auth/auth_users_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(x)                                                                                              \
	do {                                                                                                 \
		if (!(x))                                                                                    \
			abort();                                                                             \
	} while (0)

static void format(const struct auth_users_entry *en, struct buf *out)
{
	if (en->is_alias)
		auth_users_format_alias(en, out);
	else
		auth_users_format_user(&en->user, out);
	MUST(!out->overflow);
}

static void same(const struct auth_users_entry *a, const struct auth_users_entry *b)
{
	MUST(a->is_alias == b->is_alias && span_eq(a->to, b->to) && a->user.disabled == b->user.disabled);
	MUST(span_eq(a->user.principal, b->user.principal) && span_eq(a->user.comment, b->user.comment));
	MUST(a->user.created_s == b->user.created_s && a->user.changed_s == b->user.changed_s);
	MUST(memcmp(&a->user.hash, &b->user.hash, sizeof a->user.hash) == 0);
	MUST(memcmp(&a->user.scram, &b->user.scram, sizeof a->user.scram) == 0);
}

static void rewrite(const struct auth_users_table *t, const struct auth_users_entry *en)
{
	struct buf line = BUF_INIT(1 << 20), text = BUF_INIT(1 << 20);
	struct auth_users_table *again = NULL;

	format(en, &line);
	auth_users_replace(t, en, buf_span(&line), &text);
	if (line.n <= AUTH_USERS_LINE_MAX) { /* quotes may have made it longer */
		MUST(auth_users_parse(buf_span(&text), &again, NULL) == 0);
		const struct auth_users_entry *found = auth_users_find(again, en->user.name);
		MUST(found && again->names.n == t->names.n);
		same(en, found);
		auth_users_table_free(&again);
	}
	buf_free(&line);
	buf_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct auth_users_table *t = NULL;
	struct errtext e = { "" };
	unsigned n = 0;

	if (auth_users_parse(span_make(data, size), &t, &e) < 0) {
		MUST(!t && e.s[0]);
		return 0;
	}
	list_for_each(link, &t->entries) {
		const struct auth_users_entry *en = list_entry(link, struct auth_users_entry, link);
		MUST(auth_users_find(t, en->user.name) == en && auth_user_is_name(en->user.name));
		if (n++ < 4)
			rewrite(t, en);
	}
	auth_users_table_free(&t);
	return 0;
}
