/* tests/unit/runtime/sandbox.c - what a process in each sandbox can no longer do, tried out.
 * Each attempt runs in a child of its own, which reports by its exit status. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/prctl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/attributes.h"
#include "base/heap.h"
#include "runtime/sandbox.h"
#include "tests/folder.h"

enum role { FRONT, BACK, SUPERVISOR };

static char state_dir[FOLDER_PATH_OCTETS];
static int inherited_fd; /* a file that was open before */

static bool shut(enum role role)
{
	const struct sandbox_user nobody_else = { 0, 0 };
	switch (role) {
	case FRONT: return sandbox_front(&nobody_else) == ERR_OK;
	case BACK: return sandbox_back(&nobody_else, state_dir) == ERR_OK;
	case SUPERVISOR: return sandbox_supervisor() == ERR_OK;
	}
	return false;
}

/* The wait status of a child that tried `attempt`: exits with 0 for success or with errno. */
static int status_of(enum role role, long (*attempt)(void), bool kill_violators)
{
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		if (kill_violators) {
			sandbox_kill_violators();
			close(STDERR_FILENO);
		}
		if (!shut(role))
			_exit(255);
		errno = 0;
		_exit(attempt() < 0 ? errno : 0);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

static int outcome(enum role role, long (*attempt)(void))
{
	int status = status_of(role, attempt, false);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static long open_file(void)
{
	return open("/etc/passwd", O_RDONLY);
}
static long open_by_raw_call(void)
{
	return syscall(SYS_openat, AT_FDCWD, "/proc/self/mem", O_RDWR, 0);
}
static long stat_file(void)
{
	struct stat st;
	return stat("/etc/passwd", &st);
}
static long execute(void)
{
	char *const none[] = { NULL };
	return execve("/bin/true", none, none);
}
static long fork_process(void)
{
	pid_t child = fork();
	if (child == 0)
		_exit(0);
	return child;
}
static long unix_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM, 0);
}
static long netlink_socket(void)
{
	return socket(AF_NETLINK, SOCK_RAW, 0);
}
static long raw_socket(void)
{
	return socket(AF_INET, SOCK_RAW, 1);
}
static long internet_socket(void)
{
	return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
}
static long internet6_datagrams(void)
{
	return socket(AF_INET6, SOCK_DGRAM, 0);
}
static long socket_pair(void)
{
	int fds[2];
	return socketpair(AF_UNIX, SOCK_STREAM, 0, fds);
}
static long io_uring(void)
{
	char params[256] = { 0 };
	return syscall(SYS_io_uring_setup, 4, params);
}
static long trace_parent(void)
{
	return ptrace(PTRACE_SEIZE, getppid(), NULL, NULL);
}
static long signal_parent(void)
{
	return kill(getppid(), 0);
}
static long executable_memory(void)
{
	void *at = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return at == MAP_FAILED ? -1 : 0;
}
static long make_memory_executable(void)
{
	void *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return mprotect(at, 4096, PROT_READ | PROT_EXEC);
}
static long new_namespace(void)
{
	return unshare(CLONE_NEWUSER);
}
static long raise_limit(void)
{
	const unsigned long long limit[2] = { 9, 9 };
	return syscall(SYS_prlimit64, 0, 7, limit, NULL);
}
static long set_other_name(void)
{
	return prctl(PR_SET_NAME, "sandboxed");
}
static long read_open_file(void)
{
	char octets[8];
	return read(inherited_fd, octets, sizeof(octets));
}
static void *thread_main(void *argument)
{
	return argument;
}
static long start_thread(void)
{
	pthread_t thread;
	errno = pthread_create(&thread, NULL, thread_main, NULL);
	return errno ? -1 : pthread_join(thread, NULL);
}
/* The allocator of the sanitizers asks nobody; glibc's would open a file. */
static void *give_back(void *argument)
{
	void *blocks[20];
	for (size_t i = 0; i < ARRAY_LEN(blocks); i++)
		blocks[i] = heap_alloc(100 * 1000);
	for (size_t i = ARRAY_LEN(blocks); i > 0; i--)
		free(blocks[i - 1]);
	return argument;
}
static long give_memory_back(void)
{
	pthread_t thread;
	errno = pthread_create(&thread, NULL, give_back, NULL);
	return errno || pthread_join(thread, NULL) != 0 ? -1 : 0;
}
static long mount_something(void)
{
	return syscall(SYS_mount, "none", "/mnt", "tmpfs", 0, NULL);
}

