#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void check_require_failed(const char *what, const char *file, int line)
{
	fprintf(stderr, "{\"event\":\"bug\",\"fatal\":true,\"what\":\"%s\",\"at\":\"%s:%d\"}\n", what, file, line);
	abort();
}

void check_verify_failed(const char *what, const char *file, int line)
{
	fprintf(stderr, "{\"event\":\"bug\",\"fatal\":false,\"what\":\"%s\",\"at\":\"%s:%d\"}\n", what, file, line);
}
