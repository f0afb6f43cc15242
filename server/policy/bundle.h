/* policy/bundle.h - a configuration and every policy text that it names, read once and never changed.
 *
 *   1. policy_bundle_load() evaluates the configuration file (config_host), reads the policies that it uses and what these
 *      require, and sets all of them up once in a policy state that is thrown away: options, syntax, setup() are proven then.
 *   2. Every worker makes its runtime from the bundle; no file is read again, so that all workers and a reload see one thing.
 *
 * Ownership: counted; the value tree and the texts live as long as the bundle.  Threads: any, once it was loaded.
 * Tests: tests/unit/policy/test_bundle.c
 */
#pragma once

#include "base/err.h"
#include "base/span.h"
#include "policy/config_value.h"

struct policy_bundle;

/* Returns 0, also with problems in @problems that are only warnings; or -ERR_INVAL with at least one that is not; or -ERR_IO,
 * -ERR_NOTFOUND, -ERR_TOOBIG for the file itself, which is a problem too. On error *b_r is untouched. */
int policy_bundle_load(const char *config_file, struct config_problems *problems, struct policy_bundle **b_r);

/* The same for a text, as if it stood in @file, which need not exist. */
int policy_bundle_load_text(struct span text, const char *file, struct config_problems *problems,
			    struct policy_bundle **b_r);

struct policy_bundle *policy_bundle_ref(struct policy_bundle *b);
void policy_bundle_unref(struct policy_bundle **b);

/* The configuration, a map. */
const struct config_value *policy_bundle_config(const struct policy_bundle *b);

/* Each file that was read, in no order: for "what would a reload look at". NULL behind the last. */
const char *policy_bundle_file(const struct policy_bundle *b, size_t i);
