/* tests/unit/smtpd/report_posts.c - reports about TLS for web servers, from the store to the server: one
 * that takes them, that wants them later, that hangs, that is somebody else. Back and front are this
 * program; the servers are report_hosts.py; the clock is the test's. */
#include "tests/unit/smtpd/back_bed.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "runtime/delivery.h"
#include "runtime/report_message.h"
#include "runtime/tls_verify.h"
#include "smtpd/relay/daily_priv.h"
#include "smtpd/relay/posts_priv.h"
#include "smtpd/relay/relay.h"
#include "storage/remote.h"
#include "tests/unit/test_clock.h"

enum {
	MINUTE_MS = 60 * 1000,
	DAY_SECONDS = 24 * 3600,
	SETTLE_TURNS = 100,
	TURNS_MAX = 20 * 1000,
};

static struct front front;
static struct channel *channel; /* the back's end */
static struct daily *daily;
static struct config *configs[2];
static char folder[FOLDER_PATH_OCTETS];
static unsigned answers;	       /* of the front, in one test */
static _Thread_local bool store_fails; /* whatever this thread looks for in it */
static unsigned failures;
static struct {
	pid_t pid;
	int in, out;
	unsigned dns, good, wrong; /* ports */
	struct buffer said;
} hosts;

int __real_mdb_cursor_get(MDB_cursor *cursor, MDB_val *key, MDB_val *value, MDB_cursor_op op);
int __wrap_mdb_cursor_get(MDB_cursor *cursor, MDB_val *key, MDB_val *value, MDB_cursor_op op);
int __wrap_mdb_cursor_get(MDB_cursor *cursor, MDB_val *key, MDB_val *value, MDB_cursor_op op)
{
	failures += store_fails;
	return store_fails ? EIO : __real_mdb_cursor_get(cursor, key, value, op);
}

/* ---- the servers ---- */

static void hosts_start(void)
{
	int in[2], out[2];
	char path[512];
	const char *root = getenv("BODE_SOURCE_ROOT");
	snprintf(path, sizeof(path), "%s/tests/unit/smtpd/report_hosts.py", root ? root : ".");
	assert_return_code(pipe(in), errno);
	assert_return_code(pipe(out), errno);
	hosts.pid = fork();
	if (hosts.pid == 0) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		close(in[1]);
		close(out[0]);
		execl("/usr/bin/python3", "python3", path, folder, (char *)NULL);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	hosts.in = in[1];
	hosts.out = out[0];
	FILE *lines = fdopen(dup(hosts.out), "r");
	setvbuf(lines, NULL, _IONBF, 0);
	assert_int_equal(fscanf(lines, "%u %u %u", &hosts.dns, &hosts.good, &hosts.wrong), 3);
	assert_int_equal(fgetc(lines), '\n');
	fclose(lines);
	fcntl(hosts.out, F_SETFL, O_NONBLOCK);
}

static void hosts_listen(void)
{
	char octets[1024];
	ssize_t len = read(hosts.out, octets, sizeof(octets));
	if (len > 0)
		buffer_add(&hosts.said, slice_of(octets, (size_t)len));
}

static unsigned said(const char *line)
{
	struct slice all = buffer_slice(&hosts.said), wanted = slice_cstr(line);
	unsigned count = 0;
	for (size_t at = 0; (at = slice_find(all, at, wanted)) < all.len; at += wanted.len)
		count++;
	return count;
}

/* ---- both sides ---- */

static void turn(void)
{
	loop_run_once(front.loop, 0);
	hosts_listen();
	test_clock_rest();
}

static void settle(void)
{
	for (int i = 0; i < SETTLE_TURNS; i++)
		turn();
}

static void until_said(const char *line, unsigned count)
{
	for (int i = 0; i < TURNS_MAX && said(line) < count; i++)
		turn();
	assert_int_equal(said(line), count);
}

static void until_answered(unsigned count)
{
	for (int i = 0; i < TURNS_MAX && answers < count; i++)
		turn();
	assert_int_equal(answers, count);
}

static void advance(int64_t ms)
{
	test_clock_advance(ms);
	settle();
}

static void on_message(struct channel *from, uint16_t type, uint32_t conversation,
		       struct slice payload, int fd)
{
	assert_int_equal(type, MESSAGE_REPORTED);
	assert_true(posts_message(daily_posts(daily), from, conversation, payload));
	answers++;
}

/* ---- what was counted ---- */

