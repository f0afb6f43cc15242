/* policy/spec_host.h - runs specs of policies: tests/lua/ and `postern policy test FILE`.
 *
 * A spec is a Lua file that says `local t = require "relay.testing"` (lua/lib/relay/testing.lua). It runs in a full
 * Lua state; the policies in it run in a real policy state, with a resolver that asks nobody, a limit store of their
 * own, and a clock that the spec moves. Nothing leaves the process.
 *
 * Threads: the caller's; blocks until the file is done.  Tests: tests/unit/policy/test_spec_host.c, tests/lua/
 */
#pragma once

#include "base/buf.h"

struct spec_result {
	unsigned run, failed;
};

/* Runs the file. Appends a line per test and what failed to @out (TAP-like: "ok name", "not ok name", then indented
 * lines). A file that cannot be run is one failure. @policy_dir: the directory of a configuration whose policies/
 * and lib/ are looked into first; may be NULL. Returns 0, or -ERR_NOMEM. */
int spec_run(const char *file, const char *policy_dir, struct buf *out, struct spec_result *result_r);
