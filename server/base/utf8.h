/* base/utf8.h - is this UTF-8 (RFC 3629)? No overlong forms, no surrogates, nothing above U+10FFFF.
 *
 * Threads: pure.  Tests: tests/unit/base/test_utf8.c, tests/fuzz/fuzz_base_utf8.c
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"

/* Octets of the character at the start of @s (1..4), or 0 if there is none that is well-formed. */
size_t utf8_char_len(struct span s);
bool utf8_valid(struct span s);
/* No octet above 0x7f. */
bool ascii_only(struct span s);
