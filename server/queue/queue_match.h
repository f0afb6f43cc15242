/* queue/queue_match.h - do addresses, domains and names match what an operator wrote?
 *
 * Case is ignored everywhere, in local parts too: whoever looks for a message does not remember it.
 *
 * Pure.  Tests: tests/unit/queue/test_queue_match.c
 */
#pragma once

#include <stdbool.h>

#include "base/span.h"

/* With * for any octets and ? for one; without either, equality. */
bool queue_match_glob(struct span pattern, struct span text);
/* "@domain": any local part of it; "<>": the null path; else a glob. */
bool queue_match_address(struct span pattern, struct span address);
/* "@suffix": that domain and all below it; else a glob. */
bool queue_match_domain(struct span pattern, struct span domain);
