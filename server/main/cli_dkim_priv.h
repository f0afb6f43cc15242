/* main/cli_dkim_priv.h - what the functions behind `postern dkim ...` share. */
#pragma once

#include "dns/dns.h"
#include "main/config.h"

enum { CLI_DKIM_MEM = 16 * 1024 * 1024 };

/* The lines of a request; what was not said is empty. */
struct cli_dkim_request {
	struct arena *mem;
	struct span config, domain, selector, type, bits, dir, key, server;
	struct span message;
	struct config *cfg; /* if `config` was said */
};

/* Reads the lines and loads the configuration. cli_dkim_end() in any case. */
int cli_dkim_begin(struct cli_dkim_request *r, struct span in, struct errtext *why);
void cli_dkim_end(struct cli_dkim_request *r);

/* A loop with a resolver: `server`, else that of the configuration, else the system's. */
struct cli_resolver {
	struct loop *loop;
	struct dns *dns;
	struct scope scope;
	struct ip_endpoint server;
	bool global;
};

int cli_resolver_open(struct cli_resolver *x, const struct cli_dkim_request *r, struct errtext *why);
/* Turns until @op has ended. */
void cli_resolver_wait(struct cli_resolver *x, const struct op *op);
void cli_resolver_close(struct cli_resolver *x);
