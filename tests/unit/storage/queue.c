/* tests/unit/storage/queue.c - mail that leaves: entries by destination, their order, the body
 * that they share, and what verify and backup know of them. */
#include "tests/unit/storage/bed.h"

#include "base/clock.h"
#include "storage/queue_priv.h"
#include "storage/verify.h"

struct op {
	struct queue_entry entry;
	struct slice text;
	uint64_t inbox_id; /* also filed there; 0: only queued */
	struct intake *intake;
	uint64_t queue_id;
};

static enum err add_run(struct write *write, void *arg)
{
	struct op *op = arg;
	struct message_entry entry = { .size_octets = intake_size_octets(op->intake) };
	uint32_t uid;
	op->entry.size_octets = entry.size_octets;
	enum err err = intake_commit(write, op->intake, &op->entry.blob_id);
	entry.blob_id = op->entry.blob_id;
	if (err == ERR_OK && op->inbox_id)
		err = message_append(write, op->inbox_id, &entry, NULL, 0, &uid);
	return err == ERR_OK ? queue_add(write, &op->entry) : err;
}
static enum err put_run(struct write *write, void *arg)
{
	return queue_put(write, &((struct op *)arg)->entry);
}
static enum err remove_run(struct write *write, void *arg)
{
	return queue_remove(write, ((struct op *)arg)->queue_id);
}

static struct op op_of(const char *const *paths, size_t count, struct arena *arena)
{
	struct op op = { .text = SLICE("Subject: x\r\n\r\nhello\r\n") };
	op.entry = (struct queue_entry){
		.account_id = 1,
		.arrived_unix = 1700000000,
		.next_unix_ms = 1700000000000,
		.envelope = { .returns = DSN_RETURN_HEADERS,
			      .reverse_path = SLICE("alice@example.org"),
			      .envid = SLICE("id+2B1"),
			      .is_utf8 = true },
		.recipient_count = count,
	};
	op.entry.recipients = arena_alloc_array(arena, count, sizeof(*op.entry.recipients));
	for (size_t i = 0; i < count; i++)
		op.entry.recipients[i] = (struct envelope_recipient){
			.forward_path = slice_cstr(paths[i]),
			.orcpt = SLICE("rfc822;x@y.example"),
			.notify = DSN_FAILURE | DSN_DELAY,
		};
	return op;
}

static enum err add(struct bed *bed, struct op *op)
{
	return bed_take_in(bed, op->text, &op->intake, add_run, op);
}

static uint64_t references(struct bed *bed, uint64_t blob_id)
{
	struct read *read = read_begin(bed->store);
	struct key key;
	struct slice value;
	uint64_t count = 1;
	key_be64(&key, blob_id);
	if (db_get(read, DB_REFERENCE, key_slice(&key), &value) == ERR_OK)
		assert_true(number_decode(value, &count));
	key_garbage(&key, GARBAGE_BLOB, blob_id);
	if (db_has(read, DB_GARBAGE, key_slice(&key)))
		count = 0;
	read_end(&read);
	return count;
}

/* Destinations with their entries' numbers in order: "a.example:1,2 b.example:3". */
static void places(struct bed *bed, struct buffer *out)
{
	struct read *read = read_begin(bed->store);
	struct slice destination = SLICE_NONE;
	buffer_clear(out);
	while (queue_next_destination(read, destination, &bed->arena, &destination)) {
		struct queue_place place = { 0 };
		buffer_add_format(out, "%s%.*s:", out->len ? " " : "", SLICE_ARG(destination));
		for (bool first = true; queue_next_due(read, destination, &place); first = false)
			buffer_add_format(out, "%s%d", first ? "" : ",", (int)place.queue_id);
	}
	buffer_add_byte(out, 0);
	read_end(&read);
}

static void count_problem(void *user, const struct verify_problem *problem)
{
	print_message("# %s: %s\n", verify_kind_word(problem->kind), problem->what);
	*(enum verify_kind *)user = problem->kind;
}

static uint64_t problems(struct bed *bed, bool repair, enum verify_kind *kind_out)
{
	struct verify_counts counts;
	struct verify_watcher watcher = { .problem = count_problem, .user = kind_out };
	assert_int_equal(verify_run(bed->store, repair, &watcher, &counts), ERR_OK);
	return counts.problems;
}

