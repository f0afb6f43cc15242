/* dkim/dkim_priv.h - what the files of the signer share. */
#pragma once

#include "base/map.h"
#include "dkim/dkim_signer.h"

enum { DKIM_NAME_MAX = 253 /* of a name in the DNS */ };

struct dkim_key {
	const struct dkim_domain *domain;
	char *selector;
	struct tls_private_key *key;
};

struct dkim_domain {
	struct map_node node; /* by name */
	char *name;           /* lower case, A-labels */
	size_t n;
	const struct dkim_key *keys[DKIM_SIGNATURES_MAX];
};

struct dkim_signer {
	struct map domains;
	struct dkim_domain *dflt;
	size_t n;
	struct dkim_key **keys; /* all, in the order they were added */
};

/* Whose keys sign this; NULL: nobody's. */
const struct dkim_domain *dkim_signer_choose(const struct dkim_signer *s, const struct mail_head *h);
