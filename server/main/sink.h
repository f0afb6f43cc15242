/* main/sink.h - `postern sink --listen ADDR [--dir DIR]`: accepts and counts, or stores, mail: for trying things out and for tests.
 *
 * It is the server's own session code with a rule that accepts everything and a store that keeps nothing, or a file a message
 * (head and body as they came, below the Received field of the sink). Runs in the foreground until SIGTERM, SIGINT or --count N
 * messages; prints a JSON line per message, and one with the sum at the end. Never listens on other than loopback without --public.
 *
 * Tests: tests/scenario/b00001-one-message.vts
 */
#pragma once

int sink_main(int argc, char **argv);
