/* policy/policy_check.h - does every policy of a bundle load, and do its options fit? Private to policy/.
 *
 * All uses are set up once in a policy state without a loop behind it, which is thrown away. Everything that they
 * read is in the bundle afterwards.
 * Tests: tests/unit/policy/test_bundle.c
 */
#pragma once

#include "policy/bundle.h"

/* Returns 0, or -ERR_INVAL with problems. */
int policy_check(struct policy_bundle *b, struct config_problems *problems);
