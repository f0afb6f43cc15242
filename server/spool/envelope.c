#include "spool/envelope.h"

#include <endian.h>
#include <stddef.h>
#include <string.h>

#include "base/check.h"
#include "base/err.h"

/* A field is a 32-bit word, the tag in its low 8 bits and the length of the value above, and then the value. Tags are on disk
 * for ever: schema/spool-v1.md, "meta". 0 is no tag. */
enum { WORD_OCTETS = 4, LENGTH_MAX = 0xffffff, TAG_RCPT = 32 };

enum kind { KIND_U8, KIND_U32, KIND_I64, KIND_SPAN, KIND_IP };

struct field {
	uint8_t tag, kind;
	uint16_t at; /* offset in the struct */
};

#define FIELD(type, tag, kind, member)                                                                       \
	{                                                                                                    \
		tag, KIND_##kind, offsetof(struct type, member)                                              \
	}

static const struct field envelope_fields[] = {
	FIELD(envelope, 1, U32, flags),         FIELD(envelope, 2, I64, arrived_at_us),
	FIELD(envelope, 3, I64, deliver_by_us), FIELD(envelope, 4, SPAN, sender),
	FIELD(envelope, 5, SPAN, envid),        FIELD(envelope, 6, SPAN, session),
	FIELD(envelope, 7, SPAN, device),       FIELD(envelope, 8, SPAN, listener),
	FIELD(envelope, 9, SPAN, helo),         FIELD(envelope, 10, SPAN, client_name),
	FIELD(envelope, 11, SPAN, protocol),    FIELD(envelope, 12, IP, client),
	FIELD(envelope, 13, SPAN, vars),        FIELD(envelope, 14, SPAN, hold_reason),
	FIELD(envelope, 15, SPAN, message_id),  FIELD(envelope, 16, SPAN, subject),
};

/* The domain is not written: it is what follows the last "@" of the address. */
static const struct field rcpt_fields[] = {
	FIELD(envelope_rcpt, 1, SPAN, address),
	FIELD(envelope_rcpt, 2, SPAN, orcpt),
	FIELD(envelope_rcpt, 3, SPAN, route),
	FIELD(envelope_rcpt, 4, U8, notify),
};

struct table {
	const struct field *v;
	size_t n;
};

static const struct table envelope_table = { envelope_fields, ARRAY_LEN(envelope_fields) };
static const struct table rcpt_table = { rcpt_fields, ARRAY_LEN(rcpt_fields) };

/* ---- writing -------------------------------------------------------------------------------------------------- */

static bool add_word(struct buf *out, uint8_t tag, size_t length)
{
	const uint32_t word = htole32((uint32_t)length << 8 | tag);

	return length <= LENGTH_MAX && buf_add(out, &word, sizeof word);
}

static bool add_value(struct buf *out, uint8_t tag, const void *p, size_t n)
{
	return add_word(out, tag, n) && buf_add(out, p, n);
}

/* Zero and the empty span are what the reader assumes: not written. */
static bool add_field(struct buf *out, const struct field *f, const void *in)
{
	const char *at = (const char *)in + f->at;
	uint32_t u32;
	int64_t i64;
	struct span text;
	struct ip_addr ip;

	switch ((enum kind)f->kind) {
	case KIND_U8:
		return !*at || add_value(out, f->tag, at, 1);
	case KIND_U32:
		memcpy(&u32, at, sizeof u32);
		u32 = htole32(u32);
		return !u32 || add_value(out, f->tag, &u32, sizeof u32);
	case KIND_I64:
		memcpy(&i64, at, sizeof i64);
		i64 = (int64_t)htole64((uint64_t)i64);
		return !i64 || add_value(out, f->tag, &i64, sizeof i64);
	case KIND_SPAN:
		memcpy(&text, at, sizeof text);
		return !text.n || add_value(out, f->tag, text.p, text.n);
	case KIND_IP:
		memcpy(&ip, at, sizeof ip);
		return !ip.len || add_value(out, f->tag, ip.b, ip.len);
	}
	return verify(false);
}

static bool add_fields(struct buf *out, struct table table, const void *in)
{
	for (size_t i = 0; i < table.n; i++)
		if (!add_field(out, &table.v[i], in))
			return false;
	return true;
}

static bool add_rcpt(struct buf *out, const struct envelope_rcpt *rcpt)
{
	const size_t start = out->n;

	if (!add_word(out, TAG_RCPT, 0) || !add_fields(out, rcpt_table, rcpt))
		return false;
	const size_t length = out->n - start - WORD_OCTETS;
	if (length > LENGTH_MAX)
		return false;
	const uint32_t word = htole32((uint32_t)length << 8 | TAG_RCPT);
	memcpy(out->p + start, &word, sizeof word);
	return true;
}

