/* main.c - the door: `postern serve` and `postern sink` are here, `check` and `simulate` next door, all else is Lua. */
#include <stdio.h>
#include <string.h>

#include "main/cli.h"
#include "main/serve.h"
#include "main/sink.h"

int main(int argc, char **argv)
{
	const char *command = argc > 1 ? argv[1] : "help";

	if (strcmp(command, "serve") == 0)
		return serve_main(argc - 2, argv + 2);
	if (strcmp(command, "sink") == 0)
		return sink_main(argc - 2, argv + 2);
	return cli_main(argc, argv);
}
