/* tests/unit/serve/programs.c - users of this machine let in, where their names come slowly, are long, or
 * where there are no descriptors. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "serve/programs_priv.h"

static struct loop *loop;
static struct offspring back;
static struct listening_socket one;
static struct programs *programs;
static char path[64];

/* The directory of names. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool is_slow;
static unsigned asked, answered;
static char name[128];

int getpwuid_r(uid_t uid, struct passwd *record, char *room, size_t octets, struct passwd **found)
{
	pthread_mutex_lock(&mutex);
	asked++;
	while (is_slow)
		pthread_cond_wait(&changed, &mutex);
	snprintf(room, octets, "%s", name);
	*record = (struct passwd){ .pw_name = room, .pw_uid = uid };
	*found = name[0] ? record : NULL;
	answered++;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&mutex);
	return 0;
}

/* What the kernel says to who accepts; 0: what it says in truth. */
static int accept_error;
static unsigned accepts, accepted;

int accept4(int fd, struct sockaddr *restrict address, socklen_t *restrict octets, int flags)
{
	accepts++;
	if (accept_error == 0) {
		int client = (int)syscall(SYS_accept4, fd, address, octets, flags);
		accepted += client >= 0;
		return client;
	}
	errno = accept_error;
	return -1;
}

/* Who the kernel says has connected. */
static uint32_t peer_uid;

int getsockopt(int fd, int level, int option, void *restrict value, socklen_t *restrict octets)
{
	if (option != SO_PEERCRED)
		return (int)syscall(SYS_getsockopt, fd, level, option, value, octets);
	*(struct ucred *)value = (struct ucred){ .uid = peer_uid };
	return 0;
}

/* What the back hears. */
static unsigned orders;
static uint32_t ordered_uid;
static char ordered_name[128];

void offspring_order(struct offspring *offspring, enum order_type type, struct slice payload,
		     int fd)
{
	struct slice user;
	assert_int_equal(type, ORDER_PROGRAM);
	assert_true(program_order_decode(payload, &ordered_uid, &user));
	snprintf(ordered_name, sizeof(ordered_name), "%.*s", SLICE_ARG(user));
	assert_true(fd >= 0);
	orders++;
}

static void set_slow(bool slow)
{
	pthread_mutex_lock(&mutex);
	is_slow = slow;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&mutex);
}

static int begin(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	snprintf(path, sizeof(path), "/tmp/bode-programs-%ld", (long)getpid());
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	unlink(path);
	loop = loop_new(0);
	one = (struct listening_socket){ .service = SERVICE_SENDMAIL, .path = path };
	one.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(one.fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(one.fd, 128), 0);
	const struct listening_sockets sockets = { &one, 1 };
	programs = programs_new(loop, &sockets, &back);
	snprintf(name, sizeof(name), "www-data");
	orders = asked = answered = accepts = accepted = 0;
	accept_error = 0;
	peer_uid = 33;
	return 0;
}

static int end(void **state)
{
	programs_free(&programs);
	for (unsigned i = 0; i < 3; i++)
		loop_run_once(loop, 20);
	loop_free(loop);
	close(one.fd);
	unlink(path);
	return 0;
}