static void is_split_by_destination(void **state)
{
	static const char *const paths[] = { "bob@b.example", "Ann@A.Example", "carl@b.example",
					     "dora@[192.0.2.1]", "eve@xn--bcher-kva.example" };
	struct bed bed;
	struct buffer text = { 0 };
	struct queue_entry entry;
	enum verify_kind kind;
	bed_begin(&bed, STORE_CREATE);
	struct op op = op_of(paths, ARRAY_LEN(paths), &bed.arena);
	op.inbox_id = bed.inbox_id;
	assert_int_equal(add(&bed, &op), ERR_OK);
	assert_int_equal(references(&bed, op.entry.blob_id), 5);
	places(&bed, &text);
	assert_string_equal(text.data,
			    "[192.0.2.1]:1 a.example:2 b.example:3 xn--bcher-kva.example:4");
	struct read *read = read_begin(bed.store);
	assert_int_equal(queue_get(read, 3, &bed.arena, &entry), ERR_OK);
	assert_int_equal(queue_get(read, 5, &bed.arena, &(struct queue_entry){ 0 }), ERR_NOT_FOUND);
	read_end(&read);
	assert_int_equal(entry.recipient_count, 2);
	assert_true(slice_eq(entry.recipients[0].forward_path, SLICE("bob@b.example")));
	assert_true(slice_eq(entry.recipients[1].forward_path, SLICE("carl@b.example")));
	assert_true(slice_eq(entry.recipients[1].orcpt, SLICE("rfc822;x@y.example")));
	assert_int_equal(entry.recipients[0].notify, DSN_FAILURE | DSN_DELAY);
	assert_true(slice_eq(entry.envelope.envid, SLICE("id+2B1")) && entry.envelope.is_utf8 &&
		    !entry.is_held);
	assert_int_equal(entry.envelope.returns, DSN_RETURN_HEADERS);
	assert_int_equal(problems(&bed, false, &kind), 0);
	for (op.queue_id = 1; op.queue_id <= 4; op.queue_id++)
		assert_int_equal(bed_write(&bed, remove_run, &op), ERR_OK);
	assert_int_equal(references(&bed, op.entry.blob_id), 1);
	assert_int_equal(bed_queued(&bed), 0);
	op.queue_id = 4;
	assert_int_equal(bed_write(&bed, remove_run, &op), ERR_NOT_FOUND);
	assert_int_equal(problems(&bed, false, &kind), 0);
	buffer_free(&text);
	bed_end(&bed);
}

static void numbers_are_not_given_again(void **state)
{
	static const char *const paths[] = { "bob@b.example" };
	struct bed bed;
	bed_begin(&bed, STORE_CREATE);
	struct op op = op_of(paths, 1, &bed.arena);
	assert_int_equal(add(&bed, &op), ERR_OK);
	op.queue_id = 1;
	assert_int_equal(bed_write(&bed, remove_run, &op), ERR_OK);
	assert_int_equal(references(&bed, op.entry.blob_id), 0);
	assert_int_equal(add(&bed, &op), ERR_OK);
	struct read *read = read_begin(bed.store);
	struct queue_entry entry;
	uint64_t queue_id = 0;
	assert_true(queue_next(read, &queue_id, &bed.arena, &entry));
	assert_int_equal(queue_id, 2);
	assert_false(queue_next(read, &queue_id, &bed.arena, &entry));
	read_end(&read);
	bed_end(&bed);
}

static void many_recipients_are_many_entries(void **state)
{
	enum { COUNT = 2 * QUEUE_RECIPIENTS_MAX + 1 };
	const char *paths[COUNT];
	struct bed bed;
	bed_begin(&bed, STORE_CREATE);
	for (int i = 0; i < COUNT; i++)
		paths[i] = arena_format(&bed.arena, "user%d@b.example", i);
	struct op op = op_of(paths, COUNT, &bed.arena);
	assert_int_equal(add(&bed, &op), ERR_OK);
	assert_int_equal(bed_queued(&bed), 3);
	assert_int_equal(references(&bed, op.entry.blob_id), 3);
	bed_end(&bed);
}

static void bad_paths_are_refused_whole(void **state)
{
	static const char *const bad[] = { "bob@b.example", "nobody" };
	static const char *const worse[] = { "bob@b.example", "x@a..b" };
	struct bed bed;
	bed_begin(&bed, STORE_CREATE);
	struct op op = op_of(bad, 2, &bed.arena);
	assert_int_equal(add(&bed, &op), ERR_BAD_INPUT);
	op = op_of(worse, 2, &bed.arena);
	assert_int_equal(add(&bed, &op), ERR_BAD_INPUT);
	/* What could not be read again: control octets, and more than a path has. */
	static const char *const good[] = { "bob@b.example" };
	static const char *const control[] = { "bob\x02@b.example" };
	op = op_of(control, 1, &bed.arena);
	assert_int_equal(add(&bed, &op), ERR_BAD_INPUT);
	op = op_of(good, 1, &bed.arena);
	op.entry.envelope.reverse_path = SLICE("a\x02@example.org");
	assert_int_equal(add(&bed, &op), ERR_BAD_INPUT);
	uint8_t *path = arena_alloc(&bed.arena, ENVELOPE_PATH_MAX_OCTETS + 1);
	memset(path, 'x', ENVELOPE_PATH_MAX_OCTETS + 1);
	op.entry.envelope.reverse_path = slice_of(path, ENVELOPE_PATH_MAX_OCTETS + 1);
	assert_int_equal(add(&bed, &op), ERR_BAD_INPUT);
	assert_int_equal(bed_queued(&bed), 0);
	op.entry.envelope.reverse_path = slice_of(path, ENVELOPE_PATH_MAX_OCTETS);
	assert_int_equal(add(&bed, &op), ERR_OK);
	assert_int_equal(bed_queued(&bed), 1);
	bed_end(&bed);
}