static uint32_t yesterday(void)
{
	return (uint32_t)(clock_unix() / DAY_SECONDS) - 1;
}

struct counted {
	const char *domain, *uris;
};

static enum err add(struct write *write, void *arg)
{
	const struct counted *counted = arg;
	struct buffer what = { 0 };
	tls_result_encode(&(struct tls_result){ .report_to = slice_cstr(counted->uris) }, &what);
	enum err err = remote_result_add(
		write,
		&(struct remote_result){ (uint32_t)(clock_unix() / DAY_SECONDS) - 1,
					 slice_cstr(counted->domain), buffer_slice(&what), 1 });
	buffer_free(&what);
	return err;
}

/* Yesterday's results of a domain that wants reports there, at the good server or the wrong one. */
static void count(const char *domain, const char *path, bool is_wrong)
{
	char uris[256];
	snprintf(uris, sizeof(uris), "mailto:a@%s,https://reports.example:%u%s", domain,
		 is_wrong ? hosts.wrong : hosts.good, path);
	assert_int_equal(bed_write(&bed, add, &(struct counted){ domain, uris }), ERR_OK);
}

static void begin(void)
{
	bed_begin(&bed, STORE_SERVE);
	buffer_clear(&hosts.said);
	answers = 0;
}

static void run(bool with_mail)
{
	back = (struct back){ .loop = front.loop,
			      .store = bed.store,
			      .config = configs[with_mail] };
	store_start_writer(bed.store);
	daily = daily_new(&back);
	posts_set_channel(daily_posts(daily), channel);
	/* A day at a time, from the one before. */
	for (int i = 0; i < TURNS_MAX && reported_day() != yesterday(); i++) {
		daily_run(daily);
		turn();
	}
}

static void end(void)
{
	daily_stop(daily);
	/* What is under way ends, and what was written is told of. */
	advance(MINUTE_MS);
	daily_free(&daily);
	settle();
	bed_end(&bed);
}

/* ---- tests ---- */

static void a_report_is_posted_once(void **state)
{
	begin();
	count("far.example", "/taken", false);
	run(false);
	until_said("/taken application/tlsrpt+gzip far.example\n", 1);
	until_answered(1);
	for (int hour = 0; hour < 26; hour++)
		advance(60 * MINUTE_MS);
	daily_run(daily);
	settle();
	assert_int_equal(said("\n"), 1);
	/* By mail it is wanted as well, but not by us. */
	assert_int_equal(bed_queued(&bed), 0);
	end();
}

static void with_mail_it_goes_both_ways(void **state)
{
	begin();
	count("far.example", "/taken", false);
	run(true);
	until_said("/taken", 1);
	until_answered(1);
	for (int i = 0; i < TURNS_MAX && bed_queued(&bed) == 0; i++)
		turn();
	assert_int_equal(bed_queued(&bed), 1);
	end();
}

static void one_that_wants_it_later_gets_it_again(void **state)
{
	begin();
	count("far.example", "/busy", false);
	count("near.example", "/moved", false);
	run(false);
	until_said("/busy", 1);
	until_said("/moved", 1);
	until_answered(2);
	advance(4 * MINUTE_MS);
	assert_int_equal(said("\n"), 2);
	advance(2 * MINUTE_MS);
	until_said("/busy", 2);
	until_said("/moved", 2);
	until_answered(4);
	for (int hour = 0; hour < 26; hour++)
		advance(60 * MINUTE_MS);
	/* What a redirection names gets nothing. */
	assert_int_equal(said("\n"), 4);
	end();
}

/* Tried for a day, and never given anything. */
static void one_that_is_somebody_else_gets_nothing(void **state)
{
	begin();
	count("far.example", "/taken", true);
	run(false);
	until_said("untrusted", 1);
	for (unsigned attempt = 1, minutes = 5; attempt < 5; attempt++, minutes *= 4) {
		until_answered(attempt);
		advance((int64_t)(minutes - 1) * MINUTE_MS);
		assert_int_equal(said("untrusted"), attempt);
		/* The rest, and what chance adds to it at most. */
		advance((int64_t)(minutes / 10 + 2) * MINUTE_MS);
		until_said("untrusted", attempt + 1);
	}
	until_answered(5);
	for (int hour = 0; hour < 40; hour++)
		advance(60 * MINUTE_MS);
	assert_int_equal(said("untrusted"), 5);
	assert_int_equal(said("/taken"), 0);
	end();
}

