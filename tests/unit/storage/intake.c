/* tests/unit/storage/intake.c - messages on their way in: streaming past the writer in little
 * memory, abandoned half-way, refused by a full disk, mixed with others. */
#include "tests/unit/storage/bed.h"

#include <malloc.h>
#include <semaphore.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "mail/digest.h"
#include "storage/garbage_priv.h"

enum { LARGE_OCTETS = 20 << 20, PIECE_OCTETS = 50000, MEMORY_MAX = 3 << 20 };

/* Of the address sanitizer, where it is there. */
extern size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

static size_t heap_octets(void)
{
	return __sanitizer_get_current_allocated_bytes ? __sanitizer_get_current_allocated_bytes()
						       : mallinfo2().uordblks;
}

struct sender {
	struct bed *bed;
	struct loop *loop;
	struct job job;
	struct intake *intake;
	size_t size, fed;
	unsigned seed;
	bool has_room, is_done;
	unsigned refused;
	enum err refuse; /* after writing */
	struct message_entry entry;
	uint32_t uid;
};

static void on_room(void *user)
{
	((struct sender *)user)->has_room = true;
}

/* Any stretch of the large text, without the text. */
static void text_piece(unsigned seed, size_t at, size_t len, uint8_t *out)
{
	for (size_t i = 0; i < len; i++) {
		uint64_t x = (at + i) / 8 * 0x9E3779B97F4A7C15u + seed;
		x ^= x >> 29;
		size_t column = (at + i) % 72;
		out[i] = column == 70	? '\r'
			 : column == 71 ? '\n'
					: (uint8_t)('a' + (x >> ((at + i) % 8 * 4) & 15));
	}
}

static void sender_begin(struct sender *sender, struct bed *bed, struct loop *loop, unsigned seed,
			 size_t size)
{
	*sender = (struct sender){
		.bed = bed, .loop = loop, .seed = seed, .size = size, .has_room = true
	};
	sender->intake = intake_new(bed->store, loop, on_room, sender);
}

/* One piece; false at the end. */
static bool sender_feed(struct sender *sender)
{
	uint8_t piece[PIECE_OCTETS];
	size_t len = sender->size - sender->fed;
	if (len > PIECE_OCTETS)
		len = PIECE_OCTETS;
	if (len == 0)
		return false;
	text_piece(sender->seed, sender->fed, len, piece);
	sender->has_room = intake_feed(sender->intake, slice_of(piece, len));
	sender->refused += !sender->has_room;
	sender->fed += len;
	while (!sender->has_room)
		loop_run_once(sender->loop, 1000);
	return true;
}

static enum err sender_run(struct write *write, struct job *job)
{
	struct sender *sender = CONTAINER_OF(job, struct sender, job);
	sender->entry.size_octets = intake_size_octets(sender->intake);
	enum err err = intake_commit(write, sender->intake, &sender->entry.blob_id);
	if (err == ERR_OK)
		err = message_append(write, sender->bed->inbox_id, &sender->entry, NULL, 0,
				     &sender->uid);
	return err == ERR_OK ? sender->refuse : err;
}

static void sender_done(struct job *job)
{
	CONTAINER_OF(job, struct sender, job)->is_done = true;
}

static enum err sender_commit(struct sender *sender)
{
	enum err err = intake_finish(sender->intake);
	if (err != ERR_OK)
		return err;
	sender->job = (struct job){ .run = sender_run, .done = sender_done, .loop = sender->loop };
	store_submit(sender->bed->store, &sender->job);
	while (!sender->is_done)
		loop_run_once(sender->loop, 1000);
	return sender->job.outcome;
}

static void assert_reads_back(struct sender *sender, size_t step)
{
	static uint8_t want[3 * BLOB_CHUNK_OCTETS];
	struct buffer out = { 0 };
	struct read *read = read_begin(sender->bed->store);
	for (size_t at = 0; at < sender->size; at += step) {
		size_t len = step < sizeof(want) ? step : sizeof(want);
		if (len > sender->size - at)
			len = sender->size - at;
		buffer_clear(&out);
		assert_int_equal(blob_read(read, sender->entry.blob_id, at, len, &out), ERR_OK);
		assert_int_equal(out.len, len);
		text_piece(sender->seed, at, len, want);
		assert_memory_equal(out.data, want, len);
	}
	read_end(&read);
	buffer_free(&out);
}

struct place {
	struct bed bed;
	struct loop *loop;
};

static void place_begin(struct place *place)
{
	bed_begin(&place->bed, STORE_SERVE);
	place->loop = loop_new(0);
	store_start_writer(place->bed.store);
}

static void place_end(struct place *place)
{
	store_close(&place->bed.store);
	loop_run_once(place->loop, 0);
	loop_free(place->loop);
	bed_end(&place->bed);
}

