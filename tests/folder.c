/* tests/folder.c - a test's folders go with it, however it ends. */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "tests/folder.h"

static void fill(const char *folder)
{
	char path[FOLDER_PATH_OCTETS + 16];
	snprintf(path, sizeof(path), "%s/store", folder);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/store/file", folder);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
}

static void removing_takes_all_that_is_in_it(void **state)
{
	char path[FOLDER_PATH_OCTETS];
	folder_make(path, "full");
	fill(path);
	folder_remove(path);
	assert_int_equal(access(path, F_OK), -1);
}

/* What a test's own process does: it makes a folder, has a child that lives as long, and ends. */
static void live_and_end(int out, int signal_number)
{
	char path[FOLDER_PATH_OCTETS];
	folders.root[0] = '\0'; /* none of its own so far */
	setpgid(0, 0);
	signal(signal_number, SIG_DFL);
	folder_make(path, "left");
	fill(path);
	if (fork() == 0)
		for (;;)
			pause();
	if (write(out, folders.root, sizeof(folders.root)) != sizeof(folders.root))
		_exit(1);
	kill(0, signal_number); /* the whole group, as who runs tests does when their time is up */
}

static void nothing_is_left_after(int signal_number)
{
	char root[sizeof(folders.root)];
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	fflush(stdout);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		live_and_end(ends[1], signal_number);
		_exit(1);
	}
	assert_int_equal(read(ends[0], root, sizeof(root)), sizeof(root));
	close(ends[0]);
	close(ends[1]);
	/* The child, what it has forked, and its keeper. */
	while (waitpid(child, NULL, 0) < 0)
		assert_int_equal(errno, EINTR);
	for (int orphans = 2; orphans > 0; orphans--)
		assert_true(waitpid(-1, NULL, 0) > 0);
	assert_int_equal(access(root, F_OK), -1);
}

static void a_test_that_is_killed_leaves_nothing(void **state)
{
	nothing_is_left_after(SIGKILL);
}

static void a_test_that_aborts_leaves_nothing(void **state)
{
	nothing_is_left_after(SIGABRT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(removing_takes_all_that_is_in_it),
		cmocka_unit_test(a_test_that_is_killed_leaves_nothing),
		cmocka_unit_test(a_test_that_aborts_leaves_nothing),
	};
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
