#include "auth/auth_users_file.h"

#include <stdlib.h>

#include "base/base64.h"
#include "base/mem.h"
#include "base/rfc3339.h"
#include "base/utf8.h"

enum { MEM_MAX = 256 << 20, COMMENT_MAX = 512 };

/* ---- words --------------------------------------------------------------------------------------------- */

struct parser {
	struct auth_users_table *t;
	struct errtext *e;
	unsigned line;
	size_t entries;
};

static int wrong(const struct parser *p, int err, const char *what)
{
	return errtext_set(p->e, err, "line %u: %s", p->line, what);
}

/* Only of a word that is known to be no part of a hash or a password: a cut line, or the wrong file, may have those anywhere. */
static int wrong_word(const struct parser *p, const char *what, struct span word)
{
	return errtext_set(p->e, ERR_SYNTAX, "line %u: %s \"%.*s\"", p->line, what,
			   SPAN_ARG(span_first(word, 60)));
}

static bool is_plain(char c)
{
	return c > 0x20 && c < 0x7f && c != '"' && c != '\\';
}

static void skip_spaces(struct span *s)
{
	while (s->n && (s->p[0] == ' ' || s->p[0] == '\t'))
		*s = span_skip(*s, 1);
}

/* "..." at the front of *s; without its quotes and escapes. */
static int take_quoted(struct parser *p, struct span *s, struct span *value_r)
{
	struct buf text = BUF_INIT(AUTH_USERS_LINE_MAX);
	size_t i = 1;
	int err = 0;

	for (; err == 0 && i < s->n && s->p[i] != '"'; i++) {
		if (s->p[i] == '\\' && i + 1 < s->n && (s->p[i + 1] == '"' || s->p[i + 1] == '\\'))
			i++;
		else if (s->p[i] == '\\')
			err = wrong(p, ERR_SYNTAX, "a backslash in quotes stands before \" or \\ only");
		buf_add_char(&text, s->p[i]);
	}
	if (err == 0 && i >= s->n)
		err = wrong(p, ERR_SYNTAX, "a quote is not closed");
	if (err == 0) {
		*value_r = arena_dup(p->t->mem, buf_span(&text));
		*s = span_skip(*s, i + 1);
		err = value_r->p ? 0 : wrong(p, ERR_TOOBIG, "the file is too large");
	}
	buf_free(&text);
	return err;
}

static int take_value(struct parser *p, struct span *s, struct span *value_r)
{
	size_t n = 0;

	if (s->n && s->p[0] == '"') {
		const int err = take_quoted(p, s, value_r);
		if (err < 0)
			return err;
	} else {
		while (n < s->n && is_plain(s->p[n]))
			n++;
		*value_r = span_first(*s, n);
		*s = span_skip(*s, n);
	}
	if (s->n && s->p[0] != ' ' && s->p[0] != '\t')
		return wrong(p, ERR_SYNTAX, "a space is missing behind a value");
	skip_spaces(s);
	return value_r->n ? 0 : wrong(p, ERR_SYNTAX, "a value is empty");
}

/* "key=value" or "key", then value_r->p is NULL. */
static int take_field(struct parser *p, struct span *s, struct span *key_r, struct span *value_r)
{
	size_t n = 0;

	while (n < s->n && s->p[n] >= 'a' && s->p[n] <= 'z')
		n++;
	*key_r = span_first(*s, n);
	*value_r = (struct span){ NULL, 0 };
	if (n < s->n && s->p[n] == '=') {
		*s = span_skip(*s, n + 1);
		return take_value(p, s, value_r);
	}
	if (n == 0 || (n < s->n && s->p[n] != ' ' && s->p[n] != '\t'))
		return wrong(p, ERR_SYNTAX, "not a field");
	*s = span_skip(*s, n);
	skip_spaces(s);
	return 0;
}

/* ---- fields -------------------------------------------------------------------------------------------- */

enum field {
	FIELD_PASSWORD,
	FIELD_SCRAM,
	FIELD_CREATED,
	FIELD_CHANGED,
	FIELD_DISABLED,
	FIELD_PRINCIPAL,
	FIELD_COMMENT,
	FIELD_TO,
	FIELD_MAX_
};

