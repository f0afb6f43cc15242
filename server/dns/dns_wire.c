#include "dns/dns_wire.h"

#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/err.h"
#include "dns/dns_reader.h"

enum {
	CLASS_IN = 1,
	TYPE_NS = 2,
	TYPE_CNAME = 5,
	TYPE_SOA = 6,
	TYPE_OPT = 41,
	RCODE_NOERROR = 0,
	RCODE_FORMERR = 1,
	RCODE_NXDOMAIN = 3,

	RRS_MAX = 256, /* looked at in a section; a longer one is not read to its end */
	CNAMES_MAX = 8,
	TEXTS_BYTES_MAX = DNS_RECORDS_MAX * (DNS_TEXT_NAME_MAX + 16) + 64 * 1024,
};

/* ---- records ------------------------------------------------------------------------------------------- */

struct rr {
	size_t owner_at; /* where its name is */
	uint16_t type, class;
	uint32_t ttl_s;
	size_t data_at, data_n;
};

struct section {
	size_t n;
	struct rr rr[RRS_MAX];
};

static bool read_rr(struct dns_reader *r, struct rr *rr)
{
	struct dns_name_text owner;

	rr->owner_at = r->at;
	dns_read_name(r, &owner);
	rr->type = dns_read_u16(r);
	rr->class = dns_read_u16(r);
	rr->ttl_s = dns_read_u32(r);
	/* With the highest bit set it means 0 (RFC 2181 section 8); in OPT it is no time at all. */
	if (rr->type != TYPE_OPT && rr->ttl_s > INT32_MAX)
		rr->ttl_s = 0;
	rr->data_n = dns_read_u16(r);
	rr->data_at = r->at;
	dns_read_octets(r, rr->data_n);
	return !r->bad;
}

static void read_section(struct dns_reader *r, unsigned count, struct section *s)
{
	s->n = 0;
	for (unsigned i = 0; i < count; i++) {
		struct rr rr;
		if (!read_rr(r, &rr))
			return;
		if (s->n < RRS_MAX)
			s->rr[s->n++] = rr;
	}
}

struct message {
	struct span octets;
	const struct dns_name *asked;
	enum dns_type type;
	uint16_t flags;
	unsigned ext_rcode;
	struct section answer, authority;
	struct arena *texts;
};

static bool owned_by(const struct message *m, const struct rr *rr, struct span name)
{
	struct dns_reader r = { (const uint8_t *)m->octets.p, rr->owner_at, m->octets.n, false };
	struct dns_name_text owner;

	dns_read_name(&r, &owner);
	return span_eq(span_make(owner.s, owner.n), name);
}

static struct dns_reader data_of(const struct message *m, const struct rr *rr)
{
	return (struct dns_reader){ (const uint8_t *)m->octets.p, rr->data_at, rr->data_at + rr->data_n,
				    false };
}

static void read_host(struct dns_reader *r, struct arena *texts, struct span *name_r)
{
	struct dns_name_text name;

	dns_read_name(r, &name);
	*name_r = arena_dup(texts, span_make(name.s, name.n));
	if (!name_r->p)
		r->bad = true;
}

static void read_texts(struct dns_reader *r, struct arena *texts, struct span *text_r)
{
	const struct span all = span_make(r->p + r->at, r->end - r->at);
	char *joined = arena_alloc(texts, all.n + 1);
	size_t n = 0;

	if (r->at == r->end || !joined)
		r->bad = true; /* at least one string (RFC 1035 section 3.3.14) */
	while (!r->bad && r->at < r->end) {
		const struct span s = dns_read_octets(r, dns_read_u8(r));
		if (!r->bad && s.n) {
			memcpy(joined + n, s.p, s.n);
			n += s.n;
		}
	}
	*text_r = span_make(joined, n);
}

