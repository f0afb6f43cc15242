#include "dns/dns_name.h"

#include <stdio.h>

#include "base/check.h"
#include "base/err.h"

static int refuse(int err, const char **why_r, const char *why)
{
	*why_r = why;
	return -err;
}

int dns_name_parse(struct span text, struct dns_name *name_r, const char **why_r)
{
	struct dns_name name;
	size_t label = 0;

	if (span_ends(text, SPAN(".")))
		text = span_first(text, text.n - 1);
	if (text.n == 0)
		return refuse(ERR_SYNTAX, why_r, "the name is empty");
	if (text.n > DNS_NAME_MAX)
		return refuse(ERR_TOOBIG, why_r, "the name is longer than 253 octets");
	for (size_t i = 0; i < text.n; i++) {
		const char c = text.p[i];
		if (c == '.') {
			if (label == 0)
				return refuse(ERR_SYNTAX, why_r, "the name has an empty label");
			label = 0;
		} else {
			if ((unsigned char)c >= 0x80)
				return refuse(ERR_SYNTAX, why_r,
					      "the name is not ASCII; its A-label form is needed");
			if (c <= ' ' || c == 0x7f || c == '\\' || c == '"')
				return refuse(ERR_SYNTAX, why_r,
					      "the name has a character that names cannot have");
			if (++label > DNS_LABEL_MAX)
				return refuse(ERR_TOOBIG, why_r,
					      "the name has a label longer than 63 octets");
		}
		name.s[i] = ascii_lower(c);
	}
	if (label == 0)
		return refuse(ERR_SYNTAX, why_r, "the name has an empty label");
	name.n = (uint8_t)text.n;
	name.s[name.n] = '\0';
	*name_r = name;
	return 0;
}

bool dns_name_is_host(struct span name)
{
	struct dns_name parsed;
	const char *why;
	bool number = true; /* of the last label */

	if (dns_name_parse(name, &parsed, &why) < 0)
		return false;
	for (size_t i = 0; i < parsed.n; i++) {
		const char c = parsed.s[i];
		const bool edge =
			i == 0 || parsed.s[i - 1] == '.' || i + 1U == parsed.n || parsed.s[i + 1] == '.';
		if (c == '.') {
			number = true;
			continue;
		}
		if (!ascii_is_alnum(c) && c != '_' && (c != '-' || edge))
			return false;
		number = number && ascii_is_digit(c);
	}
	return !number;
}

void dns_name_of_addr(const struct ip_addr *addr, struct dns_name *name_r)
{
	static const char hex[] = "0123456789abcdef";
	int n = 0;

	require(addr->len == 4 || addr->len == 16);
	if (addr->len == 4) {
		n = snprintf(name_r->s, sizeof name_r->s, "%u.%u.%u.%u.in-addr.arpa", addr->b[3], addr->b[2],
			     addr->b[1], addr->b[0]);
	} else {
		for (int i = 15; i >= 0; i--) {
			name_r->s[n++] = hex[addr->b[i] & 15];
			name_r->s[n++] = '.';
			name_r->s[n++] = hex[addr->b[i] >> 4];
			name_r->s[n++] = '.';
		}
		n += snprintf(name_r->s + n, sizeof name_r->s - (size_t)n, "ip6.arpa");
	}
	name_r->n = (uint8_t)n;
}