static const char *const field_names[] = {
	[FIELD_PASSWORD] = "password", [FIELD_SCRAM] = "scram",
	[FIELD_CREATED] = "created",   [FIELD_CHANGED] = "changed",
	[FIELD_DISABLED] = "disabled", [FIELD_PRINCIPAL] = "principal",
	[FIELD_COMMENT] = "comment",   [FIELD_TO] = "to",
};

enum {
	FIELDS_USER = (1 << FIELD_TO) - 1,
	FIELDS_ALIAS = 1 << FIELD_TO | 1 << FIELD_CREATED | 1 << FIELD_COMMENT,
};

static bool is_text(struct span s, size_t max)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
			return false;
	return s.n <= max && utf8_valid(s);
}

static int take_time(const struct parser *p, struct span value, int64_t *at_s)
{
	/* What can be written again: an offset may lead out of the years that can. */
	if (!rfc3339_parse(value, at_s) || !rfc3339_format(*at_s).s[0])
		return wrong_word(p, "not a time (2026-12-31T23:59:59Z):", value);
	return 0;
}

static int set_field(const struct parser *p, struct auth_users_entry *en, enum field field, struct span value)
{
	struct auth_user *u = &en->user;
	int err = 0;

	switch (field) {
	case FIELD_PASSWORD:
		err = auth_user_hash_parse(value, &u->hash);
		break;
	case FIELD_SCRAM:
		err = auth_user_scram_parse(value, &u->scram);
		break;
	case FIELD_CREATED:
		return take_time(p, value, &u->created_s);
	case FIELD_CHANGED:
		return take_time(p, value, &u->changed_s);
	case FIELD_DISABLED:
		u->disabled = true;
		return 0;
	case FIELD_PRINCIPAL:
		u->principal = value;
		return is_text(value, AUTH_USER_MAX - 1) ? 0 : wrong_word(p, "not a principal:", value);
	case FIELD_TO:
		en->to = value;
		return is_text(value, AUTH_USER_MAX - 1) ? 0 : wrong_word(p, "not a name:", value);
	default:
		u->comment = value;
		return is_text(value, COMMENT_MAX)
			       ? 0
			       : wrong(p, ERR_SYNTAX, "the comment is too long, or no UTF-8");
	}
	/* What was there is not repeated: it is as good as a password. */
	if (err == -ERR_TOOBIG)
		return wrong(p, ERR_TOOBIG, "the cost of the hash is out of bounds");
	return err < 0 ? wrong(p, ERR_SYNTAX,
			       field == FIELD_SCRAM ? "scram= is damaged" : "password= is damaged")
		       : 0;
}

static int take_fields(struct parser *p, struct span s, struct auth_users_entry *en, unsigned allowed)
{
	unsigned seen = 0;

	while (s.n) {
		struct span key, value;
		int err = take_field(p, &s, &key, &value);
		unsigned f = 0;
		if (err < 0)
			return err;
		while (f < FIELD_MAX_ && !span_eq(key, span_of(field_names[f])))
			f++;
		if (f == FIELD_MAX_)
			return wrong(p, ERR_SYNTAX, "no such field");
		if (!(allowed >> f & 1))
			return wrong_word(p, "no such field:", key);
		if (seen >> f & 1)
			return wrong_word(p, "given twice:", key);
		seen |= 1u << f;
		if ((value.p == NULL) != (f == FIELD_DISABLED))
			return wrong_word(p, value.p ? "takes no value:" : "wants a value:", key);
		err = set_field(p, en, (enum field)f, value);
		if (err < 0)
			return err;
	}
	return 0;
}

/* ---- lines --------------------------------------------------------------------------------------------- */

static int take_entry(struct parser *p, struct span rest, struct span source, bool is_alias)
{
	struct auth_users_entry *en = arena_new_of(p->t->mem, struct auth_users_entry);
	int err;

	if (!en || ++p->entries > AUTH_USERS_MAX)
		return wrong(p, ERR_TOOBIG, "too many users");
	*en = (struct auth_users_entry){ .is_alias = is_alias, .line = p->line, .source = source };
	list_init(&en->link);
	err = take_value(p, &rest, &en->user.name);
	if (err < 0)
		return err;
	if (!auth_user_is_name(en->user.name))
		return wrong_word(p, "not a name, or not in its prepared form (RFC 4013):", en->user.name);
	err = take_fields(p, rest, en, is_alias ? FIELDS_ALIAS : FIELDS_USER);
	if (err < 0)
		return err;
	if (is_alias && !en->to.p)
		return wrong(p, ERR_SYNTAX, "an alias without to=");
	if (!is_alias && !en->user.hash.log_n && !en->user.scram.iterations)
		return wrong(p, ERR_SYNTAX, "a user without password= and scram=");
	if (!map_put(&p->t->names, &en->node, en->user.name)) {
		const struct auth_users_entry *other = auth_users_find(p->t, en->user.name);
		return errtext_set(p->e, ERR_EXISTS, "line %u: \"%.*s\" is in line %u already", p->line,
				   SPAN_ARG(span_first(en->user.name, 60)), other->line);
	}
	list_push_back(&p->t->entries, &en->link);
	return 0;
}

