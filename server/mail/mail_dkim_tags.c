#include "mail/mail_dkim_tags.h"

#include "base/base64.h"
#include "mail/mail_char.h"

/* tag-name = ALPHA *(ALPHA / DIGIT / "_") */
static bool name_ok(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!ascii_is_alnum(s.p[i]) && s.p[i] != '_')
			return false;
	return s.n > 0 && ascii_is_alpha(s.p[0]);
}

static bool value_ok(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (mail_is_control(s.p[i]) && !mail_is_space(s.p[i]))
			return false;
	return true;
}

static int add_tag(struct mail_dkim_tags *tags, struct span spec)
{
	const ptrdiff_t equals = span_find_char(spec, '=');

	if (equals < 0)
		return -ERR_SYNTAX;
	const struct span name = mail_trim(span_first(spec, (size_t)equals));
	const struct span value = mail_trim(span_skip(spec, (size_t)equals + 1));
	if (!name_ok(name) || !value_ok(value))
		return -ERR_SYNTAX;
	for (size_t i = 0; i < tags->n; i++)
		if (span_eq(tags->v[i].name, name))
			return -ERR_SYNTAX;
	if (tags->n == MAIL_DKIM_TAGS_MAX)
		return -ERR_TOOBIG;
	tags->v[tags->n++] = (struct mail_dkim_tag){ name, value };
	return 0;
}

int mail_dkim_tags_parse(struct span text, struct mail_dkim_tags *tags_r)
{
	struct mail_dkim_tags tags = { .n = 0 };

	while (text.p) {
		const struct span spec = span_cut(&text, ';');
		/* The last ";" may have nothing behind it. */
		if (!text.p && tags.n && mail_trim(spec).n == 0)
			break;
		const int err = add_tag(&tags, spec);
		if (err < 0)
			return err;
	}
	if (tags.n == 0)
		return -ERR_SYNTAX;
	*tags_r = tags;
	return 0;
}

const struct mail_dkim_tag *mail_dkim_tags_find(const struct mail_dkim_tags *tags, const char *name)
{
	for (size_t i = 0; i < tags->n; i++)
		if (span_eq(tags->v[i].name, span_of(name)))
			return &tags->v[i];
	return NULL;
}

struct span mail_dkim_tags_value(const struct mail_dkim_tags *tags, const char *name)
{
	const struct mail_dkim_tag *tag = mail_dkim_tags_find(tags, name);

	return tag ? tag->value : (struct span){ NULL, 0 };
}

struct span mail_dkim_list_next(struct span *value, char sep)
{
	return value->p ? mail_trim(span_cut(value, sep)) : (struct span){ NULL, 0 };
}

int mail_dkim_base64(struct arena *a, struct span value, struct span *octets_r)
{
	struct buf packed = BUF_INIT(value.n), octets = BUF_INIT(value.n);
	int err = 0;

	for (size_t i = 0; i < value.n; i++)
		if (!mail_is_space(value.p[i]))
			buf_add_char(&packed, value.p[i]);
	err = base64_decode(&octets, buf_span(&packed));
	if (err == 0) {
		const struct span copy = arena_dup(a, buf_span(&octets));
		if (copy.p)
			*octets_r = copy;
		else
			err = -ERR_TOOBIG;
	}
	buf_free(&packed);
	buf_free(&octets);
	return err;
}

int mail_dkim_number(struct span value, uint64_t *v_r)
{
	return span_to_u64(value, INT64_MAX, v_r) ? 0 : -ERR_SYNTAX;
}
