/* tests/unit/smtpd/relay_runner.c - the queue's runner on a store that cannot be read for a moment:
 * whichever read it is that fails, nothing is forgotten, and nobody is told that his mail is lost. How much
 * is under way to whom: one message to see whether he answers, then more. */
#include "tests/unit/smtpd/relay_bed.h"

#include "base/log.h"
#include "runtime/messages.h"
#include "storage/queue_priv.h"
#include "tests/unit/failing_reads.h"

enum { READS_MAX = 40 };

static struct config *config;
static unsigned deliveries, probes; /* that were given to the front */
static uint64_t last_entry;
static uint32_t conversations[16]; /* of the first */

bool channel_send(struct channel *channel, uint16_t type, uint32_t conversation,
		  struct slice payload, int fd)
{
	if (type != MESSAGE_DELIVER)
		return true;
	struct delivery_message message;
	assert_true(delivery_decode(payload, &message));
	last_entry = message.queue_id;
	probes += message.is_probe;
	if (deliveries < ARRAY_LEN(conversations))
		conversations[deliveries] = conversation;
	deliveries++;
	return true;
}

/* One of alice's that is due since so long; `is_late`: its time was over long ago. */
static void queue_mail_to(const char *path, int64_t due_ms, bool is_late)
{
	struct queue_entry entry = { 0 };
	if (is_late) {
		entry.envelope.deliver_by = DELIVER_BY_RETURN;
		entry.envelope.deliver_by_unix = clock_unix() - 5;
	}
	queue_mail(entry, path, due_ms, SLICE("Subject: x\r\n\r\nx\r\n"));
}

static void queue_one(bool is_late)
{
	queue_mail_to("bob@far.example", 10, is_late);
}

static void begin(const struct config *with)
{
	back_begin(with);
	deliveries = probes = 0;
	runner_begin();
}

static void end(void)
{
	runner_end();
	back_end();
}

/* It is with the front, due some time, or on its way to the disk; or all destinations will be looked
 * at again. */
static bool is_known(void)
{
	return runner->transfer_count > 0 || runner->heap_count > 0 || runner->looks_again;
}

