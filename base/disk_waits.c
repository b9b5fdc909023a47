/* base/disk_waits.c - what the kernel has counted of a thread's reading. Runs in the front and in the
 * back. */
#include "base/disk_waits.h"

#include <sys/resource.h>

uint64_t disk_waits(void)
{
	struct rusage usage;
	if (getrusage(RUSAGE_THREAD, &usage) != 0)
		return 0;
	return (uint64_t)usage.ru_majflt + (uint64_t)usage.ru_inblock;
}