static int take_key(struct parser *p, struct span rest)
{
	struct buf octets = BUF_INIT(AUTH_USERS_KEY + 3);
	struct span value;
	int err = take_value(p, &rest, &value);

	if (err == 0 &&
	    (rest.n || p->t->has_key || base64_decode(&octets, value) < 0 || octets.n != AUTH_USERS_KEY))
		err = wrong(p, ERR_SYNTAX, "the file has one key, of 32 octets in base64");
	if (err == 0) {
		memcpy(p->t->key, octets.p, AUTH_USERS_KEY);
		p->t->has_key = true;
	}
	buf_free(&octets);
	return err;
}

static int take_line(struct parser *p, struct span line, struct span source)
{
	struct span rest = line;

	if (line.n > AUTH_USERS_LINE_MAX)
		return wrong(p, ERR_TOOBIG, "the line is too long");
	skip_spaces(&rest);
	if (!rest.n || rest.p[0] == '#')
		return 0;
	const struct span word = span_cut(&rest, ' ');
	if (!rest.p)
		rest = SPAN("");
	skip_spaces(&rest);
	if (span_eq(word, SPAN("user")))
		return take_entry(p, rest, source, false);
	if (span_eq(word, SPAN("alias")))
		return take_entry(p, rest, source, true);
	if (span_eq(word, SPAN("key")))
		return take_key(p, rest);
	return wrong(p, ERR_SYNTAX, "a line begins with \"user\", \"alias\", \"key\" or \"#\"");
}

/* An alias of an alias would be a chain, and chains can be rings. */
static int check_aliases(struct parser *p)
{
	list_for_each(link, &p->t->entries) {
		const struct auth_users_entry *a = list_entry(link, struct auth_users_entry, link);
		const struct auth_users_entry *to = a->is_alias ? auth_users_find(p->t, a->to) : NULL;
		if (to && to->is_alias)
			return errtext_set(p->e, ERR_SYNTAX, "line %u: \"%.*s\" is an alias itself", a->line,
					   SPAN_ARG(span_first(a->to, 60)));
	}
	return 0;
}

int auth_users_parse(struct span text, struct auth_users_table **t_r, struct errtext *e)
{
	struct auth_users_table *t;
	struct parser p = { .e = e };
	int err = 0;

	if (text.n > AUTH_USERS_FILE_MAX)
		return errtext_set(e, ERR_TOOBIG, "over %d octets", AUTH_USERS_FILE_MAX);
	t = mem_alloc(sizeof *t);
	t->mem = arena_new(MEM_MAX);
	map_init(&t->names);
	list_init(&t->entries);
	t->text = arena_dup(t->mem, text);
	p.t = t;
	for (struct span rest = t->text; err == 0 && rest.n;) {
		const char *at = rest.p;
		struct span line = span_cut(&rest, '\n');
		const struct span source = span_make(at, line.n + (rest.p != NULL));
		if (line.n && line.p[line.n - 1] == '\r')
			line.n--;
		p.line++;
		err = take_line(&p, line, source);
	}
	if (err == 0)
		err = check_aliases(&p);
	if (err < 0)
		auth_users_table_free(&t);
	else
		*t_r = t;
	return err;
}

void auth_users_table_free(struct auth_users_table **tp)
{
	struct auth_users_table *t = *tp;

	if (!t)
		return;
	*tp = NULL;
	map_deinit(&t->names);
	arena_free(&t->mem);
	mem_wipe(t->key, sizeof t->key);
	free(t);
}

const struct auth_users_entry *auth_users_find(const struct auth_users_table *t, struct span name)
{
	const struct map_node *node = map_get(&t->names, name);

	return node ? map_entry(node, const struct auth_users_entry, node) : NULL;
}
