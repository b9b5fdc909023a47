/* tests/crash/shim.c - a disk that fails when a test says so: loaded into the server before its
 * libraries (LD_PRELOAD), it stands between the store and the kernel.
 *
 * BODE_SHIM names a file of one page, which is mapped before the process is locked in; the test
 * maps it as well and writes there which files fail, and how. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

struct control {
	volatile uint64_t inodes[2];		   /* of data.mdb and redo.log; 0: none fails */
	volatile uint32_t write_error, sync_error; /* errno; 0: none */
	volatile uint32_t one_in;		   /* so many calls fail at random; 0, 1: each */
	volatile uint32_t failures;
};

static struct control nothing, *control = &nothing;

/* Nobody else has the store, or may ask which file it is that he writes to. */
static bool is_back(void)
{
	char words[256] = "";
	int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
	ssize_t len = read(fd, words, sizeof(words) - 1);
	close(fd);
	return len > 0 && memmem(words, (size_t)len, "--role\0back", sizeof("--role\0back"));
}

__attribute__((constructor)) static void map_control(void)
{
	const char *path = getenv("BODE_SHIM");
	int fd = path && is_back() ? open(path, O_RDWR | O_CLOEXEC) : -1;
	if (fd < 0)
		return;
	void *page = mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page != MAP_FAILED)
		control = page;
	close(fd);
}

static bool fails(int fd, uint32_t error)
{
	static _Atomic uint32_t dice = 1;
	struct stat status;
	if (error == 0 || control->inodes[0] == 0 || fstat(fd, &status) != 0 ||
	    (status.st_ino != control->inodes[0] && status.st_ino != control->inodes[1]))
		return false;
	dice = dice * 1664525 + 1013904223;
	if (control->one_in > 1 && (dice >> 8) % control->one_in != 0)
		return false;
	control->failures++;
	errno = (int)error;
	return true;
}

ssize_t shim_pwrite(int fd, const void *octets, size_t len, off_t at) __asm__("pwrite64");
ssize_t shim_pwrite(int fd, const void *octets, size_t len, off_t at)
{
	return fails(fd, control->write_error) ? -1 : syscall(SYS_pwrite64, fd, octets, len, at);
}

ssize_t shim_pwritev(int fd, const struct iovec *parts, int count, off_t at) __asm__("pwritev64");
ssize_t shim_pwritev(int fd, const struct iovec *parts, int count, off_t at)
{
	return fails(fd, control->write_error) ? -1 : syscall(SYS_pwritev, fd, parts, count, at, 0);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
	return fails(fd, control->write_error) ? -1 : syscall(SYS_writev, fd, parts, count);
}

ssize_t write(int fd, const void *octets, size_t len)
{
	return fails(fd, control->write_error) ? -1 : syscall(SYS_write, fd, octets, len);
}

int fdatasync(int fd)
{
	return fails(fd, control->sync_error) ? -1 : (int)syscall(SYS_fdatasync, fd);
}