static void are_in_order_of_priority_and_time(void **state)
{
	static const char *const paths[] = { "bob@b.example" };
	static const struct {
		int8_t priority;
		int64_t next_unix_ms;
	} given[] = { { 0, 300 }, { 0, 100 }, { 9, 900 }, { -9, 1 }, { 0, 200 } };
	struct bed bed;
	struct buffer text = { 0 };
	bed_begin(&bed, STORE_CREATE);
	for (size_t i = 0; i < ARRAY_LEN(given); i++) {
		struct op op = op_of(paths, 1, &bed.arena);
		op.entry.envelope.priority = given[i].priority;
		op.entry.next_unix_ms = given[i].next_unix_ms;
		assert_int_equal(add(&bed, &op), ERR_OK);
	}
	places(&bed, &text);
	assert_string_equal(text.data, "b.example:3,2,5,1,4");

	/* Held, and tried later. */
	struct op op = { .queue_id = 2 };
	struct read *read = read_begin(bed.store);
	assert_int_equal(queue_get(read, 2, &bed.arena, &op.entry), ERR_OK);
	read_end(&read);
	op.entry.is_held = true;
	assert_int_equal(bed_write(&bed, put_run, &op), ERR_OK);
	places(&bed, &text);
	assert_string_equal(text.data, "b.example:3,2,5,1,4");
	op.entry.is_held = false;
	op.entry.next_unix_ms = 250;
	for (int i = 0; i < QUEUE_ATTEMPTS_MAX + 2; i++)
		queue_note_attempt(&op.entry, &bed.arena, i, SLICE("mx"), SLICE("450 later"));
	assert_int_equal(bed_write(&bed, put_run, &op), ERR_OK);
	places(&bed, &text);
	assert_string_equal(text.data, "b.example:3,5,2,1,4");
	read = read_begin(bed.store);
	assert_int_equal(queue_get(read, 2, &bed.arena, &op.entry), ERR_OK);
	struct queue_place place = { 0 };
	assert_true(queue_next_due(read, SLICE("b.example"), &place));
	queue_place_skip_rank(&place);
	assert_true(queue_next_due(read, SLICE("b.example"), &place));
	assert_int_equal(place.queue_id, 5);
	queue_place_skip_rank(&place);
	assert_true(queue_next_due(read, SLICE("b.example"), &place));
	assert_int_equal(place.queue_id, 4);
	queue_place_skip_rank(&place);
	assert_false(queue_next_due(read, SLICE("b.example"), &place));
	read_end(&read);
	assert_int_equal(op.entry.attempt_count, QUEUE_ATTEMPTS_MAX);
	assert_int_equal(op.entry.attempts_made, QUEUE_ATTEMPTS_MAX + 2);
	assert_int_equal(op.entry.attempts[0].at_unix, 2);
	op.entry.queue_id = 77;
	assert_int_equal(bed_write(&bed, put_run, &op), ERR_NOT_FOUND);
	buffer_free(&text);
	bed_end(&bed);
}

/* What is forwarded says by which domain of ours, and there is a key for its path. */
static void forwarders_are_kept(void **state)
{
	static const char *const paths[] = { "bob@b.example" };
	uint8_t secret[QUEUE_SECRET_OCTETS], again[QUEUE_SECRET_OCTETS];
	struct bed bed;
	struct queue_entry entry;
	enum verify_kind kind;
	bed_begin(&bed, STORE_CREATE);
	struct op op = op_of(paths, 1, &bed.arena);
	assert_int_equal(add(&bed, &op), ERR_OK);
	struct read *read = read_begin(bed.store);
	assert_false(queue_secret(read, secret));
	assert_int_equal(queue_get(read, 1, &bed.arena, &entry), ERR_OK);
	assert_int_equal(entry.forwarder.len, 0);
	read_end(&read);
	for (uint64_t queue_id = 2; queue_id <= 3; queue_id++) {
		op.entry.forwarder = SLICE("ours.example");
		assert_int_equal(add(&bed, &op), ERR_OK);
		read = read_begin(bed.store);
		assert_true(queue_secret(read, queue_id == 2 ? secret : again));
		assert_int_equal(queue_get(read, queue_id, &bed.arena, &entry), ERR_OK);
		assert_slice(entry.forwarder, "ours.example");
		read_end(&read);
	}
	assert_memory_equal(secret, again, sizeof(secret));
	assert_int_equal(problems(&bed, false, &kind), 0);
	bed_end(&bed);
}