static long use_own_file(void)
{
	char path[128], moved[128];
	snprintf(path, sizeof(path), "%s/own", state_dir);
	snprintf(moved, sizeof(moved), "%s/moved", state_dir);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || pwrite(fd, "mail", 4, 0) != 4 || ftruncate(fd, 2) != 0 || fdatasync(fd) != 0)
		return -1;
	struct flock lock = { .l_type = F_WRLCK };
	if (fcntl(fd, F_SETLK, &lock) != 0 || rename(path, moved) != 0)
		return -1;
	return unlink(moved);
}
static long write_elsewhere(void)
{
	return open("/tmp/bode-test-outside", O_WRONLY | O_CREAT, 0600);
}
static long follow_link_out(void)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/link", state_dir);
	return open(path, O_RDONLY);
}
static long leave_by_dots(void)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/../../../../etc/passwd", state_dir);
	return open(path, O_RDONLY);
}

static void front_has_no_files_and_no_programs(void **state)
{
	assert_int_equal(outcome(FRONT, open_file), EACCES);
	assert_int_equal(outcome(FRONT, open_by_raw_call), EACCES);
	assert_int_equal(outcome(FRONT, stat_file), EACCES);
	assert_int_equal(outcome(FRONT, use_own_file), EACCES);
	assert_int_equal(outcome(FRONT, execute), EACCES);
	assert_int_equal(outcome(FRONT, fork_process), EACCES);
	assert_int_equal(outcome(FRONT, executable_memory), EACCES);
	assert_int_equal(outcome(FRONT, make_memory_executable), EACCES);
	assert_int_equal(outcome(FRONT, new_namespace), EACCES);
	assert_int_equal(outcome(FRONT, raise_limit), EACCES);
	assert_int_equal(outcome(FRONT, trace_parent), EACCES);
	assert_int_equal(outcome(FRONT, signal_parent), EACCES);
	assert_int_equal(outcome(FRONT, io_uring), EPERM);
}

static void front_has_internet_sockets_only(void **state)
{
	assert_int_equal(outcome(FRONT, unix_socket), EACCES);
	assert_int_equal(outcome(FRONT, netlink_socket), EACCES);
	assert_int_equal(outcome(FRONT, raw_socket), EACCES);
	assert_int_equal(outcome(FRONT, internet_socket), 0);
	assert_int_equal(outcome(FRONT, internet6_datagrams), 0);
	assert_int_equal(outcome(FRONT, socket_pair), 0);
}

static void back_has_its_own_files_only(void **state)
{
	enum { CREATE_RULESET = 444, ASK_VERSION = 1 };
	if (syscall(CREATE_RULESET, NULL, 0, ASK_VERSION) < 1)
		skip(); /* a kernel without Landlock */
	assert_int_equal(outcome(BACK, use_own_file), 0);
	assert_int_equal(outcome(BACK, open_file), EACCES);
	assert_int_equal(outcome(BACK, open_by_raw_call), EACCES);
	assert_int_equal(outcome(BACK, write_elsewhere), EACCES);
	assert_int_equal(outcome(BACK, follow_link_out), EACCES);
	assert_int_equal(outcome(BACK, leave_by_dots), EACCES);
	assert_int_equal(outcome(BACK, execute), EACCES);
	assert_int_equal(outcome(BACK, fork_process), EACCES);
	assert_int_equal(outcome(BACK, executable_memory), EACCES);
	assert_int_equal(outcome(BACK, io_uring), EPERM);
	assert_int_equal(outcome(BACK, trace_parent), EACCES);
}

static void back_has_no_sockets(void **state)
{
	assert_int_equal(outcome(BACK, internet_socket), EACCES);
	assert_int_equal(outcome(BACK, internet6_datagrams), EACCES);
	assert_int_equal(outcome(BACK, unix_socket), EACCES);
	assert_int_equal(outcome(BACK, netlink_socket), EACCES);
	assert_int_equal(outcome(BACK, socket_pair), 0);
}

