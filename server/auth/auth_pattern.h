/* auth/auth_pattern.h - which principals may log in: an extended regular expression (POSIX) of the operator's for the whole name.
 *
 * Ownership: embedded.  Threads: matched by any number at a time.  Errors: -ERR_INVAL with the library's words.
 * Tests: tests/unit/auth/test_principal.c
 */
#pragma once

#include <regex.h>

#include "auth/auth_backend.h"

struct auth_pattern {
	regex_t regex_;
	bool set_;
};

/* @text NULL: everybody. @p is zeroed before the first use. */
int auth_pattern_set(struct auth_pattern *p, const char *text, struct errtext *e);
void auth_pattern_deinit(struct auth_pattern *p);
/* The name without its realm is looked at. */
bool auth_pattern_matches(const struct auth_pattern *p, const struct auth_identity *id);