/* ---- verify ---- */

struct raw {
	struct key key;
	enum { DELETE, FLIP, COPY } how;
};
static enum err raw_run(struct write *write, void *arg)
{
	struct raw *raw = arg;
	struct slice value;
	enum err err = db_get(write_read(write), DB_QUEUE, key_slice(&raw->key), &value);
	if (err == ERR_OK && raw->how == DELETE)
		return db_del(write, DB_QUEUE, key_slice(&raw->key));
	struct buffer copy = { 0 };
	buffer_add(&copy, value);
	if (raw->how == FLIP)
		copy.data[0] ^= 1;
	else
		raw->key.octets[raw->key.len - 1] ^= 0x40;
	err = db_put(write, DB_QUEUE, key_slice(&raw->key), buffer_slice(&copy), PUT_ANY);
	buffer_free(&copy);
	return err;
}

static void verify_finds_and_mends(void **state)
{
	static const char *const paths[] = { "bob@b.example" };
	for (int round = 0; round < 4; round++) {
		struct bed bed;
		struct raw raw = { .how = round == 0 ? DELETE : round == 1 ? FLIP : COPY };
		enum verify_kind kind = VERIFY_KINDS;
		bed_begin(&bed, STORE_CREATE);
		struct op op = op_of(paths, 1, &bed.arena);
		assert_int_equal(add(&bed, &op), ERR_OK);
		struct queue_entry entry;
		struct read *read = read_begin(bed.store);
		assert_int_equal(queue_get(read, 1, &bed.arena, &entry), ERR_OK);
		read_end(&read);
		if (round == 1)
			key_queue_entry(&raw.key, 1);
		else
			assert_true(key_queue_due(&raw.key, &entry));
		if (round == 3)
			raw.key.len = 1, raw.key.octets[0] = QUEUE_ROW_NEXT, raw.how = FLIP;
		assert_int_equal(bed_write(&bed, raw_run, &raw), ERR_OK);
		assert_true(problems(&bed, false, &kind) > 0);
		problems(&bed, true, &kind);
		assert_int_equal(problems(&bed, false, &kind), 0);
		assert_int_equal(bed_queued(&bed), round == 1 ? 0 : 1);
		bed_end(&bed);
	}
}

/* ---- the watch ---- */

struct watcher {
	struct queue_watch watch;
	struct buffer heard;
};
static void on_changed(struct queue_watch *watch, struct slice destination)
{
	struct watcher *watcher = CONTAINER_OF(watch, struct watcher, watch);
	buffer_add(&watcher->heard, destination);
	buffer_add_cstr(&watcher->heard, " ");
}

static void tells_after_the_commit(void **state)
{
	static const char *const paths[] = { "bob@b.example", "ann@a.example" };
	struct bed bed;
	struct watcher watcher = { .watch.changed = on_changed };
	struct loop *loop = loop_new(0);
	bed_begin(&bed, STORE_CREATE);
	watcher.watch.loop = loop;
	queue_watch_begin(bed.store, &watcher.watch);
	struct op op = op_of(paths, 2, &bed.arena);
	assert_int_equal(add(&bed, &op), ERR_OK);
	loop_run_once(loop, 1000);
	assert_true(slice_eq(buffer_slice(&watcher.heard), SLICE("b.example a.example ")));
	op.queue_id = 1;
	assert_int_equal(bed_write(&bed, remove_run, &op), ERR_OK);
	queue_watch_end(bed.store, &watcher.watch);
	loop_run_once(loop, 0);
	assert_true(slice_eq(buffer_slice(&watcher.heard), SLICE("b.example a.example ")));
	buffer_free(&watcher.heard);
	bed_end(&bed);
	loop_free(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_split_by_destination),
		cmocka_unit_test(numbers_are_not_given_again),
		cmocka_unit_test(many_recipients_are_many_entries),
		cmocka_unit_test(bad_paths_are_refused_whole),
		cmocka_unit_test(are_in_order_of_priority_and_time),
		cmocka_unit_test(forwarders_are_kept),
		cmocka_unit_test(verify_finds_and_mends),
		cmocka_unit_test(tells_after_the_commit),
	};
	log_set_level(LOG_NOTHING);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