static bool read_record(const struct message *m, const struct rr *rr, struct dns_record *record)
{
	struct dns_reader r = data_of(m, rr);

	*record = (struct dns_record){ .ttl_s = rr->ttl_s };
	switch (m->type) {
	case DNS_A:
	case DNS_AAAA:
		record->addr.len = m->type == DNS_A ? 4 : 16;
		for (size_t i = 0; i < record->addr.len; i++)
			record->addr.b[i] = dns_read_u8(&r);
		break;
	case DNS_MX:
		record->preference = dns_read_u16(&r);
		read_host(&r, m->texts, &record->data);
		break;
	case DNS_PTR:
		read_host(&r, m->texts, &record->data);
		break;
	case DNS_TXT:
		read_texts(&r, m->texts, &record->data);
		break;
	case DNS_TLSA:
		record->tlsa.usage = dns_read_u8(&r);
		record->tlsa.selector = dns_read_u8(&r);
		record->tlsa.matching = dns_read_u8(&r);
		record->data = dns_read_octets(&r, r.end - r.at);
		break;
	}
	return !r.bad && r.at == r.end;
}

/* ---- what it says -------------------------------------------------------------------------------------- */

/* The target of the CNAME of @name: 1 and in *to, 0 if it has none, -ERR_SYNTAX. */
static int find_cname(const struct message *m, struct span name, struct dns_name_text *to, uint32_t *ttl_s)
{
	for (size_t i = 0; i < m->answer.n; i++) {
		const struct rr *rr = &m->answer.rr[i];
		if (rr->type != TYPE_CNAME || rr->class != CLASS_IN || !owned_by(m, rr, name))
			continue;
		struct dns_reader r = data_of(m, rr);
		dns_read_name(&r, to);
		if (r.bad || r.at != r.end)
			return -ERR_SYNTAX;
		if (rr->ttl_s < *ttl_s)
			*ttl_s = rr->ttl_s;
		return 1;
	}
	return 0;
}

static int find_records(const struct message *m, struct span name, struct dns_record *records, size_t *n_r)
{
	size_t n = 0;

	for (size_t i = 0; i < m->answer.n && n < DNS_RECORDS_MAX; i++) {
		const struct rr *rr = &m->answer.rr[i];
		if (rr->type != (unsigned)m->type || rr->class != CLASS_IN || !owned_by(m, rr, name))
			continue;
		if (!read_record(m, rr, &records[n++]))
			return -ERR_SYNTAX;
	}
	*n_r = n;
	return 0;
}

/* How long "there is none" holds: the lower of the SOA's TTL and its last field (RFC 2308 section 5). */
static bool find_negative_ttl(const struct message *m, uint32_t *ttl_s)
{
	for (size_t i = 0; i < m->authority.n; i++) {
		const struct rr *rr = &m->authority.rr[i];
		struct dns_reader r = data_of(m, rr);
		struct dns_name_text skipped;
		if (rr->type != TYPE_SOA)
			continue;
		dns_read_name(&r, &skipped);
		dns_read_name(&r, &skipped);
		dns_read_octets(&r, 16); /* serial, refresh, retry, expire */
		const uint32_t minimum = dns_read_u32(&r);
		if (r.bad)
			return false;
		const uint32_t lower = minimum < rr->ttl_s ? minimum : rr->ttl_s;
		*ttl_s = lower < *ttl_s ? lower : *ttl_s;
		return true;
	}
	return false;
}

/* "Ask over there" instead of an answer (RFC 2308 section 2.2): from a server that does not recurse for us.
 * It proves nothing about the name. */
static bool is_referral(const struct message *m)
{
	const bool authoritative = m->flags & 0x0400, recursion = m->flags & 0x0080;

	if (authoritative || recursion)
		return false;
	for (size_t i = 0; i < m->authority.n; i++)
		if (m->authority.rr[i].type == TYPE_NS)
			return true;
	return false;
}

static const char *rcode_phrase(unsigned rcode)
{
	static const char *const phrases[] = {
		[RCODE_FORMERR] = "the DNS server did not understand the question",
		[2] = "the DNS server failed (SERVFAIL)",
		[4] = "the DNS server does not implement the question",
		[5] = "the DNS server refused the question",
	};

	return rcode < ARRAY_LEN(phrases) && phrases[rcode] ? phrases[rcode]
							    : "the DNS server answered with an error";
}

static struct dns_answer *empty(const struct message *m, enum dns_result result, const char *why)
{
	return dns_answer_new_empty(m->type, dns_name_span(m->asked), result, why);
}

