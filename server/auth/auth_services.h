/* auth/auth_services.h - what all credentials of a process share: the thread that asks token endpoints, and threads for tickets and
 * for deriving keys. Neither starts before it is needed.
 *
 * Ownership: counted.  Threads: any.  Tests: tests/unit/auth/test_client.c
 */
#pragma once

#include "auth/auth_pool.h"
#include "http/http_client.h"

struct auth_services {
	_Atomic unsigned refs_;
	struct http_client *http;
	struct auth_pool *pool;
};

struct auth_services *auth_services_new(void);
struct auth_services *auth_services_ref(struct auth_services *s);
void auth_services_unref(struct auth_services **s);
