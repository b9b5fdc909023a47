/* tests/crash/load.c - the load: filing for one and for two, large messages, flags, copies,
 * moves, expunges, mailboxes made and deleted, the garbage of all that being removed, and the
 * file made small again and again beside it. */
#include "tests/crash/load.h"

#include <assert.h>
#include <stdlib.h>

#include "base/heap.h"
#include "storage/compact.h"
#include "storage/message.h"
#include "tests/crash/record.h"
#include "tests/dice.h"

enum {
	AT_ONCE = 8,
	LARGE_OCTETS = 330000,
	BULK_OCTETS = 3 << 19, /* no record of the redo log takes it */
	BULKS = 3,
	COMPACT_EVERY_JOBS = 24
};

static const char *const box_names[LOAD_BOXES] = { "INBOX", "Archive", "Trash", "a",
						   "a/b",   "c d",     "Junk",	"z" };
static const char other_name[] = "INBOX";

enum operation { FILE_ONE, FILE_TWO, FILE_LARGE, FLAGS, COPY, MOVE, EXPUNGE, CREATE, DELETE };

struct operation_job {
	struct job job;
	struct load *load;
	unsigned number;
	enum operation operation;
	unsigned box, to;
	struct ranges uids;
	uint8_t flags;
	enum flag_change change;
	unsigned seed;
	struct intake *intake;
	unsigned *left;
};

/* What its seed says, and nothing else. */
static void text_make(unsigned seed, struct buffer *text)
{
	uint32_t state = seed * 2654435761u + 12345;
	buffer_add_format(text, "Subject: number %u\r\n\r\n", seed);
	size_t more =
		seed % 4 == 0 ? 100 + dice_roll(&state, 6000) : dice_roll(&state, LARGE_OCTETS);
	uint8_t *at = buffer_reserve(text, more);
	for (size_t i = 0; i < more; i++)
		at[i] = i % 72 == 70   ? '\r'
			: i % 72 == 71 ? '\n'
				       : (uint8_t)('a' + dice_roll(&state, 26));
	text->len += more;
}

/* ---- what is expected ---- */

static void box_add(struct expected_box *box, unsigned seed, uint8_t flags)
{
	assert(box->count < LOAD_MESSAGES_MAX);
	box->messages[box->count++] =
		(struct expected_message){ .uid = box->uidnext++, .seed = seed, .flags = flags };
}

/* Those of `uids` that were there before `uidnext`, copied or taken out or both. */
static void box_take(struct expected_box *box, const struct ranges *uids, bool remove,
		     struct expected_box *to)
{
	unsigned kept = 0, count = box->count;
	struct expected_message all[LOAD_MESSAGES_MAX];
	memcpy(all, box->messages, sizeof(all));
	for (unsigned i = 0; i < count; i++) {
		bool is_meant = ranges_contains(uids, all[i].uid);
		if (is_meant && to)
			box_add(to, all[i].seed, all[i].flags);
		if (!is_meant || !remove)
			box->messages[kept++] = all[i];
	}
	box->count = kept;
}

static uint8_t flags_after(uint8_t old, enum flag_change change, uint8_t flags)
{
	return (uint8_t)(change == FLAGS_SET   ? flags
			 : change == FLAGS_ADD ? old | flags
					       : old & ~flags);
}

/* ---- the jobs ---- */

static enum err file(struct operation_job *op, struct write *write, struct expected *state)
{
	struct expected_box *boxes[2] = { &state->boxes[op->box], &state->other };
	struct message_entry entry = { .internal_unix = op->seed, .flags = op->flags };
	enum err err = intake_commit(write, op->intake, &entry.blob_id);
	entry.size_octets = intake_size_octets(op->intake);
	for (int i = 0; i < (op->operation == FILE_TWO ? 2 : 1) && err == ERR_OK; i++) {
		uint32_t uid;
		err = message_append(write, boxes[i]->mailbox_id, &entry, NULL, 0, &uid);
		assert(err != ERR_OK || uid == boxes[i]->uidnext);
		box_add(boxes[i], op->seed, op->flags);
	}
	return err;
}

