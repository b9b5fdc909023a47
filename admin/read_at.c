/* admin/read_at.c - reading a file until there is enough, whatever interrupts it. Runs in the admin's
 * process. */
#include "admin/read_at.h"

#include <errno.h>
#include <unistd.h>

int64_t read_at(int fd, uint64_t offset, uint8_t *into, size_t len)
{
	size_t done = 0;
	while (done < len) {
		ssize_t got = pread(fd, into + done, len - done, (off_t)(offset + done));
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (got == 0)
			break;
		done += (size_t)got;
	}
	return (int64_t)done;
}
