// SPDX-License-Identifier: Apache-2.0
// A clock that goes SECONDS_AHEAD of the true one, for programs that are started with it.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

int clock_gettime(clockid_t clock, struct timespec *now)
{
	int (*truth)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
	const char *ahead = getenv("SECONDS_AHEAD");
	int failed = truth(clock, now);

	if (!failed && clock == CLOCK_REALTIME && ahead)
		now->tv_sec += atol(ahead);
	return failed;
}