static void one_that_hangs_holds_up_nobody(void **state)
{
	begin();
	count("a.example", "/hangs", false);
	count("b.example", "/taken", false);
	run(false);
	until_said("/hangs application/tlsrpt+gzip a.example\n", 1);
	until_said("/taken application/tlsrpt+gzip b.example\n", 1);
	until_answered(1);
	advance(MINUTE_MS); /* the end of its time */
	until_answered(2);
	advance(4 * MINUTE_MS);
	assert_int_equal(said("/hangs"), 1);
	advance(2 * MINUTE_MS);
	until_said("/hangs", 2);
	/* The process that gives it ends in the middle. */
	posts_set_channel(daily_posts(daily), NULL);
	settle();
	advance(21 * MINUTE_MS);
	advance(21 * MINUTE_MS);
	assert_int_equal(said("/hangs"), 2);
	posts_set_channel(daily_posts(daily), channel);
	until_said("/hangs", 3);
	end();
}

/* The report is made when it is sent: the next attempt has it. */
static void a_store_that_fails_for_a_moment_costs_an_attempt(void **state)
{
	begin();
	count("far.example", "/later", false);
	run(false);
	until_said("/later", 1);
	until_answered(1);
	failures = 0;
	store_fails = true;
	advance(6 * MINUTE_MS);
	store_fails = false;
	assert_int_not_equal(failures, 0);
	assert_int_equal(said("/later"), 1);
	advance(19 * MINUTE_MS);
	assert_int_equal(said("/later"), 1);
	advance(4 * MINUTE_MS);
	until_said("/later", 2);
	until_answered(2);
	end();
}

static void answers_that_break_the_rules_are_refused(void **state)
{
	static const uint8_t bad[] = { 2, 0, 0, 0, 0 }, good[] = { 1, 0, 0, 0, 0 };
	begin();
	count("a.example", "/hangs", false);
	run(false);
	until_said("/hangs", 1);
	struct posts *posts = daily_posts(daily);
	assert_false(posts_message(posts, channel, 1, slice_of(bad, sizeof(bad))));
	/* Of what was not given, or not to it. */
	assert_true(posts_message(posts, channel, 7, slice_of(good, sizeof(good))));
	assert_true(posts_message(posts, NULL, 1, slice_of(good, sizeof(good))));
	advance(MINUTE_MS);
	until_answered(1);
	advance(6 * MINUTE_MS);
	until_said("/hangs", 2);
	end();
}

static int set_up(void **state)
{
	static const struct channel_events events = { .message = on_message };
	static struct relay_trust trust;
	static char forward[64];
	char path[128];
	const char *why = NULL;
	int fds[2];
	folder_make(folder, "reports");
	hosts_start();
	configs[0] = config_with("[relay]\nloopback = yes\ntls_reports = https\n");
	configs[1] = config_with("[relay]\nloopback = yes\ntls_reports = yes\n");
	snprintf(path, sizeof(path), "%s/ca.pem", folder);
	trust.opportunistic = tls_opportunistic_context();
	trust.authorities = tls_client_context(path, &why);
	assert_non_null(trust.authorities);
	front.loop = loop_new(0);
	front.link = link_new(front.loop);
	front.config = configs[0];
	snprintf(forward, sizeof(forward), "127.0.0.1:%u", hosts.dns);
	static struct slice none = SLICE_NONE;
	front.resolver = resolver_new(front.loop, &(struct resolver_options){ forward, &none });
	assert_non_null(front.resolver);
	(void)relay_sender_new(&front, &trust);
	assert_return_code(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), errno);
	link_connect(front.link, fds[0]);
	channel = channel_new(front.loop, fds[1], &events, NULL);
	return 0;
}

static int tear_down(void **state)
{
	close(hosts.in);
	waitpid(hosts.pid, NULL, 0);
	close(hosts.out);
	buffer_free(&hosts.said);
	folder_remove(folder);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_report_is_posted_once),
		cmocka_unit_test(with_mail_it_goes_both_ways),
		cmocka_unit_test(one_that_wants_it_later_gets_it_again),
		cmocka_unit_test(one_that_is_somebody_else_gets_nothing),
		cmocka_unit_test(one_that_hangs_holds_up_nobody),
		cmocka_unit_test(a_store_that_fails_for_a_moment_costs_an_attempt),
		cmocka_unit_test(answers_that_break_the_rules_are_refused),
	};
	log_set_level(LOG_NOTHING);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