static enum err change_flags(struct operation_job *op, struct write *write,
			     struct expected_box *box)
{
	struct store_flags change = { .change = op->change, .flags = op->flags };
	uint64_t modseq;
	for (unsigned i = 0; i < box->count; i++)
		if (ranges_contains(&op->uids, box->messages[i].uid))
			box->messages[i].flags =
				flags_after(box->messages[i].flags, op->change, op->flags);
	return message_store(write, box->mailbox_id, &op->uids, &change, NULL, &modseq);
}

static enum err copy(struct operation_job *op, struct write *write, struct expected *state)
{
	struct expected_box *from = &state->boxes[op->box], *to = &state->boxes[op->to];
	struct ranges copied = { 0 }, copies = { 0 };
	bool move = op->operation == MOVE;
	enum err err = message_copy(write, from->mailbox_id, &op->uids, to->mailbox_id, move,
				    &copied, &copies);
	box_take(from, &op->uids, move, to);
	ranges_free(&copied);
	ranges_free(&copies);
	return err;
}

static enum err expunge(struct operation_job *op, struct write *write, struct expected_box *box)
{
	struct ranges gone = { 0 };
	enum err err = message_expunge(write, box->mailbox_id, &op->uids, false, &gone);
	box_take(box, &op->uids, true, NULL);
	ranges_free(&gone);
	return err;
}

static void box_learn(struct read *read, uint32_t account_id, const char *name,
		      struct expected_box *box)
{
	struct arena arena = { 0 };
	struct mailbox mailbox;
	enum err err = mailbox_find(read, account_id, slice_cstr(name), &arena, &mailbox);
	assert(err == ERR_OK && mailbox.messages == 0);
	*box = (struct expected_box){ .mailbox_id = mailbox.mailbox_id,
				      .uidvalidity = mailbox.uidvalidity,
				      .uidnext = mailbox.uidnext };
	arena_fini(&arena);
}

static uint64_t modseq_of(struct read *read, uint32_t account_id)
{
	struct arena arena = { 0 };
	struct account account;
	enum err err = account_get(read, account_id, &arena, &account);
	assert(err == ERR_OK);
	arena_fini(&arena);
	return account.modseq;
}

static enum err operate(struct operation_job *op, struct write *write, struct expected *state)
{
	struct expected_box *box = &state->boxes[op->box];
	struct slice name = slice_cstr(box_names[op->box]);
	uint64_t mailbox_id;
	enum err err = ERR_OK;
	switch (op->operation) {
	case FILE_ONE:
	case FILE_TWO:
	case FILE_LARGE: return file(op, write, state);
	case FLAGS: return change_flags(op, write, box);
	case COPY:
	case MOVE: return copy(op, write, state);
	case EXPUNGE: return expunge(op, write, box);
	case CREATE:
		err = mailbox_create(write, op->load->account_id, name, USE_NONE, &mailbox_id);
		if (err == ERR_OK)
			box_learn(write_read(write), op->load->account_id, box_names[op->box], box);
		return err;
	case DELETE:
		*box = (struct expected_box){ 0 };
		return mailbox_delete(write, op->load->account_id, name);
	}
	return ERR_OK;
}

/* Jobs run in the order in which they were submitted, so each begins where the one before it
 * ended. */
static enum err operation_run(struct write *write, struct job *job)
{
	struct operation_job *op = CONTAINER_OF(job, struct operation_job, job);
	struct expected *state = &op->load->states[op->number + 1];
	*state = op->load->states[op->number];
	enum err err = operate(op, write, state);
	state->modseq = modseq_of(write_read(write), op->load->account_id);
	return err;
}

static void operation_done(struct job *job)
{
	struct operation_job *op = CONTAINER_OF(job, struct operation_job, job);
	assert(job->outcome == ERR_OK);
	record_ack(op->number + 1);
	intake_free(&op->intake);
	ranges_free(&op->uids);
	--*op->left;
}

static void room(void *user)
{
}

static void intake_fill(struct operation_job *op, struct store *store, struct loop *loop)
{
	struct buffer *text = &op->load->texts[op->seed];
	text_make(op->seed, text);
	op->intake = intake_new(store, loop, room, NULL);
	bool all = intake_feed(op->intake, buffer_slice(text));
	enum err err = intake_finish(op->intake);
	assert(all && err == ERR_OK);
}

