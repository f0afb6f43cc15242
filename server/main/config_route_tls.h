/* main/config_route_tls.h - `tls` of routes; the contexts belong to the snapshot.
 *
 * Tests: tests/unit/main/test_config_route.c
 */
#pragma once

#include "main/config_priv.h"

/* @r has its logins by now: a route with one demands a server that is verified. */
void config_route_tls_build(struct config_build *b, const struct config_value *route, struct route *r);
void config_route_tls_free(struct config *cfg);
