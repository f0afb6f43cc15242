<<<<<<< /tmp/ses3/.m1
/* main/refresh.h - files beside the configuration that are read again when they change, without a reload: secrets of logins, CAs and
 * certificates of routes.
 *
 * What cannot be read is said once for each state that it is in, and what was there before goes on.
 *
 * Threads: one at a time; it reads small files, so it is for the main thread, not for a worker's.
 * Tests: tests/interop/upstream_auth.py, tests/unit/main/test_config_credential.c
=======
/* main/refresh.h - files that are replaced while the server runs: certificates, keys, users, secrets.
 *
 * Threads: one at a time.  Errors: none; what cannot be used is logged, and what was there goes on.
 * Tests: tests/scenario/t00001-starttls.vts
>>>>>>> /tmp/ses3/.m3
 */
#pragma once

#include "base/log.h"
<<<<<<< /tmp/ses3/.m1
#include "main/config.h"

#define REFRESH_EVERY_US INT64_C(500000)

void refresh_files(const struct config *cfg, struct logger *log);
=======
#include "base/metric.h"
#include "main/config.h"

/* Looks at all files of @cfg and reads again those that changed. */
void refresh_files(const struct config *cfg, struct logger *log, struct metric_shard *metrics);
>>>>>>> /tmp/ses3/.m3