static void streams_in_little_memory(void **state)
{
	struct place place;
	struct sender sender;
	place_begin(&place);
	size_t before = heap_octets(), most = 0;
	sender_begin(&sender, &place.bed, place.loop, 1, LARGE_OCTETS);
	while (sender_feed(&sender)) {
		size_t now = heap_octets();
		most = now > before + most ? now - before : most;
	}
	assert_int_equal(sender_commit(&sender), ERR_OK);
	intake_free(&sender.intake);
	assert_in_range(most, 1, MEMORY_MAX);
	assert_true(sender.refused > 0);
	assert_int_equal(sender.entry.size_octets, LARGE_OCTETS);
	assert_int_equal(bed_count_rows(&place.bed, DB_PENDING), 0);
	assert_int_equal(bed_count_rows(&place.bed, DB_GARBAGE), 0);
	assert_reads_back(&sender, 3 * BLOB_CHUNK_OCTETS - 17);

	/* Its structure was read on the way. */
	struct arena arena = { 0 };
	struct slice record;
	struct mime_part *root;
	struct read *read = read_begin(place.bed.store);
	assert_int_equal(blob_digest(read, sender.entry.blob_id, &arena, &record), ERR_OK);
	assert_true(digest_decode(record, &arena, &root));
	assert_int_equal(root->body_end, LARGE_OCTETS);
	read_end(&read);
	arena_fini(&arena);
	place_end(&place);
}

static void lets_several_stream_at_once(void **state)
{
	enum { SENDERS = 5 };
	struct place place;
	struct sender senders[SENDERS];
	place_begin(&place);
	for (unsigned i = 0; i < SENDERS; i++)
		sender_begin(&senders[i], &place.bed, place.loop, i, 250000 * (i + 1) + i);
	bool more = true;
	while (more) {
		more = false;
		for (unsigned i = 0; i < SENDERS; i++)
			more |= sender_feed(&senders[i]);
		struct bed_append small = { .mailbox_id = place.bed.inbox_id,
					    .text = SLICE("a: b\r\n\r\nsmall\r\n") };
		assert_int_equal(bed_append(&place.bed, &small), ERR_OK);
	}
	for (unsigned i = 0; i < SENDERS; i++) {
		assert_int_equal(sender_commit(&senders[i]), ERR_OK);
		intake_free(&senders[i].intake);
	}
	for (unsigned i = 0; i < SENDERS; i++)
		assert_reads_back(&senders[i], 70001);
	place_end(&place);
}

static void collect(struct store *store)
{
	struct garbage_walk walk = { 0 };
	uint64_t wait_ms = 0;
	while (wait_ms != UINT64_MAX)
		assert_int_equal(garbage_step(store, &walk, &wait_ms), ERR_OK);
}

/* What is out comes home; what it then gives to the writer, too; and none of it stays. */
static void end_with_nothing(struct place *place)
{
	for (int i = 0; i < 10; i++)
		loop_run_once(place->loop, 20);
	store_close(&place->bed.store);
	loop_run_once(place->loop, 0);
	bed_open(&place->bed, STORE_ADMIN);
	assert_int_equal(bed_count_rows(&place->bed, DB_PENDING), 0);
	collect(place->bed.store);
	assert_int_equal(bed_count_rows(&place->bed, DB_BLOB), 0);
	assert_int_equal(bed_count_rows(&place->bed, DB_DIGEST), 0);
	place_end(place);
}

/* The client leaves: at any moment, with chunks on their way. */
static void leaves_nothing_when_abandoned(void **state)
{
	struct place place;
	struct sender sender;
	place_begin(&place);
	for (unsigned pieces = 0; pieces < 20; pieces++) {
		sender_begin(&sender, &place.bed, place.loop, pieces, 2 << 20);
		for (unsigned i = 0; i < pieces; i++)
			sender_feed(&sender);
		intake_free(&sender.intake);
		assert_null(sender.intake);
		intake_free(&sender.intake);
	}
	end_with_nothing(&place);
}

/* Also when it was complete, and the job that files it is refused, or files it nowhere. */
static enum err file_nowhere(struct write *write, void *arg)
{
	struct sender *sender = arg;
	return intake_commit(write, sender->intake, &sender->entry.blob_id);
}

static void leaves_nothing_when_refused(void **state)
{
	struct place place;
	struct sender sender;
	place_begin(&place);
	const size_t sizes[] = { 1000, 1 << 20 };
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		sender_begin(&sender, &place.bed, place.loop, 1, sizes[i]);
		sender.refuse = ERR_QUOTA;
		while (sender_feed(&sender))
			;
		assert_int_equal(sender_commit(&sender), ERR_QUOTA);
		intake_free(&sender.intake);
		sender_begin(&sender, &place.bed, place.loop, 2, sizes[i]);
		while (sender_feed(&sender))
			;
		assert_int_equal(intake_finish(sender.intake), ERR_OK);
		for (int k = 0; k < 5; k++)
			loop_run_once(place.loop, 20);
		assert_int_equal(bed_write(&place.bed, file_nowhere, &sender), ERR_OK);
		intake_free(&sender.intake);
	}
	end_with_nothing(&place);
}