static int conclude(const struct message *m, struct dns_answer **answer_r)
{
	struct dns_record records[DNS_RECORDS_MAX];
	struct dns_name_text at;
	struct span name = dns_name_span(m->asked);
	uint32_t ttl_s = UINT32_MAX;
	size_t n = 0;
	const unsigned rcode = (m->flags & 15U) | m->ext_rcode << 4;

	if (rcode != RCODE_NOERROR && rcode != RCODE_NXDOMAIN) {
		*answer_r = empty(m, DNS_TEMPFAIL, rcode_phrase(rcode));
		return 0;
	}
	for (unsigned cnames = 0;; cnames++) {
		const int err = find_records(m, name, records, &n);
		if (err < 0)
			return err;
		const int found = n ? 0 : find_cname(m, name, &at, &ttl_s);
		if (found < 0)
			return found;
		if (!found)
			break;
		if (cnames == CNAMES_MAX) {
			*answer_r =
				empty(m, DNS_TEMPFAIL, "the name has too many aliases behind one another");
			return 0;
		}
		name = span_make(at.s, at.n);
	}

	struct dns_answer *a;
	if (n && rcode == RCODE_NOERROR) {
		const bool alias = !span_eq(name, dns_name_span(m->asked));
		a = dns_answer_new_alias(m->type, dns_name_span(m->asked), alias ? name : SPAN(""), records,
					 n);
		a->ttl_s = ttl_s < a->ttl_s ? ttl_s : a->ttl_s;
	} else if (rcode == RCODE_NOERROR && is_referral(m)) {
		a = empty(m, DNS_TEMPFAIL, "the DNS server does not resolve names for us");
	} else {
		a = empty(m, rcode == RCODE_NXDOMAIN ? DNS_NXDOMAIN : DNS_NODATA, NULL);
		a->ttl_s = find_negative_ttl(m, &ttl_s) ? ttl_s : 0;
	}
	a->authenticated = m->flags & 0x0020;
	*answer_r = a;
	return 0;
}

/* The upper bits of the error are in the OPT record (RFC 6891 section 6.1.3). What is wrong in this section
 * does not matter: nothing else of it is used. */
static unsigned read_ext_rcode(struct dns_reader *r, unsigned count)
{
	struct rr rr;

	for (unsigned i = 0; i < count && read_rr(r, &rr); i++)
		if (rr.type == TYPE_OPT)
			return rr.ttl_s >> 24;
	return 0;
}

static bool read_message(struct dns_reader *r, struct message *m)
{
	dns_read_u16(r); /* its id was checked where it was received */
	m->flags = dns_read_u16(r);
	const unsigned questions = dns_read_u16(r), answers = dns_read_u16(r), authorities = dns_read_u16(r),
		       additional = dns_read_u16(r);
	struct dns_name_text name;

	if (r->bad || !(m->flags & 0x8000) || (m->flags & 0x7800) || questions != 1)
		return false; /* not a response to a query */
	dns_read_name(r, &name);
	const bool ours = span_eq(span_make(name.s, name.n), dns_name_span(m->asked));
	const unsigned type = dns_read_u16(r);
	if (r->bad || !ours || type != (unsigned)m->type || dns_read_u16(r) != CLASS_IN)
		return false;
	read_section(r, answers, &m->answer);
	read_section(r, authorities, &m->authority);
	if (r->bad || (m->flags & 0x0200))
		return false; /* cut off: whoever carried it should have asked again over TCP */
	m->ext_rcode = read_ext_rcode(r, additional);
	return true;
}

int dns_wire_parse(struct span msg, const struct dns_name *name, enum dns_type type,
		   struct dns_answer **answer_r)
{
	struct message m = { .octets = msg, .asked = name, .type = type };
	struct dns_reader r = { (const uint8_t *)msg.p, 0, msg.n, false };

	if (!read_message(&r, &m))
		return -ERR_SYNTAX;
	m.texts = arena_new(TEXTS_BYTES_MAX);
	const int err = conclude(&m, answer_r);
	arena_free(&m.texts);
	return err;
}

bool dns_wire_refuses_edns(struct span msg)
{
	return msg.n >= DNS_HEADER_OCTETS && ((uint8_t)msg.p[3] & 15) == RCODE_FORMERR && msg.p[10] == 0 &&
	       msg.p[11] == 0;
}
