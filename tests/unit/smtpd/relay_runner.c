/* tests/unit/smtpd/relay_runner.c - the queue's runner on a store that cannot be read for a moment:
 * whichever read it is that fails, nothing is forgotten, and nobody is told that his mail is lost. */
#include "tests/unit/storage/bed.h"

#include <dlfcn.h>
#include <errno.h>
#include <lmdb.h>

#include "base/clock.h"
#include "base/log.h"
#include "runtime/messages.h"
#include "smtpd/relay/runner_priv.h"
#include "storage/blob.h"
#include "storage/queue_priv.h"

enum { NEVER = -1, READS_MAX = 40 };

static struct bed bed;
static struct back back;
static struct config *config;
static unsigned deliveries;
static uint64_t last_entry;	   /* that was given to the front */
static uint32_t conversations[16]; /* of the first */
/* Read transactions of this thread, before one of them fails. */
static _Thread_local int reads_left = NEVER;
static bool has_failed;

static bool fails(void)
{
	bool now = reads_left == 0;
	if (reads_left != NEVER)
		reads_left--;
	has_failed |= now;
	return now;
}

int mdb_txn_begin(MDB_env *env, MDB_txn *parent, unsigned flags, MDB_txn **txn_out)
{
	int (*true_one)(MDB_env *, MDB_txn *, unsigned, MDB_txn **);
	*(void **)&true_one = dlsym(RTLD_NEXT, "mdb_txn_begin");
	return (flags & MDB_RDONLY) && fails() ? EIO : true_one(env, parent, flags, txn_out);
}

int mdb_txn_renew(MDB_txn *txn)
{
	int (*true_one)(MDB_txn *);
	*(void **)&true_one = dlsym(RTLD_NEXT, "mdb_txn_renew");
	return fails() ? EIO : true_one(txn);
}

bool channel_send(struct channel *channel, uint16_t type, uint32_t conversation,
		  struct slice payload, int fd)
{
	if (type != MESSAGE_DELIVER)
		return true;
	struct delivery_message message;
	assert_true(delivery_decode(payload, &message));
	last_entry = message.queue_id;
	if (deliveries < ARRAY_LEN(conversations))
		conversations[deliveries] = conversation;
	deliveries++;
	return true;
}

static enum err add_entry(struct write *write, void *arg)
{
	struct queue_entry *entry = arg;
	return queue_add(write, entry);
}

struct mail {
	struct queue_entry entry;
	struct intake *intake;
};

static enum err add_mail(struct write *write, void *arg)
{
	struct mail *mail = arg;
	mail->entry.size_octets = intake_size_octets(mail->intake);
	enum err err = intake_commit(write, mail->intake, &mail->entry.blob_id);
	return err == ERR_OK ? add_entry(write, &mail->entry) : err;
}

/* One of alice's that is due since so long; `is_late`: its time was over long ago. */
static void queue_mail_to(const char *path, int64_t due_ms, bool is_late)
{
	struct envelope_recipient recipient = { .forward_path = slice_cstr(path) };
	struct mail mail = {
		.entry = { .account_id = bed.account_id,
			   .arrived_unix = clock_unix() - 10,
			   .next_unix_ms = clock_unix_ms() - due_ms,
			   .envelope = { .reverse_path = SLICE("alice@example.org") },
			   .recipients = &recipient,
			   .recipient_count = 1 },
		.intake = intake_new(bed.store, NULL, NULL, NULL),
	};
	if (is_late) {
		mail.entry.envelope.deliver_by = DELIVER_BY_RETURN;
		mail.entry.envelope.deliver_by_unix = clock_unix() - 5;
	}
	intake_feed(mail.intake,
		    SLICE("Return-Path: <alice@example.org>\r\nSubject: x\r\n\r\nx\r\n"));
	assert_int_equal(intake_finish(mail.intake), ERR_OK);
	assert_int_equal(bed_write(&bed, add_mail, &mail), ERR_OK);
	intake_free(&mail.intake);
}

static void queue_mail(bool is_late)
{
	queue_mail_to("bob@far.example", 10, is_late);
}

static uint32_t mail_of_alice(void)
{
	struct mailbox mailbox = { 0 };
	struct read *read = read_begin(bed.store);
	assert_int_equal(mailbox_get(read, bed.inbox_id, &bed.arena, &mailbox), ERR_OK);
	read_end(&read);
	return mailbox.messages;
}

