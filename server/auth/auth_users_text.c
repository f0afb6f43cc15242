/* Lines of the user file, written. */
#include "auth/auth_users_file.h"
#include "base/base64.h"
#include "base/rfc3339.h"

static bool needs_quotes(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= 0x20 || s.p[i] >= 0x7f || s.p[i] == '"' || s.p[i] == '\\')
			return true;
	return false;
}

static void add_value(struct buf *out, struct span s)
{
	if (!needs_quotes(s)) {
		buf_add_span(out, s);
		return;
	}
	buf_add_char(out, '"');
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\')
			buf_add_char(out, '\\');
		buf_add_char(out, s.p[i]);
	}
	buf_add_char(out, '"');
}

static void add_field(struct buf *out, const char *key, struct span value)
{
	if (!value.n)
		return;
	buf_add_char(out, ' ');
	buf_add_str(out, key);
	buf_add_char(out, '=');
	add_value(out, value);
}

static void add_time(struct buf *out, const char *key, int64_t at_s)
{
	const struct rfc3339_text text = rfc3339_format(at_s);

	if (at_s > 0)
		add_field(out, key, span_of(text.s));
}

void auth_users_format_user(const struct auth_user *u, struct buf *out)
{
	buf_add_str(out, "user ");
	add_value(out, u->name);
	if (u->hash.log_n) {
		buf_add_str(out, " password=");
		auth_user_hash_format(&u->hash, out);
	}
	if (u->scram.iterations) {
		buf_add_str(out, " scram=");
		auth_user_scram_format(&u->scram, out);
	}
	if (u->disabled)
		buf_add_str(out, " disabled");
	add_time(out, "created", u->created_s);
	add_time(out, "changed", u->changed_s);
	add_field(out, "principal", u->principal);
	add_field(out, "comment", u->comment);
	buf_add_char(out, '\n');
}

void auth_users_format_alias(const struct auth_users_entry *a, struct buf *out)
{
	buf_add_str(out, "alias ");
	add_value(out, a->user.name);
	add_field(out, "to", a->to);
	add_time(out, "created", a->user.created_s);
	add_field(out, "comment", a->user.comment);
	buf_add_char(out, '\n');
}

void auth_users_format_head(const uint8_t key[AUTH_USERS_KEY], struct buf *out)
{
	buf_add_str(
		out,
		"# Users of Postern. `postern user` changes this file, under a lock; comments stay.\n"
		"# The hashes are not the passwords, but who has them can try passwords at leisure: keep them private.\n"
		"key ");
	base64_encode(out, span_make(key, AUTH_USERS_KEY));
	buf_add_char(out, '\n');
}

void auth_users_replace(const struct auth_users_table *t, const struct auth_users_entry *entry,
			struct span line, struct buf *out)
{
	const struct span text = t->text;

	if (!entry) {
		buf_add_span(out, text);
		if (text.n && text.p[text.n - 1] != '\n')
			buf_add_char(out, '\n');
		buf_add_span(out, line);
		return;
	}
	const size_t at = (size_t)(entry->source.p - text.p);
	buf_add_span(out, span_first(text, at));
	buf_add_span(out, line);
	buf_add_span(out, span_skip(text, at + entry->source.n));
}
