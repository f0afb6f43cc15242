/* JSON in: brackets come in pairs, keys come before values and only in objects, strings are UTF-8, and mistakes are
 * inside of the text. */
#include <stdint.h>

#include "base/check.h"
#include "base/json_parse.h"
#include "base/utf8.h"

struct heard {
	char open[JSON_DEPTH_MAX];
	size_t depth;
	bool key;
	unsigned values;
};

static void value(struct heard *h)
{
	const bool in_object = h->depth && h->open[h->depth - 1] == '{';

	require(in_object == h->key);
	h->key = false;
	h->values += h->depth == 0;
}

static int hear(void *arg, const struct json_token *t)
{
	struct heard *h = arg;

	switch (t->event) {
	case JSON_OBJECT:
	case JSON_ARRAY:
		value(h);
		require(h->depth < JSON_DEPTH_MAX);
		h->open[h->depth++] = t->event == JSON_OBJECT ? '{' : '[';
		break;
	case JSON_OBJECT_END:
	case JSON_ARRAY_END:
		require(h->depth && !h->key &&
			h->open[h->depth - 1] == (t->event == JSON_OBJECT_END ? '{' : '['));
		h->depth--;
		break;
	case JSON_KEY:
		require(!h->key && h->depth && h->open[h->depth - 1] == '{');
		require(utf8_valid(t->string));
		h->key = true;
		break;
	case JSON_STRING:
		require(utf8_valid(t->string));
		value(h);
		break;
	case JSON_NULL:
	case JSON_BOOL:
	case JSON_NUMBER:
		value(h);
		break;
	}
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct heard h = { .depth = 0 };
	const char *why = NULL;
	size_t at = 0;
	const int r = json_parse(span_make(data, size), hear, &h, &at, &why);

	if (r == 0)
		require(h.depth == 0 && h.values == 1);
	else
		require(why && at <= size);
	return 0;
}