static uint64_t queued(void)
{
	struct read *read = read_begin(bed.store);
	uint64_t count = queue_count(read);
	read_end(&read);
	return count;
}

/* It is with the front, due some time, or on its way to the disk; or all destinations will be looked
 * at again. */
static bool is_known(const struct relay_runner *runner)
{
	return runner->transfer_count > 0 || runner->heap_count > 0 || runner->looks_again;
}

/* True: there were so many reads. */
static bool fails_once(int reads, bool is_late)
{
	bed_begin(&bed, STORE_SERVE);
	queue_mail(is_late);
	store_start_writer(bed.store);
	back = (struct back){ .loop = loop_new(0), .store = bed.store, .config = config };
	deliveries = 0;
	has_failed = false;
	reads_left = reads;
	struct relay_runner *runner = relay_runner_new(&back);
	relay_runner_add_channel(runner, (struct channel *)&deliveries);
	for (unsigned i = 0; i < 10; i++)
		loop_run_once(back.loop, 20);
	reads_left = NEVER;
	if (is_late) {
		assert_int_equal(queued() + mail_of_alice(), 1);
		assert_true(queued() == 0 || is_known(runner));
		assert_int_equal(deliveries, 0);
	} else {
		assert_int_equal(queued(), 1);
		assert_int_equal(mail_of_alice(), 0);
		assert_true(is_known(runner));
		assert_true(has_failed || deliveries == 1);
	}
	for (size_t i = 0; i < RUNNER_BUCKETS; i++)
		while (runner->numbers[i])
			runner_end_transfer(runner->numbers[i]);
	relay_runner_free(&runner);
	for (unsigned i = 0; i < 3; i++)
		loop_run_once(back.loop, 20);
	bed_end(&bed);
	loop_free(back.loop);
	return has_failed;
}

static void a_read_that_fails_forgets_nothing(void **state)
{
	int reads = 0;
	while (reads < READS_MAX && fails_once(reads, false))
		reads++;
	assert_in_range(reads, 4, READS_MAX - 1);
}

static void a_read_that_fails_loses_no_report(void **state)
{
	int reads = 0;
	while (reads < READS_MAX && fails_once(reads, true))
		reads++;
	assert_in_range(reads, 4, READS_MAX - 1);
}

static void succeed(struct relay_runner *runner, uint32_t conversation)
{
	struct buffer payload = { 0 };
	const struct delivered_recipient recipient = { .verdict = DELIVERY_TAKEN,
						       .code = 250,
						       .words = SLICE("250 fine") };
	delivered_encode(&(struct delivered_message){ .recipient_count = 1 }, &payload);
	delivered_encode_recipient(&recipient, &payload);
	assert_true(relay_runner_message(runner, (struct channel *)&deliveries, MESSAGE_DELIVERED,
					 conversation, buffer_slice(&payload)));
	buffer_free(&payload);
}

/* Many destinations wait for one smarthost. Those whose turn comes first come to nothing, since it is too
 * late for them; the one behind them has its turn all the same. */
static void who_waits_behind_nothing_has_its_turn(void **state)
{
	enum { LATE = 40 };
	struct config *shared =
		config_parse("test",
			     SLICE("[server]\nhostname = mx.example.org\nstate_dir = /nowhere\n"
				   "[relay]\nsmarthost = hub.example:25\n"),
			     stderr);
	assert_non_null(shared);
	bed_begin(&bed, STORE_SERVE);
	char path[32];
	for (int64_t i = 0; i < HOP_LIMIT_FIRST + LATE + 1; i++) {
		bool is_late = i >= HOP_LIMIT_FIRST && i < HOP_LIMIT_FIRST + LATE;
		snprintf(path, sizeof(path), "bob@d%lld.example", (long long)i);
		queue_mail_to(path, 10000 - i * 10, is_late);
	}
	store_start_writer(bed.store);
	back = (struct back){ .loop = loop_new(0), .store = bed.store, .config = shared };
	deliveries = 0;
	struct relay_runner *runner = relay_runner_new(&back);
	relay_runner_add_channel(runner, (struct channel *)&deliveries);
	while (deliveries < HOP_LIMIT_FIRST)
		loop_run_once(back.loop, 20);
	for (unsigned i = 0; i < HOP_LIMIT_FIRST; i++)
		succeed(runner, conversations[i]);
	for (unsigned i = 0;
	     i < 1000 && (deliveries == HOP_LIMIT_FIRST || runner->transfer_count > 1); i++)
		loop_run_once(back.loop, 20);
	assert_int_equal(deliveries, HOP_LIMIT_FIRST + 1);
	assert_int_equal(queued(), 1);
	assert_int_equal(mail_of_alice(), LATE);
	for (size_t i = 0; i < RUNNER_BUCKETS; i++)
		while (runner->numbers[i])
			runner_end_transfer(runner->numbers[i]);
	relay_runner_free(&runner);
	for (unsigned i = 0; i < 3; i++)
		loop_run_once(back.loop, 20);
	bed_end(&bed);
	loop_free(back.loop);
	config_free(shared);
}