/* ---- choosing ---- */

/* What the jobs of one burst will find: the boxes that are there, and how full they may become. */
struct plan {
	bool is_there[LOAD_BOXES];
	unsigned count[LOAD_BOXES], uidnext[LOAD_BOXES], other_count;
};

static unsigned box_choose(const struct plan *plan, uint32_t *dice)
{
	unsigned box;
	do
		box = dice_roll(dice, LOAD_BOXES);
	while (!plan->is_there[box]);
	return box;
}

static void uids_choose(struct operation_job *op, const struct plan *plan, uint32_t *dice)
{
	uint32_t first = 1 + dice_roll(dice, plan->uidnext[op->box]);
	ranges_add(&op->uids, first, first + dice_roll(dice, 12));
	if (dice_roll(dice, 3) == 0)
		ranges_add(&op->uids, 1 + dice_roll(dice, plan->uidnext[op->box]),
			   plan->uidnext[op->box]);
}

static void choose(struct operation_job *op, struct plan *plan, uint32_t *dice)
{
	static const enum operation often[] = { FILE_ONE, FILE_ONE, FILE_ONE,	FILE_TWO, FILE_TWO,
						FLAGS,	  FLAGS,    COPY,	MOVE,	  MOVE,
						EXPUNGE,  EXPUNGE,  FILE_LARGE, CREATE,	  DELETE };
	op->operation = often[dice_roll(dice, ARRAY_LEN(often))];
	op->box = box_choose(plan, dice);
	op->to = box_choose(plan, dice);
	op->flags = (uint8_t)dice_roll(dice, 32);
	op->change = (enum flag_change)dice_roll(dice, 3);
	/* A full box makes room, and so does one that could only be deleted with INBOX. */
	if (op->operation == CREATE || op->operation == DELETE) {
		op->box = 3 + dice_roll(dice, LOAD_BOXES - 3);
		op->operation = plan->is_there[op->box] ? DELETE : CREATE;
		/* "a/b" would make "a" as well. */
		if (op->operation == CREATE && op->box == 4 && !plan->is_there[3])
			op->box = 3;
	}
	uids_choose(op, plan, dice);
	if (op->operation == FILE_TWO && plan->other_count == LOAD_MESSAGES_MAX)
		op->operation = FILE_ONE;
	bool files = op->operation <= FILE_LARGE;
	if (files && plan->count[op->box] == LOAD_MESSAGES_MAX)
		op->operation = EXPUNGE;
	if ((op->operation == COPY || op->operation == MOVE) &&
	    (op->to == op->box || plan->count[op->to] + plan->count[op->box] > LOAD_MESSAGES_MAX))
		op->operation = EXPUNGE;

	/* The most that may be there afterwards. */
	switch (op->operation) {
	case FILE_TWO: plan->other_count++; /* fall through */
	case FILE_ONE:
	case FILE_LARGE:
		plan->count[op->box]++;
		plan->uidnext[op->box]++;
		break;
	case COPY:
	case MOVE:
		plan->count[op->to] += plan->count[op->box];
		plan->uidnext[op->to] += plan->count[op->box];
		break;
	case CREATE:
		plan->is_there[op->box] = true;
		plan->count[op->box] = 0;
		plan->uidnext[op->box] = 1;
		break;
	case DELETE: plan->is_there[op->box] = false; break;
	default: break;
	}
}

static void plan_begin(const struct expected *state, struct plan *plan_out)
{
	for (unsigned i = 0; i < LOAD_BOXES; i++) {
		plan_out->is_there[i] = state->boxes[i].mailbox_id != 0;
		plan_out->count[i] = state->boxes[i].count;
		plan_out->uidnext[i] = state->boxes[i].mailbox_id ? state->boxes[i].uidnext : 1;
	}
	plan_out->other_count = state->other.count;
}

/* ---- from outside ---- */

static enum err users_run(struct write *write, struct job *job)
{
	uint32_t id;
	enum err err = domain_add(write, SLICE("example.org"));
	if (err == ERR_OK)
		err = account_add(write, SLICE("alice"), SLICE("example.org"), SLICE("x"), &id);
	if (err == ERR_OK)
		err = account_add(write, SLICE("bob"), SLICE("example.org"), SLICE("x"), &id);
	return err;
}

