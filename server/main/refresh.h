/* main/refresh.h - files beside the configuration that are read again when they change, without a reload: certificates and keys of
 * listeners, users, secrets of logins, CAs and certificates of routes.
 *
 * What cannot be read is said once for each state that it is in, and what was there before goes on.
 *
 * Threads: one at a time; it reads small files, so it is for the main thread, not for a worker's.
 * Tests: tests/interop/upstream_auth.py, tests/unit/main/test_config_credential.c, tests/scenario/t00004-replaced-files.vts
 */
#pragma once

#include "base/log.h"
#include "main/config.h"

#define REFRESH_EVERY_US INT64_C(500000)

void refresh_files(const struct config *cfg, struct logger *log);