static enum err damage(struct write *write, void *arg)
{
	struct key key;
	key_queue_entry(&key, *(uint64_t *)arg);
	return db_put(write, DB_QUEUE, key_slice(&key), SLICE("noise"), PUT_ANY);
}

/* Nothing is under way for one that cannot be read: it takes nobody's place. */
static void a_damaged_entry_holds_up_nobody(void **state)
{
	uint64_t queue_id = 1;
	log_set_level(LOG_NOTHING);
	bed_begin(&bed, STORE_SERVE);
	queue_mail(false);
	queue_mail(false);
	assert_int_equal(bed_write(&bed, damage, &queue_id), ERR_OK);
	store_start_writer(bed.store);
	back = (struct back){ .loop = loop_new(0), .store = bed.store, .config = config };
	deliveries = 0;
	struct relay_runner *runner = relay_runner_new(&back);
	relay_runner_add_channel(runner, (struct channel *)&deliveries);
	while (deliveries == 0)
		loop_run_once(back.loop, 20);
	for (unsigned i = 0; i < 3; i++)
		loop_run_once(back.loop, 20);
	assert_int_equal(deliveries, 1);
	assert_int_equal(runner->transfer_count, 1);
	for (size_t i = 0; i < RUNNER_BUCKETS; i++)
		while (runner->numbers[i])
			runner_end_transfer(runner->numbers[i]);
	assert_int_equal(runner->transfer_count, 0);
	relay_runner_free(&runner);
	bed_end(&bed);
	loop_free(back.loop);
	log_set_level(LOG_ERROR);
}

/* What is under way is passed over; one whose attempt came to nothing is the first again. */
static void one_that_ends_without_an_outcome_has_its_place_again(void **state)
{
	bed_begin(&bed, STORE_SERVE);
	for (int i = 0; i < HOP_LIMIT_FIRST + 2; i++)
		queue_mail(false);
	store_start_writer(bed.store);
	back = (struct back){ .loop = loop_new(0), .store = bed.store, .config = config };
	deliveries = 0;
	struct relay_runner *runner = relay_runner_new(&back);
	relay_runner_add_channel(runner, (struct channel *)&deliveries);
	while (deliveries < HOP_LIMIT_FIRST)
		loop_run_once(back.loop, 20);
	for (uint64_t again = 2; again <= HOP_LIMIT_FIRST; again += 2) {
		struct transfer *transfer = NULL;
		unsigned before = deliveries;
		for (size_t i = 0; i < RUNNER_BUCKETS && !transfer; i++)
			for (struct transfer *t = runner->numbers[i]; t; t = t->next_number)
				if (t->entry.queue_id == again)
					transfer = t;
		assert_non_null(transfer);
		runner_end_transfer(transfer);
		runner_dispatch(runner);
		assert_int_equal(deliveries, before + 1);
		assert_int_equal(last_entry, again);
	}
	for (size_t i = 0; i < RUNNER_BUCKETS; i++)
		while (runner->numbers[i])
			runner_end_transfer(runner->numbers[i]);
	relay_runner_free(&runner);
	bed_end(&bed);
	loop_free(back.loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_read_that_fails_forgets_nothing),
		cmocka_unit_test(a_read_that_fails_loses_no_report),
		cmocka_unit_test(who_waits_behind_nothing_has_its_turn),
		cmocka_unit_test(a_damaged_entry_holds_up_nobody),
		cmocka_unit_test(one_that_ends_without_an_outcome_has_its_place_again),
	};
	log_set_level(LOG_ERROR);
	config = config_parse("test",
			      SLICE("[server]\nhostname = mx.example.org\nstate_dir = /nowhere\n"),
			      stderr);
	assert_non_null(config);
	int status = cmocka_run_group_tests(tests, NULL, NULL);
	config_free(config);
	return status;
}