bool envelope_encode(const struct envelope *env, struct buf *out)
{
	const size_t start = out->n;

	if (env->nrcpt > ENVELOPE_RCPT_MAX || !add_fields(out, envelope_table, env))
		return false;
	for (uint32_t i = 0; i < env->nrcpt; i++)
		if (!add_rcpt(out, &env->rcpt[i]))
			return false;
	return out->n - start <= ENVELOPE_OCTETS_MAX;
}

/* ---- reading -------------------------------------------------------------------------------------------------- */

/* The next field of *in. Returns its tag, 0 at the end, or -ERR_CORRUPT. */
static int take_field(struct span *in, struct span *value_r)
{
	uint32_t word;

	if (!in->n)
		return 0;
	if (in->n < WORD_OCTETS)
		return -ERR_CORRUPT;
	memcpy(&word, in->p, sizeof word);
	word = le32toh(word);
	const size_t length = word >> 8;
	if (!(word & 0xff) || length > in->n - WORD_OCTETS)
		return -ERR_CORRUPT;
	*value_r = span_first(span_skip(*in, WORD_OCTETS), length);
	*in = span_skip(*in, WORD_OCTETS + length);
	return (int)(word & 0xff);
}

static bool read_value(const struct field *f, struct span value, void *out)
{
	char *at = (char *)out + f->at;
	uint32_t u32;
	uint64_t u64;
	struct ip_addr ip = { .len = (uint8_t)value.n };

	switch ((enum kind)f->kind) {
	case KIND_U8:
		if (value.n != 1)
			return false;
		memcpy(at, value.p, 1);
		return true;
	case KIND_U32:
		if (value.n != sizeof u32)
			return false;
		memcpy(&u32, value.p, sizeof u32);
		u32 = le32toh(u32);
		memcpy(at, &u32, sizeof u32);
		return true;
	case KIND_I64:
		if (value.n != sizeof u64)
			return false;
		memcpy(&u64, value.p, sizeof u64);
		u64 = le64toh(u64);
		memcpy(at, &u64, sizeof u64);
		return true;
	case KIND_SPAN:
		memcpy(at, &value, sizeof value);
		return true;
	case KIND_IP:
		if (value.n != 4 && value.n != sizeof ip.b)
			return false;
		memcpy(ip.b, value.p, value.n);
		memcpy(at, &ip, sizeof ip);
		return true;
	}
	return verify(false);
}

/* A field that @table does not have is from a newer version and is skipped; one that came before is a mistake. */
static bool read_field(struct table table, int tag, struct span value, uint32_t *seen, void *out)
{
	for (size_t i = 0; i < table.n; i++) {
		if (table.v[i].tag != tag)
			continue;
		if (*seen & UINT32_C(1) << i)
			return false;
		*seen |= UINT32_C(1) << i;
		return read_value(&table.v[i], value, out);
	}
	return true;
}

static bool read_rcpt(struct span in, struct envelope_rcpt *rcpt)
{
	struct span value;
	uint32_t seen = 0;
	int tag;

	while ((tag = take_field(&in, &value)) > 0)
		if (!read_field(rcpt_table, tag, value, &seen, rcpt))
			return false;
	if (tag < 0 || !rcpt->address.n)
		return false;
	const ptrdiff_t at = span_rfind_char(rcpt->address, '@');
	if (at >= 0)
		rcpt->domain = span_skip(rcpt->address, (size_t)at + 1);
	return true;
}

/* How many recipients, or -ERR_CORRUPT: the array is allocated once. */
static int count_rcpts(struct span in)
{
	struct span value;
	int tag, n = 0;

	while ((tag = take_field(&in, &value)) > 0)
		if (tag == TAG_RCPT && ++n > ENVELOPE_RCPT_MAX)
			return -ERR_CORRUPT;
	return tag < 0 ? tag : n;
}

int envelope_decode(struct span in, struct arena *a, struct envelope *env_r)
{
	struct envelope env = { 0 };
	struct span value;
	uint32_t seen = 0;
	int tag;

	if (in.n > ENVELOPE_OCTETS_MAX)
		return -ERR_CORRUPT;
	const int nrcpt = count_rcpts(in);
	if (nrcpt < 0)
		return nrcpt;
	if (nrcpt) {
		env.rcpt = arena_array(a, struct envelope_rcpt, (size_t)nrcpt);
		if (!env.rcpt)
			return -ERR_TOOBIG;
	}
	while ((tag = take_field(&in, &value)) > 0) {
		bool ok;
		if (tag == TAG_RCPT) {
			require(env.rcpt && env.nrcpt < (uint32_t)nrcpt); /* they were counted */
			ok = read_rcpt(value, &env.rcpt[env.nrcpt++]);
		} else {
			ok = read_field(envelope_table, tag, value, &seen, &env);
		}
		if (!ok)
			return -ERR_CORRUPT;
	}
	*env_r = env;
	return 0;
}
