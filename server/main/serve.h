/* main/serve.h - `postern serve`: the main thread of the server.
 *
 *   1. the configuration is read and proven; the spool is locked; all sockets are bound; privileges are dropped
 *   2. the workers start and recover their spools; control opens; "server_started"
 *   3. signals: SIGHUP reloads, SIGTERM and SIGINT drain and end; a watchdog looks after the workers' loops
 *
 * Returns the exit status: 0 after SIGTERM, 1 when it could not start, 2 for usage.
 *
 * Tests: tests/scenario/b00001-one-message.vts
 */
#pragma once

int serve_main(int argc, char **argv);
