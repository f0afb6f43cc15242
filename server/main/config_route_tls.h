/* main/config_route_tls.h - `tls` of routes; the contexts belong to the snapshot.
 *
 * Threads: refresh from any, one at a time.  Tests: tests/unit/main/test_config_route.c
 */
#pragma once

#include "main/config_priv.h"

/* @r has its logins by now: a route with one demands a server that is verified. */
void config_route_tls_build(struct config_build *b, const struct config_value *route, struct route *r);
void config_route_tls_free(struct config *cfg);
/* Files of routes are read again if they changed. @say is told of those that did: 1, or -ERR_x and why, and then all stays as it
 * was. */
void config_route_tls_refresh(const struct config *cfg,
			      void (*say)(void *arg, int changed, const struct errtext *e), void *arg);