static void both_keep_what_they_need(void **state)
{
	for (enum role role = FRONT; role <= BACK; role++) {
		assert_int_equal(outcome(role, read_open_file), 0);
		assert_int_equal(outcome(role, start_thread), 0);
		assert_int_equal(outcome(role, set_other_name), 0);
	}
}

static void supervisor_keeps_its_files(void **state)
{
	assert_int_equal(outcome(SUPERVISOR, open_file), 0);
	assert_int_equal(outcome(SUPERVISOR, execute), 0);
	assert_int_equal(outcome(SUPERVISOR, trace_parent), EACCES);
	assert_int_equal(outcome(SUPERVISOR, mount_something), EACCES);
	assert_int_equal(outcome(SUPERVISOR, new_namespace), EACCES);
	assert_int_equal(outcome(SUPERVISOR, io_uring), EACCES);
}

static void violators_die_where_tests_want_it(void **state)
{
	int status = status_of(FRONT, open_file, true);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
	status = status_of(BACK, internet_socket, true);
	assert_true(WIFSIGNALED(status));
	status = status_of(FRONT, start_thread, true);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	status = status_of(FRONT, give_memory_back, true);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* The first attempt of each kind leaves one line. */
static long try_twice_and_count(void)
{
	int ends[2];
	char log[1024];
	if (pipe2(ends, O_CLOEXEC) != 0)
		return -1;
	close(STDERR_FILENO);
	if (fcntl(ends[1], F_DUPFD_CLOEXEC, STDERR_FILENO) != STDERR_FILENO)
		return -1;
	open_file();
	open_file();
	execute();
	ssize_t len = read(ends[0], log, sizeof(log) - 1);
	if (len < 0)
		return -1;
	log[len] = '\0';
	int lines = 0;
	for (const char *at = log; *at; at++)
		lines += *at == '\n';
	bool named = strstr(log, "event=sandbox-violation") && strstr(log, "name=openat\n") &&
		     strstr(log, "name=execve\n");
	errno = named ? 100 + lines : ENOMSG;
	return -1;
}

static void violations_are_logged_once(void **state)
{
	assert_int_equal(outcome(FRONT, try_twice_and_count), 102);
}

static void finds_users(void **state)
{
	struct sandbox_user user = { 1, 1 };
	assert_int_equal(sandbox_find_user(NULL, &user), ERR_OK);
	assert_int_equal(user.uid, 0);
	assert_int_equal(sandbox_find_user("nobody", &user), ERR_OK);
	assert_true(user.uid != 0 && user.gid != 0);
	assert_int_equal(sandbox_find_user("no-such-user-here", &user), ERR_NOT_FOUND);
}

static long report_identity(void)
{
	errno = getuid() == 0 || getgid() == 0 ? EPERM : 0;
	return errno ? -1 : 0;
}

static void root_becomes_the_user(void **state)
{
	if (geteuid() != 0)
		skip();
	pid_t child = fork();
	if (child == 0) {
		struct sandbox_user user;
		if (sandbox_find_user("nobody", &user) != ERR_OK || sandbox_front(&user) != ERR_OK)
			_exit(255);
		_exit(report_identity() < 0 ? 1 : 0);
	}
	int status;
	waitpid(child, &status, 0);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static int make_state_dir(void **state)
{
	char path[128];
	folder_make(state_dir, "state");
	snprintf(path, sizeof(path), "%s/link", state_dir);
	if (symlink("/etc/passwd", path) != 0)
		return -1;
	inherited_fd = open("/etc/hostname", O_RDONLY | O_CLOEXEC);
	return inherited_fd < 0 ? -1 : 0;
}

static int remove_state_dir(void **state)
{
	close(inherited_fd);
	folder_remove(state_dir);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(front_has_no_files_and_no_programs),
		cmocka_unit_test(front_has_internet_sockets_only),
		cmocka_unit_test(back_has_its_own_files_only),
		cmocka_unit_test(back_has_no_sockets),
		cmocka_unit_test(both_keep_what_they_need),
		cmocka_unit_test(supervisor_keeps_its_files),
		cmocka_unit_test(violators_die_where_tests_want_it),
		cmocka_unit_test(violations_are_logged_once),
		cmocka_unit_test(finds_users),
		cmocka_unit_test(root_becomes_the_user),
	};
	return cmocka_run_group_tests(tests, make_state_dir, remove_state_dir);
}
