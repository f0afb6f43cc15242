#include "io/proxy_header.h"

#include "base/check.h"

enum { V2_FIXED = 16, V2_LOCAL = 0x20, V2_PROXY = 0x21 };

static const struct span v1_start = SPAN_INIT("PROXY ");
static const struct span v2_start = SPAN_INIT("\r\n\r\n\0\r\nQUIT\n");

/* ---- version 1 ----------------------------------------------------------------------------------------- */

static bool v1_port(struct span word, uint16_t *port_r)
{
	uint64_t v;

	if (word.n > 5 || !span_to_u64(word, UINT16_MAX, &v))
		return false;
	*port_r = (uint16_t)v;
	return true;
}

/* TCP6 may carry an IPv4-mapped address, which is an IPv4 address to us: the colon tells the families
 * apart. */
static bool v1_addr(struct span word, bool v6, struct ip_addr *addr_r)
{
	return (span_find_char(word, ':') >= 0) == v6 && ip_parse(word, addr_r);
}

static int v1_fields(struct span line, struct proxy_header *h)
{
	const struct span family = span_cut(&line, ' ');
	const bool v6 = span_eq(family, SPAN("TCP6"));

	if (span_eq(family, SPAN("UNKNOWN")))
		return 0; /* whatever else the line says is to be ignored */
	if (!v6 && !span_eq(family, SPAN("TCP4")))
		return -ERR_SYNTAX;
	const struct span source = span_cut(&line, ' '), destination = span_cut(&line, ' ');
	const struct span source_port = span_cut(&line, ' ');
	if (!v1_addr(source, v6, &h->source.addr) || !v1_addr(destination, v6, &h->destination.addr) ||
	    !v1_port(source_port, &h->source.port) || !v1_port(line, &h->destination.port))
		return -ERR_SYNTAX;
	h->known = true;
	return 0;
}

static int v1_parse(struct span in, struct proxy_header *h_r)
{
	struct proxy_header h = { 0 };
	const ptrdiff_t lf = span_find_char(span_first(in, PROXY_HEADER_V1_MAX), '\n');

	if (lf < 0)
		return in.n < PROXY_HEADER_V1_MAX ? -ERR_AGAIN : -ERR_SYNTAX;
	const struct span line = span_skip(span_first(in, (size_t)lf), v1_start.n);
	if (!span_ends(line, SPAN("\r")))
		return -ERR_SYNTAX;
	const int err = v1_fields(span_first(line, line.n - 1), &h);
	if (err < 0)
		return err;
	*h_r = h;
	return (int)lf + 1;
}

/* ---- version 2 ----------------------------------------------------------------------------------------- */

static unsigned u8_at(struct span in, size_t at)
{
	require(in.p && at < in.n);
	return (unsigned char)in.p[at];
}

static unsigned u16_at(struct span in, size_t at)
{
	return u8_at(in, at) << 8 | u8_at(in, at + 1);
}

/* As the kernel's form of the address would be read: an IPv4-mapped one becomes IPv4. */
static struct ip_endpoint v2_endpoint(struct span addr, unsigned port)
{
	static const struct span mapped = SPAN_INIT("\0\0\0\0\0\0\0\0\0\0\xff\xff");
	struct ip_endpoint e = { .port = (uint16_t)port };

	if (addr.n == 16 && span_starts(addr, mapped))
		addr = span_skip(addr, mapped.n);
	e.addr.len = (uint8_t)addr.n;
	memcpy(e.addr.b, addr.p, addr.n);
	return e;
}

/* @rest: addresses, then type-length-values, which we have no use for. */
static int v2_addresses(unsigned family, struct span rest, struct proxy_header *h)
{
	const size_t n = family == 0x11 ? 4 : family == 0x21 ? 16 : 0;

	if (family == 0x00)
		return 0;
	if (n == 0)
		return -ERR_UNSUPPORTED; /* datagrams, unix sockets, what is not assigned */
	if (rest.n < 2 * n + 4)
		return -ERR_SYNTAX;
	h->source = v2_endpoint(span_first(rest, n), u16_at(rest, 2 * n));
	h->destination = v2_endpoint(span_first(span_skip(rest, n), n), u16_at(rest, 2 * n + 2));
	h->known = true;
	return 0;
}

static int v2_parse(struct span in, struct proxy_header *h_r)
{
	struct proxy_header h = { 0 };
	int err = 0;

	if (in.n > v2_start.n && u8_at(in, 12) != V2_LOCAL && u8_at(in, 12) != V2_PROXY)
		return -ERR_SYNTAX;
	if (in.n < V2_FIXED)
		return -ERR_AGAIN;
	const size_t n = V2_FIXED + u16_at(in, 14);
	if (n > PROXY_HEADER_V2_MAX)
		return -ERR_TOOBIG;
	if (in.n < n)
		return -ERR_AGAIN;
	if (u8_at(in, 12) == V2_PROXY)
		err = v2_addresses(u8_at(in, 13), span_skip(span_first(in, n), V2_FIXED), &h);
	if (err < 0)
		return err;
	*h_r = h;
	return (int)n;
}

int proxy_header_parse(struct span in, struct proxy_header *h_r)
{
	if (span_starts(in, v1_start))
		return v1_parse(in, h_r);
	if (span_starts(in, v2_start))
		return v2_parse(in, h_r);
	return span_starts(v1_start, in) || span_starts(v2_start, in) ? -ERR_AGAIN : -ERR_SYNTAX;
}