/* True: there were so many reads. */
static bool fails_once(int reads, bool is_late)
{
	bed_begin(&bed, STORE_SERVE);
	queue_one(is_late);
	back_begin(config);
	deliveries = 0;
	failed_reads = 0;
	reads_left = reads;
	runner_begin();
	for (unsigned i = 0; i < 10; i++)
		loop_run_once(back.loop, 20);
	reads_left = NEVER;
	if (is_late) {
		assert_int_equal(bed_queued(&bed) + messages(), 1);
		assert_true(bed_queued(&bed) == 0 || is_known());
		assert_int_equal(deliveries, 0);
	} else {
		assert_int_equal(bed_queued(&bed), 1);
		assert_int_equal(messages(), 0);
		assert_true(is_known());
		assert_true(failed_reads > 0 || deliveries == 1);
	}
	end();
	return failed_reads > 0;
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

static void say_outcome(uint32_t conversation, const struct delivered_recipient *recipient,
			bool is_down)
{
	struct buffer payload = { 0 };
	delivered_encode(&(struct delivered_message){ .is_down = is_down, .recipient_count = 1 },
			 &payload);
	delivered_encode_recipient(recipient, &payload);
	assert_true(relay_runner_message(runner, front, MESSAGE_DELIVERED, conversation,
					 buffer_slice(&payload)));
	buffer_free(&payload);
}

static void succeed(uint32_t conversation)
{
	say_outcome(conversation,
		    &(struct delivered_recipient){
			    .verdict = DELIVERY_TAKEN, .code = 250, .words = SLICE("250 fine") },
		    false);
}

static void time_out(uint32_t conversation)
{
	say_outcome(conversation,
		    &(struct delivered_recipient){ .verdict = DELIVERY_LATER,
						   .status = SLICE("4.4.1"),
						   .words = SLICE("could not be reached") },
		    true);
}

static bool answered(uint32_t conversation, struct slice payload)
{
	return relay_runner_message(runner, front, MESSAGE_DELIVERY_ANSWERED, conversation,
				    payload);
}

/* So many were given to the front, and no more are. */
static void until_delivered(unsigned count)
{
	while (deliveries < count)
		loop_run_once(back.loop, 20);
	for (unsigned i = 0; i < 10; i++)
		loop_run_once(back.loop, 20);
	assert_int_equal(deliveries, count);
}

/* Many destinations wait for one smarthost. Those whose turn comes first come to nothing, since it is too
 * late for them; the one behind them has its turn all the same. */
static void who_waits_behind_nothing_has_its_turn(void **state)
{
	enum { LATE = 40 };
	struct config *shared = config_with("[relay]\nsmarthost = hub.example:25\n");
	bed_begin(&bed, STORE_SERVE);
	char path[32];
	for (int64_t i = 0; i < HOP_LIMIT_FIRST + LATE + 1; i++) {
		bool is_late = i >= HOP_LIMIT_FIRST && i < HOP_LIMIT_FIRST + LATE;
		snprintf(path, sizeof(path), "bob@d%lld.example", (long long)i);
		queue_mail_to(path, 10000 - i * 10, is_late);
	}
	begin(shared);
	until_delivered(1);
	succeed(conversations[0]);
	while (deliveries < HOP_LIMIT_FIRST)
		loop_run_once(back.loop, 20);
	for (unsigned i = 1; i < HOP_LIMIT_FIRST; i++)
		succeed(conversations[i]);
	for (unsigned i = 0;
	     i < 1000 && (deliveries == HOP_LIMIT_FIRST || runner->transfer_count > 1); i++)
		loop_run_once(back.loop, 20);
	assert_int_equal(deliveries, HOP_LIMIT_FIRST + 1);
	assert_int_equal(bed_queued(&bed), 1);
	assert_int_equal(messages(), LATE);
	end();
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
	queue_one(false);
	queue_one(false);
	assert_int_equal(bed_write(&bed, damage, &queue_id), ERR_OK);
	begin(config);
	while (deliveries == 0)
		loop_run_once(back.loop, 20);
	for (unsigned i = 0; i < 3; i++)
		loop_run_once(back.loop, 20);
	assert_int_equal(deliveries, 1);
	assert_int_equal(runner->transfer_count, 1);
	end_transfers();
	assert_int_equal(runner->transfer_count, 0);
	end();
	log_set_level(LOG_ERROR);
}

/* What is under way is passed over; one whose attempt came to nothing is the first again. */
static void one_that_ends_without_an_outcome_has_its_place_again(void **state)
{
	bed_begin(&bed, STORE_SERVE);
	for (int i = 0; i < HOP_LIMIT_FIRST + 2; i++)
		queue_one(false);
	begin(config);
	until_delivered(1);
	assert_true(answered(conversations[0], SLICE_NONE));
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
	end();
}

/* Such as the ten of a message for a thousand recipients. */
static void an_unknown_place_has_one_message_until_it_answers(void **state)
{
	bed_begin(&bed, STORE_SERVE);
	for (int i = 0; i < HOP_LIMIT_FIRST + 5; i++)
		queue_one(false);
	begin(config);
	until_delivered(1);
	assert_int_equal(probes, 1);
	assert_false(answered(conversations[0], SLICE("x")));
	assert_true(answered(conversations[0], SLICE_NONE));
	until_delivered(HOP_LIMIT_FIRST);
	assert_int_equal(probes, 1);
	/* Once is enough; and a success is worth one more. */
	assert_true(answered(conversations[1], SLICE_NONE));
	until_delivered(HOP_LIMIT_FIRST);
	succeed(conversations[0]);
	until_delivered(HOP_LIMIT_FIRST + 2);
	end();
}

/* Many of them, with a lot of mail for each, take a place each; others find theirs. */
static void places_that_do_not_answer_hold_one_of_ours_each(void **state)
{
	enum { SILENT = 60, MAIL_FOR_EACH = 4 };
	bed_begin(&bed, STORE_SERVE);
	char path[32];
	for (int i = 0; i < SILENT * MAIL_FOR_EACH; i++) {
		snprintf(path, sizeof(path), "bob@d%d.example", i / MAIL_FOR_EACH);
		queue_mail_to(path, 10000 - i, false);
	}
	begin(config);
	until_delivered(SILENT);
	assert_int_equal(probes, SILENT);
	for (size_t i = 0; i < RUNNER_BUCKETS; i++)
		for (const struct hop *hop = runner->hops[i]; hop; hop = hop->next)
			assert_int_equal(hop->under_way, 1);
	queue_one(false);
	until_delivered(SILENT + 1);
	end();
}

/* Time after time one message, then none at all: what is left is put off. */
static void a_place_that_never_answers_is_left_alone(void **state)
{
	bed_begin(&bed, STORE_SERVE);
	for (int i = 0; i < HOP_FAILURES_MAX + 3; i++)
		queue_one(false);
	begin(config);
	for (unsigned i = 0; i < HOP_FAILURES_MAX; i++) {
		until_delivered(i + 1);
		time_out(conversations[i]);
	}
	until_delivered(HOP_FAILURES_MAX);
	assert_int_equal(probes, 1);
	while (runner->transfer_count > 0)
		loop_run_once(back.loop, 20);
	assert_int_equal(bed_queued(&bed), HOP_FAILURES_MAX + 3);
	assert_true(runner->heap[1]->due_unix_ms > clock_unix_ms());
	end();
}

static void who_has_answered_needs_no_probe_again(void **state)
{
	bed_begin(&bed, STORE_SERVE);
	queue_one(false);
	begin(config);
	until_delivered(1);
	succeed(conversations[0]);
	while (bed_queued(&bed) > 0 || runner->transfer_count > 0)
		loop_run_once(back.loop, 20);
	for (int i = 0; i < HOP_LIMIT_FIRST + 2; i++)
		queue_one(false);
	until_delivered(1 + HOP_LIMIT_FIRST);
	assert_int_equal(probes, 1);
	end();
}

static size_t hops_known(void)
{
	size_t count = 0;
	for (size_t i = 0; i < RUNNER_BUCKETS; i++)
		for (const struct hop *hop = runner->hops[i]; hop; hop = hop->next)
			count++;
	return count;
}

/* Ever new places that did not answer once: not all of them are remembered. One that is left alone is, and
 * so is one that something is under way to. */
static void troubles_with_new_places_have_an_end(void **state)
{
	enum { PLACES = 3 * RUNNER_HOPS_MAX, PAUSE_MS = 3600 * 1000 };
	int64_t now_ms = clock_unix_ms();
	char name[32];
	bed_begin(&bed, STORE_SERVE);
	begin(config);
	struct hop *busy = hop_get(runner, SLICE("busy.example"));
	busy->under_way = 1;
	struct hop *down = hop_get(runner, SLICE("down.example"));
	for (unsigned i = 0; i < HOP_FAILURES_MAX; i++)
		hop_note_failure(&down->pace, now_ms, PAUSE_MS);
	for (unsigned i = 0; i < PLACES; i++) {
		snprintf(name, sizeof(name), "d%u.example", i);
		struct hop *hop = hop_get(runner, slice_cstr(name));
		hop_note_failure(&hop->pace, now_ms, PAUSE_MS);
		hop_forget(runner, hop);
	}
	assert_in_range(hops_known(), 2, RUNNER_HOPS_MAX);
	assert_int_equal(hops_known(), runner->hop_count);
	assert_ptr_equal(hop_get(runner, SLICE("busy.example")), busy);
	assert_ptr_equal(hop_get(runner, SLICE("down.example")), down);
	assert_true(hop_is_down(&down->pace, now_ms));
	busy->under_way = 0;
	hop_forget(runner, busy);
	assert_int_equal(hops_known(), runner->hop_count);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_read_that_fails_forgets_nothing),
		cmocka_unit_test(a_read_that_fails_loses_no_report),
		cmocka_unit_test(who_waits_behind_nothing_has_its_turn),
		cmocka_unit_test(a_damaged_entry_holds_up_nobody),
		cmocka_unit_test(one_that_ends_without_an_outcome_has_its_place_again),
		cmocka_unit_test(an_unknown_place_has_one_message_until_it_answers),
		cmocka_unit_test(places_that_do_not_answer_hold_one_of_ours_each),
		cmocka_unit_test(a_place_that_never_answers_is_left_alone),
		cmocka_unit_test(who_has_answered_needs_no_probe_again),
		cmocka_unit_test(troubles_with_new_places_have_an_end),
	};
	log_set_level(LOG_ERROR);
	config = config_with("");
	int status = cmocka_run_group_tests(tests, NULL, NULL);
	config_free(config);
	return status;
}