void load_prepare(const char *state_dir, struct load *load_out)
{
	struct store *store;
	const char *why;
	struct job job = { .run = users_run };
	enum err err = store_open(state_dir, STORE_CREATE, &store, &why);
	assert(err == ERR_OK);
	err = store_write_now(store, &job);
	assert(err == ERR_OK);
	*load_out = (struct load){ .account_id = 1, .other_id = 2 };
	load_out->states = heap_alloc(sizeof(*load_out->states));
	struct read *read = read_begin(store);
	struct expected *first = load_out->states;
	first->modseq = modseq_of(read, load_out->account_id);
	for (unsigned i = 0; i < 3; i++)
		box_learn(read, load_out->account_id, box_names[i], &first->boxes[i]);
	box_learn(read, load_out->account_id, "Junk", &first->boxes[6]);
	box_learn(read, load_out->other_id, other_name, &first->other);
	read_end(&read);
	store_close(&store);
}

static void on_phase(void *user, enum compact_phase phase, uint64_t total)
{
}

static void on_progress(void *user, uint64_t done)
{
}

static bool on_wait(void *user)
{
	return true;
}

/* While the writer has jobs to do. */
static void compact(struct store *store)
{
	static const struct compact_watcher watcher = { on_phase, on_progress, on_wait, NULL };
	struct compact_result result;
	enum err err = compact_run(store, &watcher, &result);
	assert(err == ERR_OK && result.gives_back);
}

/* ---- what is too large for the redo log ---- */

struct bulk_job {
	struct job job;
	uint8_t octet;
};

static const struct slice bulk_key = { (const uint8_t *)"!bulk", 5 };

static enum err bulk_run(struct write *write, struct job *job)
{
	struct buffer row = { 0 };
	memset(buffer_reserve(&row, BULK_OCTETS), CONTAINER_OF(job, struct bulk_job, job)->octet,
	       BULK_OCTETS);
	row.len = BULK_OCTETS;
	enum err err = db_put(write, DB_MAIN, bulk_key, buffer_slice(&row), PUT_ANY);
	buffer_free(&row);
	return err;
}

/* One behind the other. What the row holds is no part of what is expected, but that it is of one commit is. */
static void bulk_write(struct store *store, unsigned number)
{
	for (unsigned i = 0; i < BULKS; i++) {
		struct bulk_job bulk = { .job.run = bulk_run, .octet = (uint8_t)(number + i) };
		enum err err = store_write_now(store, &bulk.job);
		assert(err == ERR_OK);
	}
}

static void check_bulk(struct read *read, struct buffer *problems)
{
	struct slice row;
	if (db_get(read, DB_MAIN, bulk_key, &row) != ERR_OK)
		return;
	size_t same = 0;
	while (same < row.len && row.ptr[same] == row.ptr[0])
		same++;
	if (row.len != BULK_OCTETS || same != row.len)
		buffer_add_cstr(problems, "the large row is not of one commit\n");
}

void load_run(const char *state_dir, struct load *load, unsigned jobs, unsigned seed)
{
	struct store *store;
	const char *why;
	struct operation_job ops[AT_ONCE];
	uint32_t dice = seed;
	unsigned left = 0, compactions = 0;
	enum err err = store_open(state_dir, STORE_SERVE, &store, &why);
	assert(err == ERR_OK);
	store->garbage_delay_seconds = 0; /* pages are used again, soon */
	load->states = heap_resize(load->states, (jobs + 1) * sizeof(*load->states));
	load->texts = heap_alloc(jobs * sizeof(*load->texts));
	struct loop *loop = loop_new(0);
	store_start_writer(store);
	while (load->jobs < jobs) {
		struct plan plan;
		plan_begin(&load->states[load->jobs], &plan);
		unsigned burst = 1 + dice_roll(&dice, AT_ONCE);
		for (left = 0; left < burst && load->jobs < jobs; load->jobs++) {
			struct operation_job *op = &ops[left++];
			*op = (struct operation_job){ .load = load,
						      .number = load->jobs,
						      .seed = load->jobs,
						      .left = &left };
			op->job = (struct job){ .run = operation_run,
						.done = operation_done,
						.loop = loop };
			choose(op, &plan, &dice);
			if (op->operation <= FILE_LARGE)
				intake_fill(op, store, loop);
			store_submit(store, &op->job);
		}
		/* With commits that are too large for the redo log, which is to fill as well. */
		bool compacts = load->jobs < jobs / 5 || load->jobs > jobs * 19 / 20;
		if (load->jobs / COMPACT_EVERY_JOBS > compactions) {
			compactions = load->jobs / COMPACT_EVERY_JOBS;
			if (compacts) {
				bulk_write(store, load->jobs);
				compact(store);
			}
		}
		while (left > 0)
			loop_run_once(loop, 1000);
	}
	store_close(&store);
	loop_free(loop);
}

