/* auth/auth_principal.h - the names of Kerberos users as devices and tickets bring them.
 *
 *   copier7                                        our realm is added
 *   smtp-relay/scan.example.edu                    a service principal: likewise
 *   smtp-relay/scan.example.edu@EXAMPLE.EDU        as it is; the realm in any case of letters, since devices are typed into
 *
 * libkrb5 has escapes ("\@", "\/") and defaults of its own, so whatever could mean two things is refused before it sees the
 * name: `\`, controls, more than one "@", empty components.
 *
 * Pure.  Source: requirement R-40; RFC 4120 section 6.2.  Tests: tests/unit/auth/test_principal.c, tests/fuzz/fuzz_auth_principal.c
 */
#pragma once

#include "auth/auth_backend.h"

/* @id_r becomes "name@REALM". -ERR_SYNTAX: nobody's name; -ERR_DENIED: of another realm than @realm; *why_r says it for the log. */
int auth_principal_parse(struct span user, struct span realm, struct auth_identity *id_r, const char **why_r);

/* The part before the "@". */
struct span auth_principal_name(const struct auth_identity *id);