struct held {
	struct job job;
	sem_t started, go;
	bool is_done;
};

static enum err hold_run(struct write *write, struct job *job)
{
	struct held *held = CONTAINER_OF(job, struct held, job);
	sem_post(&held->started);
	sem_wait(&held->go);
	return ERR_OK;
}

static void hold_done(struct job *job)
{
	CONTAINER_OF(job, struct held, job)->is_done = true;
}

/* The writer, until `go` is posted. */
static void hold(struct held *held, struct place *place)
{
	*held = (struct held){ .job = { .run = hold_run, .done = hold_done, .loop = place->loop } };
	sem_init(&held->started, 0, 0);
	sem_init(&held->go, 0, 0);
	store_submit(place->bed.store, &held->job);
	sem_wait(&held->started);
}

static void held_fini(struct held *held)
{
	sem_destroy(&held->started);
	sem_destroy(&held->go);
}

/* A disk that is full while chunks wait: whoever finds out first, the answer is the same. */
static void says_that_the_disk_is_full(void **state)
{
	struct place place;
	struct sender sender;
	place_begin(&place);
	struct held held;
	hold(&held, &place);
	uint64_t reserve = place.bed.store->reserve_octets;
	place.bed.store->reserve_octets = UINT64_MAX;
	sender_begin(&sender, &place.bed, place.loop, 1, 300000);
	while (sender_feed(&sender))
		;
	assert_int_equal(intake_finish(sender.intake), ERR_OK); /* the chunks have not run yet */
	sender.job = (struct job){ .run = sender_run, .done = sender_done, .loop = place.loop };
	store_submit(place.bed.store, &sender.job);
	sem_post(&held.go);
	while (!sender.is_done)
		loop_run_once(place.loop, 1000);
	assert_int_equal(sender.job.outcome, ERR_FULL);
	intake_free(&sender.intake);

	sender_begin(&sender, &place.bed, place.loop, 1, 3000000);
	while (sender_feed(&sender))
		;
	assert_int_equal(intake_finish(sender.intake), ERR_FULL);
	intake_free(&sender.intake);

	place.bed.store->reserve_octets = reserve;
	sender_begin(&sender, &place.bed, place.loop, 1, 3000000);
	while (sender_feed(&sender))
		;
	assert_int_equal(sender_commit(&sender), ERR_OK);
	intake_free(&sender.intake);
	assert_reads_back(&sender, 100000);
	held_fini(&held);
	place_end(&place);
}

/* Places for chunks are lent and given back by other messages, on any loop; who was refused is
 * told of room all the same, and not served silently before. */
static void tells_of_room_that_others_made(void **state)
{
	uint8_t piece[PIECE_OCTETS];
	struct place place;
	struct sender sender;
	place_begin(&place);
	struct held held;
	hold(&held, &place);
	atomic_store(&place.bed.store->slots_lent, 1000);
	sender_begin(&sender, &place.bed, place.loop, 1, 1);
	text_piece(1, 0, sizeof(piece), piece);
	while (intake_feed(sender.intake, slice_of(piece, sizeof(piece))))
		;
	sender.has_room = false;
	atomic_store(&place.bed.store->slots_lent, 0);
	assert_false(intake_feed(sender.intake, slice_of(piece, sizeof(piece))));
	sem_post(&held.go);
	for (unsigned i = 0; i < 20 && !sender.has_room; i++)
		loop_run_once(place.loop, 1000);
	assert_true(sender.has_room);
	assert_true(intake_feed(sender.intake, slice_of(piece, 1)));
	while (!held.is_done)
		loop_run_once(place.loop, 1000);
	intake_free(&sender.intake);
	loop_run_once(place.loop, 100);
	assert_int_equal(atomic_load(&place.bed.store->slots_lent), 0);
	held_fini(&held);
	place_end(&place);
}

