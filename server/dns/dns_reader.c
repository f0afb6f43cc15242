#include "dns/dns_reader.h"

#include "dns/dns_name.h"

uint8_t dns_read_u8(struct dns_reader *r)
{
	if (r->bad || r->end - r->at < 1) {
		r->bad = true;
		return 0;
	}
	return r->p[r->at++];
}

uint16_t dns_read_u16(struct dns_reader *r)
{
	const uint8_t high = dns_read_u8(r);

	return (uint16_t)(high << 8 | dns_read_u8(r));
}

uint32_t dns_read_u32(struct dns_reader *r)
{
	const uint32_t high = dns_read_u16(r);

	return high << 16 | dns_read_u16(r);
}

struct span dns_read_octets(struct dns_reader *r, size_t n)
{
	if (r->bad || r->end - r->at < n) {
		r->bad = true;
		return (struct span){ 0 };
	}
	const struct span s = span_make(r->p + r->at, n);
	r->at += n;
	return s;
}

static void add_octet(struct dns_name_text *name, uint8_t c)
{
	if (c > ' ' && c < 0x7f && c != '.' && c != '\\' && c != '"') {
		name->s[name->n++] = ascii_lower((char)c);
		return;
	}
	name->s[name->n++] = '\\';
	name->s[name->n++] = (char)('0' + c / 100);
	name->s[name->n++] = (char)('0' + c / 10 % 10);
	name->s[name->n++] = (char)('0' + c % 10);
}

static void add_label(struct dns_name_text *name, struct span label)
{
	name->wire_n += label.n + 1;
	if (name->n)
		name->s[name->n++] = '.';
	for (size_t i = 0; i < label.n; i++)
		add_octet(name, (uint8_t)label.p[i]);
}

/* A pointer leads to before the place where the run of labels that holds it began: so there are finitely
 * many. */
void dns_read_name(struct dns_reader *r, struct dns_name_text *name_r)
{
	struct dns_reader jump = *r, *in = r;
	size_t before = r->at;

	name_r->n = name_r->wire_n = 0;
	for (;;) {
		const uint8_t n = dns_read_u8(in);
		if (in->bad)
			break;
		if (n == 0) {
			if (name_r->n == 0)
				name_r->s[name_r->n++] = '.';
			return;
		}
		if ((n & 0xc0) == 0xc0) {
			const size_t to = (size_t)(n & 0x3f) << 8 | dns_read_u8(in);
			if (in->bad || to >= before || to < DNS_HEADER_OCTETS)
				break;
			jump.at = before = to;
			in = &jump;
			continue;
		}
		const struct span label = dns_read_octets(in, n);
		/* 0x40 and 0x80 are label types that nobody uses (RFC 6891 section 5). */
		if (n > DNS_LABEL_MAX || in->bad || name_r->wire_n + n + 2U > DNS_WIRE_NAME_MAX)
			break;
		add_label(name_r, label);
	}
	r->bad = true;
	name_r->n = 0;
}
