/* main/privileges.h - what the process may do, and who may look into it.
 *
 * Threads: main's, before there are others; hide_memory() any.  Errors: -ERR_x with a sentence.
 * Tests: tests/interop/planted_secrets.py
 */
#pragma once

#include "main/config.h"

/* Becomes the user and group of the configuration, if it is root and there are any. */
int privileges_drop(const struct config *cfg, struct errtext *e);
/* As many descriptors as the process may have. */
void privileges_raise_descriptors(void);
/* With secrets in memory: no core files, and no other process of the same user reads it. After privileges_drop(), which would
 * undo it; and by whoever reloads, for that may bring the first of them. */
void privileges_hide_memory(const struct config *cfg);