/* In a batch that is rolled back, with its first chunks and the job that files it. */
static void runs_again_with_its_batch(void **state)
{
	struct place place;
	struct sender sender, guilty;
	place_begin(&place);
	struct held held;
	hold(&held, &place);
	sender_begin(&sender, &place.bed, place.loop, 1, 300000);
	while (sender_feed(&sender))
		;
	assert_int_equal(intake_finish(sender.intake), ERR_OK);
	sender_begin(&guilty, &place.bed, place.loop, 2, 1000);
	while (sender_feed(&guilty))
		;
	assert_int_equal(intake_finish(guilty.intake), ERR_OK);
	guilty.refuse = ERR_QUOTA;
	guilty.job = (struct job){ .run = sender_run, .done = sender_done, .loop = place.loop };
	sender.job = (struct job){ .run = sender_run, .done = sender_done, .loop = place.loop };
	store_submit(place.bed.store, &guilty.job);
	store_submit(place.bed.store, &sender.job);
	sem_post(&held.go);
	while (!sender.is_done)
		loop_run_once(place.loop, 1000);
	assert_int_equal(guilty.job.outcome, ERR_QUOTA);
	assert_int_equal(sender.job.outcome, ERR_OK);
	assert_int_equal(sender.uid, 1);
	intake_free(&sender.intake);
	intake_free(&guilty.intake);
	assert_reads_back(&sender, 65536);
	held_fini(&held);
	place_end(&place);
}

static enum err lose_a_chunk(struct write *write, void *arg)
{
	struct row row;
	struct key key;
	struct pending_row pending;
	struct buffer record = { 0 };
	row_open(&row, write_read(write), DB_PENDING);
	key_be64(&key, 0);
	assert_true(row_seek(&row, key_slice(&key)));
	key_be64(&key, get_be64(row.key.ptr));
	assert_true(pending_decode(row.value, &pending));
	pending.chunks--;
	row_close(&row);
	pending_encode(&pending, &record);
	enum err err = db_put(write, DB_PENDING, key_slice(&key), buffer_slice(&record), PUT_ANY);
	buffer_free(&record);
	return err;
}

/* What the store says is there counts, not what this end believes to have sent: no message is
 * filed with a hole in it. */
static void files_nothing_with_a_hole(void **state)
{
	struct bed bed;
	struct sender sender;
	bed_begin(&bed, STORE_ADMIN);
	for (unsigned when = 0; when < 2; when++) {
		sender_begin(&sender, &bed, NULL, 7, 1 << 20);
		while (sender_feed(&sender))
			if (when == 0 && sender.fed > 500000 && sender.fed <= 500000 + PIECE_OCTETS)
				assert_int_equal(bed_write(&bed, lose_a_chunk, NULL), ERR_OK);
		enum err err = intake_finish(sender.intake);
		assert_int_equal(err, when == 0 ? ERR_CANCELLED : ERR_OK);
		if (when == 1)
			assert_int_equal(bed_write(&bed, lose_a_chunk, NULL), ERR_OK);
		sender.job = (struct job){ .run = sender_run };
		assert_int_equal(store_write_now(bed.store, &sender.job), ERR_DISK);
		intake_free(&sender.intake);
		assert_int_equal(bed_count_rows(&bed, DB_PENDING), 0);
	}
	bed_end(&bed);
}

/* The admin's process has no writer: its chunks are written as they fill. A server that starts
 * meanwhile leaves them alone; a day later nobody is writing them any more. */
static void works_without_a_writer(void **state)
{
	struct bed bed;
	struct sender sender;
	bed_begin(&bed, STORE_ADMIN);
	sender_begin(&sender, &bed, NULL, 7, 1 << 20);
	while (sender_feed(&sender))
		assert_int_equal(sender.refused, 0);
	assert_int_equal(intake_finish(sender.intake), ERR_OK);
	assert_int_equal(bed_count_rows(&bed, DB_PENDING), 1);
	struct job job = { .run = sender_run };
	sender.job = job;
	assert_int_equal(store_write_now(bed.store, &sender.job), ERR_OK);
	intake_free(&sender.intake);
	assert_int_equal(bed_count_rows(&bed, DB_PENDING), 0);
	assert_reads_back(&sender, 100000);
	store_close(&bed.store);

	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		bed_open(&bed, STORE_ADMIN);
		sender_begin(&sender, &bed, NULL, 7, 1 << 20);
		while (sender_feed(&sender))
			;
		_exit(0);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	bed_open(&bed, STORE_SERVE);
	assert_int_equal(bed_count_rows(&bed, DB_PENDING), 1);
	store_close(&bed.store);
	clock_set_fake_unix_ms(clock_unix_ms() + 25 * 3600 * 1000);
	bed_open(&bed, STORE_SERVE);
	clock_set_fake_unix_ms(-1);
	assert_int_equal(bed_count_rows(&bed, DB_PENDING), 0);
	assert_reads_back(&sender, 100000);
	bed_end(&bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(streams_in_little_memory),
		cmocka_unit_test(lets_several_stream_at_once),
		cmocka_unit_test(leaves_nothing_when_abandoned),
		cmocka_unit_test(leaves_nothing_when_refused),
		cmocka_unit_test(tells_of_room_that_others_made),
		cmocka_unit_test(says_that_the_disk_is_full),
		cmocka_unit_test(runs_again_with_its_batch),
		cmocka_unit_test(files_nothing_with_a_hole),
		cmocka_unit_test(works_without_a_writer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