void load_free(struct load *load)
{
	for (unsigned i = 0; i < load->jobs; i++)
		buffer_free(&load->texts[i]);
	free(load->texts);
	free(load->states);
	*load = (struct load){ .states = NULL };
}

/* ---- after the power came back ---- */

static void check_box(const struct load *load, struct read *read, const struct expected_box *want,
		      const char *name, uint32_t account_id, struct buffer *problems)
{
	struct arena arena = { 0 };
	struct mailbox mailbox;
	struct message_entry entry;
	struct buffer text = { 0 };
	enum err err = mailbox_find(read, account_id, slice_cstr(name), &arena, &mailbox);
	if (want->mailbox_id == 0 || err != ERR_OK) {
		if (want->mailbox_id != 0 || err != ERR_NOT_FOUND)
			buffer_add_format(problems, "%s: %s\n", name, err_word(err));
		goto out;
	}
	if (mailbox.mailbox_id != want->mailbox_id || mailbox.uidvalidity != want->uidvalidity ||
	    mailbox.uidnext != want->uidnext || mailbox.messages != want->count)
		buffer_add_format(problems, "%s: %u messages, UIDNEXT %u, not %u, %u\n", name,
				  mailbox.messages, mailbox.uidnext, want->count, want->uidnext);
	struct message_cursor *cursor = message_cursor_open(read, mailbox.mailbox_id, 1);
	unsigned i = 0;
	for (; message_cursor_next(cursor, &entry) && i < want->count; i++) {
		const struct expected_message *message = &want->messages[i];
		buffer_clear(&text);
		if (entry.uid != message->uid || entry.flags != message->flags ||
		    entry.internal_unix != (int64_t)message->seed)
			buffer_add_format(problems, "%s: UID %u is not what it was\n", name,
					  entry.uid);
		else if (blob_read(read, entry.blob_id, 0, UINT64_MAX, &text) != ERR_OK ||
			 !slice_eq(buffer_slice(&text), buffer_slice(&load->texts[message->seed])))
			buffer_add_format(problems, "%s: UID %u has another text\n", name,
					  entry.uid);
	}
	if (i != want->count)
		buffer_add_format(problems, "%s: only %u messages\n", name, i);
	message_cursor_close(&cursor);
out:
	buffer_free(&text);
	arena_fini(&arena);
}

void load_check(const struct load *load, struct store *store, unsigned least,
		struct buffer *problems)
{
	struct arena arena = { 0 };
	struct account account;
	struct read *read = read_begin(store);
	enum err err = account_get(read, load->account_id, &arena, &account);
	unsigned at = load->jobs;
	while (err == ERR_OK && at > 0 && load->states[at].modseq > account.modseq)
		at--;
	const struct expected *want = &load->states[at];
	if (err != ERR_OK) {
		buffer_add_format(problems, "the user: %s\n", err_word(err));
	} else if (want->modseq != account.modseq) {
		buffer_add_format(problems, "a state that never was\n");
	} else if (want->modseq < load->states[least].modseq) {
		buffer_add_format(problems, "after %u jobs, but %u were acknowledged\n", at, least);
	} else {
		for (unsigned i = 0; i < LOAD_BOXES; i++)
			check_box(load, read, &want->boxes[i], box_names[i], load->account_id,
				  problems);
		check_box(load, read, &want->other, other_name, load->other_id, problems);
		check_bulk(read, problems);
	}
	read_end(&read);
	arena_fini(&arena);
}
