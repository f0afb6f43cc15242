/* base/file.h - small files whole: read, and replaced so that a crash leaves the old text or the new, never a part.
 *
 * They block: not for a loop.
 * Threads: any.  Errors: -ERR_x of errno, with a sentence that names the file.  Tests: tests/unit/base/test_file.c
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

/* Writes @text, and a line end where it has none, beside @path and renames it; mode and owner stay those of the old file, a new one
 * is 0600. Durable when 0 is returned. */
int file_replace(const char *path, struct span text, struct errtext *e);
/* Adds all of it to @out; -ERR_TOOBIG when that is full. */
int file_read(const char *path, struct buf *out, struct errtext *e);

/* The same two for a descriptor that blocks; errno says more. What came before an error is in @out, or in the file. */
int file_write_all(int fd, struct span s);
int file_read_all(int fd, struct buf *out);
