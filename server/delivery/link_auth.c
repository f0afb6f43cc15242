/* link_auth.c - who we are to the server. No route has a credential yet: the configuration takes none. */
#include "delivery/delivery_priv.h"

void link_auth_begin(struct link *l)
{
	l->auth.credential = NULL;
}

bool link_auth_step(struct link *l)
{
	smtp_client_auth_abort(&l->client, SMTP_ENHANCED(4, 7, 0), "there is no credential for this server", &l->out);
	return true;
}

bool link_auth_accepted(struct link *l, struct link_trouble *t)
{
	(void)l, (void)t;
	return true;
}

void link_auth_failed(struct link *l, struct link_trouble *t)
{
	(void)l;
	t->final = true;
}

void link_auth_over(struct link *l)
{
	l->auth.gave_up = false;
}