static int client(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void wait_for_orders(unsigned count)
{
	while (orders < count)
		loop_run_once(loop, 100);
}

static bool is_asked(unsigned times)
{
	pthread_mutex_lock(&mutex);
	bool yes = asked >= times;
	pthread_mutex_unlock(&mutex);
	return yes;
}

/* The supervisor's loop goes on: a test that hangs here has failed. */
static void a_slow_directory_holds_up_nobody_else(void **state)
{
	int fds[3] = { client(), client(), client() };
	set_slow(true);
	while (!is_asked(1))
		loop_run_once(loop, 20);
	for (unsigned i = 0; i < 5; i++)
		loop_run_once(loop, 20);
	assert_int_equal(orders, 0);
	set_slow(false);
	wait_for_orders(3);
	assert_string_equal(ordered_name, "www-data");
	assert_int_equal(ordered_uid, 33);
	assert_int_equal(asked, 1); /* and remembered */
	for (size_t i = 0; i < 3; i++)
		close(fds[i]);
}

static void who_waits_for_a_name_holds_up_none_who_has_one(void **state)
{
	int fds[3] = { client() };
	wait_for_orders(1);
	set_slow(true);
	peer_uid = 34;
	fds[1] = client();
	while (!is_asked(2))
		loop_run_once(loop, 20);
	peer_uid = 33;
	fds[2] = client();
	wait_for_orders(2);
	assert_int_equal(ordered_uid, 33);
	set_slow(false);
	wait_for_orders(3);
	assert_int_equal(ordered_uid, 34);
	for (size_t i = 0; i < 3; i++)
		close(fds[i]);
}

/* Whether the supervisor has him still; who is turned away hears it at once. */
static bool is_held(int fd)
{
	uint8_t octet;
	return recv(fd, &octet, 1, MSG_DONTWAIT) < 0;
}

/* Let in as this user. */
static int client_of(uint32_t uid)
{
	unsigned before = accepted;
	int fd = client();
	peer_uid = uid;
	while (accepted == before)
		loop_run_once(loop, 20);
	return fd;
}

enum { MANY = 100 };
static int fds[MANY];

/* While the directory says nothing, `each_another` or all the same user; returns how many have a place. */
static unsigned crowd(bool each_another)
{
	unsigned held = 0;
	log_set_level(LOG_NOTHING);
	set_slow(true);
	for (unsigned i = 0; i < MANY; i++)
		fds[i] = client_of(1000 + (each_another ? i : 0));
	for (unsigned i = 0; i < MANY; i++)
		held += is_held(fds[i]);
	log_set_level(LOG_ERROR);
	return held;
}

static void crowd_leaves(void)
{
	for (unsigned i = 0; i < MANY; i++)
		close(fds[i]);
}

static void nobody_takes_all_places_while_his_name_is_looked_up(void **state)
{
	unsigned held = crowd(false);
	assert_in_range(held, 10, MANY / 2);
	int other = client_of(34);
	assert_true(is_held(other));
	assert_int_equal(orders, 0);
	set_slow(false);
	wait_for_orders(held + 1);
	assert_int_equal(ordered_uid, 34);
	close(other);
	crowd_leaves();
}

/* One user may be many (subuid(5)). */
static void with_all_places_taken_who_has_a_name_has_a_way_in(void **state)
{
	int known[2] = { client_of(33) };
	wait_for_orders(1);
	unsigned held = crowd(true);
	assert_in_range(held, 10, MANY - 1);
	known[1] = client_of(33);
	assert_int_equal(orders, 2);
	assert_int_equal(ordered_uid, 33);
	int root = client_of(0);
	assert_int_equal(orders, 3);
	assert_int_equal(ordered_uid, 0);
	assert_string_equal(ordered_name, "root");
	/* And each of them has his turn. */
	set_slow(false);
	wait_for_orders(3 + held);
	close(known[0]);
	close(known[1]);
	close(root);
	crowd_leaves();
}

static void who_looks_up_is_not_waited_for(void **state)
{
	int fd = client();
	uint8_t octet;
	set_slow(true);
	while (!is_asked(1))
		loop_run_once(loop, 20);
	programs_free(&programs);
	assert_int_equal(recv(fd, &octet, 1, 0), 0);
	set_slow(false);
	pthread_mutex_lock(&mutex);
	while (answered == 0)
		pthread_cond_wait(&changed, &mutex);
	pthread_mutex_unlock(&mutex);
	for (unsigned i = 0; i < 3; i++)
		loop_run_once(loop, 20);
	assert_int_equal(orders, 0);
	close(fd);
}

/* One that is cut may be somebody else's. */
static void a_name_is_whole(void **state)
{
	memset(name, 'x', 100);
	name[100] = '\0';
	int fd = client();
	wait_for_orders(1);
	assert_string_equal(ordered_name, name);
	close(fd);
}

static void who_has_no_name_is_a_number(void **state)
{
	char want[32];
	const uint32_t uids[] = { 1000, 100000 };
	name[0] = '\0';
	for (unsigned i = 0; i < ARRAY_LEN(uids); i++) {
		peer_uid = uids[i];
		int fd = client();
		wait_for_orders(i + 1);
		snprintf(want, sizeof(want), "uid%u", (unsigned)uids[i]);
		assert_string_equal(ordered_name, want);
		/* All of them count as one, since one may have many. */
		assert_int_equal(ordered_uid, UINT32_MAX);
		close(fd);
	}
}

static void without_descriptors_the_loop_rests(void **state)
{
	enum { TURNS = 20 };
	log_set_level(LOG_NOTHING);
	accept_error = EMFILE;
	int fd = client();
	for (unsigned i = 0; i < TURNS; i++)
		loop_run_once(loop, 20);
	assert_in_range(accepts, 1, TURNS / 2);
	accept_error = 0;
	wait_for_orders(1);
	close(fd);
	log_set_level(LOG_ERROR);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_slow_directory_holds_up_nobody_else),
		TEST(who_waits_for_a_name_holds_up_none_who_has_one),
		TEST(nobody_takes_all_places_while_his_name_is_looked_up),
		TEST(with_all_places_taken_who_has_a_name_has_a_way_in),
		TEST(who_looks_up_is_not_waited_for),
		TEST(a_name_is_whole),
		TEST(who_has_no_name_is_a_number),
		TEST(without_descriptors_the_loop_rests),
	};
	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
