/* tests/unit/runtime/race.c - several addresses of a host: the first that answers wins, one that is
 * silent holds nobody up, and where all refuse it ends. */
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/race.h"

struct bed {
	struct loop *loop;
	struct race_result result;
	bool is_over;
};

static void on_raced(void *user, const struct race_result *result)
{
	struct bed *bed = user;
	bed->result = *result;
	bed->is_over = true;
}

/* A port of 127.0.0.1: somebody listens, nobody does, or somebody whose queue is full (`fill` holds
 * the connection that fills it). */
static int make_listener(struct peer *peer_out, int *fill)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_return_code(bind(fd, (struct sockaddr *)&at, sizeof(at)), errno);
	assert_return_code(getsockname(fd, (struct sockaddr *)&at, &len), errno);
	assert_return_code(listen(fd, fill ? 0 : 8), errno);
	for (int i = 0; fill && i < 2; i++) {
		fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		(void)connect(fill[i], (struct sockaddr *)&at, sizeof(at));
	}
	peer_from_sockaddr((struct sockaddr *)&at, peer_out);
	return fd;
}

static void run(struct bed *bed, const struct peer *addresses, size_t count)
{
	bed->loop = loop_new(0);
	bed->is_over = false;
	(void)race_new(bed->loop, addresses, count, 60 * 1000, on_raced, bed);
	assert_false(bed->is_over);
	while (!bed->is_over)
		loop_run_once(bed->loop, 1000);
	loop_free(bed->loop);
}

static void one_that_is_silent_holds_nobody_up(void **state)
{
	struct bed bed;
	struct peer addresses[3];
	int fill[2];
	int refusing = make_listener(&addresses[0], NULL);
	close(refusing);
	int silent = make_listener(&addresses[1], fill), good = make_listener(&addresses[2], NULL);
	run(&bed, addresses, 3);
	assert_true(bed.result.fd >= 0);
	assert_int_equal(bed.result.at, 2);
	assert_int_equal(bed.result.failed, 1);
	close(bed.result.fd);
	close(fill[0]);
	close(fill[1]);
	close(silent);
	close(good);
}

static void the_first_is_preferred(void **state)
{
	struct bed bed;
	struct peer addresses[2];
	int one = make_listener(&addresses[0], NULL), two = make_listener(&addresses[1], NULL);
	run(&bed, addresses, 2);
	assert_int_equal(bed.result.at, 0);
	assert_int_equal(bed.result.failed, 0);
	close(bed.result.fd);
	close(one);
	close(two);
}

static void all_may_fail(void **state)
{
	struct bed bed;
	struct peer addresses[2];
	int one = make_listener(&addresses[0], NULL), two = make_listener(&addresses[1], NULL);
	close(one);
	close(two);
	run(&bed, addresses, 2);
	assert_int_equal(bed.result.fd, -1);
	assert_int_equal(bed.result.error, ECONNREFUSED);
	assert_int_equal(bed.result.failed, 3);
}

static void may_be_cancelled(void **state)
{
	struct bed bed = { .loop = loop_new(0) };
	struct peer addresses[2];
	int one = make_listener(&addresses[0], NULL), two = make_listener(&addresses[1], NULL);
	struct race *race = race_new(bed.loop, addresses, 2, 60 * 1000, on_raced, &bed);
	race_cancel(&race);
	assert_null(race);
	race_cancel(&race);
	loop_run_once(bed.loop, 10);
	assert_false(bed.is_over);
	loop_free(bed.loop);
	close(one);
	close(two);
}

static void our_own_address_is_known(void **state)
{
	struct peer to = { .family = 4, .address = { 127, 0, 0, 1 }, .port = 25 }, own;
	assert_true(connector_own_address(&to, &own));
	assert_true(peer_is_loopback(&own));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_that_is_silent_holds_nobody_up),
		cmocka_unit_test(the_first_is_preferred),
		cmocka_unit_test(all_may_fail),
		cmocka_unit_test(may_be_cancelled),
		cmocka_unit_test(our_own_address_is_known),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
