/* tests/unit/storage/model.c - the store held against a model of it in memory: random
 * operations, several to a transaction, with some transactions thrown away, the store opened
 * again in between, and everything compared: names, counts, sizes, flags, keywords, MODSEQs,
 * the change log, usage, bodies. */
#include "tests/unit/storage/bed.h"

#include "base/clock.h"
#include "storage/garbage_priv.h"
#include "storage/message_priv.h"

enum { NAMES = 12, MESSAGES_MAX = 400, KEYWORDS = 5, BODIES = 4000, STEPS = 3000 };

static const char *const names[NAMES] = { "INBOX", "Sent",  "a",     "a/b",	"a/b/c",  "a b",
					  "a-b",   "Trash", "c/d/e", "INBOX/x", "Zürich", "z" };
static const struct slice keyword_names[KEYWORDS] = {
	{ (const uint8_t *)"$Forwarded", 10 }, { (const uint8_t *)"Work", 4 },
	{ (const uint8_t *)"$label1", 7 },     { (const uint8_t *)"x", 1 },
	{ (const uint8_t *)"NonJunk", 7 },
};

struct message {
	uint32_t uid;
	unsigned body; /* index in model.bodies */
	uint8_t flags;
	unsigned keywords; /* bit i: keyword_names[i] */
	uint64_t modseq;
};

struct box {
	bool exists;
	uint64_t mailbox_id;
	uint32_t uidvalidity, uidnext;
	uint64_t highest_modseq, seen_modseq;
	struct message messages[MESSAGES_MAX];
	size_t count;
	struct ranges vanished; /* since the last look */
};

struct model {
	struct box boxes[NAMES];
	bool subscribed[NAMES];
	uint64_t blob_ids[BODIES];
	size_t body_sizes[BODIES];
	unsigned references[BODIES];
	unsigned bodies;
	uint64_t modseq;
	uint32_t last_uidvalidity;
};

struct run {
	struct bed bed;
	struct model *model, *backup;
};

static unsigned dice(unsigned sides)
{
	return (unsigned)random() % sides;
}

static void model_copy(const struct model *from, struct model *to)
{
	for (size_t i = 0; i < NAMES; i++)
		ranges_free(&to->boxes[i].vanished);
	memcpy(to, from, sizeof(*to));
	for (size_t i = 0; i < NAMES; i++) {
		to->boxes[i].vanished = (struct ranges){ 0 };
		ranges_copy(&from->boxes[i].vanished, &to->boxes[i].vanished);
	}
}

static size_t superior(size_t name)
{
	const char *slash = strrchr(names[name], '/');
	for (size_t i = 0; slash && i < NAMES; i++)
		if (strlen(names[i]) == (size_t)(slash - names[name]) &&
		    strncmp(names[i], names[name], strlen(names[i])) == 0)
			return i;
	return name;
}

/* Only names of the list are used, and "c", "c/d" are not in it: they stay empty mailboxes. */
static void box_make(struct run *run, struct write *write, size_t name)
{
	struct model *m = run->model;
	struct box *box = &m->boxes[name];
	struct mailbox mailbox;
	ranges_free(&box->vanished);
	*box = (struct box){ .exists = true, .uidnext = 1 };
	assert_int_equal(mailbox_find(write_read(write), run->bed.account_id,
				      slice_cstr(names[name]), &run->bed.arena, &mailbox),
			 ERR_OK);
	box->mailbox_id = mailbox.mailbox_id;
	box->uidvalidity = mailbox.uidvalidity;
	box->highest_modseq = mailbox.highest_modseq;
	assert_true(mailbox.uidvalidity > m->last_uidvalidity);
	assert_true(mailbox.highest_modseq > m->modseq);
}

static void model_follow(struct run *run, struct write *write)
{
	struct account account;
	assert_int_equal(
		account_get(write_read(write), run->bed.account_id, &run->bed.arena, &account),
		ERR_OK);
	assert_true(account.modseq >= run->model->modseq);
	run->model->modseq = account.modseq;
	for (size_t i = 0; i < NAMES; i++)
		if (run->model->boxes[i].uidvalidity > run->model->last_uidvalidity)
			run->model->last_uidvalidity = run->model->boxes[i].uidvalidity;
}

static void do_create(struct run *run, struct write *write)
{
	size_t name = dice(NAMES);
	bool existed[NAMES];
	uint64_t mailbox_id;
	for (size_t i = 0; i < NAMES; i++)
		existed[i] = run->model->boxes[i].exists;
	enum err err = mailbox_create(write, run->bed.account_id, slice_cstr(names[name]), USE_NONE,
				      &mailbox_id);
	assert_int_equal(err, existed[name] ? ERR_EXISTS : ERR_OK);
	if (err != ERR_OK)
		return;
	for (size_t at = name;; at = superior(at)) {
		if (!existed[at] && !run->model->boxes[at].exists)
			box_make(run, write, at);
		if (superior(at) == at)
			break;
	}
	assert_int_equal(run->model->boxes[name].mailbox_id, mailbox_id);
}

static void do_delete(struct run *run, struct write *write)
{
	size_t name = dice(NAMES);
	struct box *box = &run->model->boxes[name];
	enum err err = mailbox_delete(write, run->bed.account_id, slice_cstr(names[name]));
	assert_int_equal(err, name == 0 ? ERR_BAD_INPUT : box->exists ? ERR_OK : ERR_NOT_FOUND);
	if (err != ERR_OK)
		return;
	for (size_t i = 0; i < box->count; i++)
		run->model->references[box->messages[i].body]--;
	ranges_free(&box->vanished);
	*box = (struct box){ 0 };
}

static bool is_below(const char *name, const char *of)
{
	size_t len = strlen(of);
	return strncmp(name, of, len) == 0 && name[len] == '/';
}

/* Only a mailbox without inferiors, to a name that is free: what else there is to renaming is
 * tested in mailbox.c. */
static void do_rename(struct run *run, struct write *write)
{
	struct model *m = run->model;
	size_t from = 1 + dice(NAMES - 1), to = 1 + dice(NAMES - 1);
	for (size_t i = 0; i < NAMES; i++)
		if (m->boxes[i].exists && is_below(names[i], names[from]))
			return;
	if (is_below(names[to], names[from]) || !m->boxes[from].exists || from == to)
		return;
	bool existed[NAMES];
	for (size_t i = 0; i < NAMES; i++)
		existed[i] = m->boxes[i].exists;
	enum err err = mailbox_rename(write, run->bed.account_id, slice_cstr(names[from]),
				      slice_cstr(names[to]));
	assert_int_equal(err, existed[to] ? ERR_EXISTS : ERR_OK);
	if (err != ERR_OK)
		return;
	m->boxes[to] = m->boxes[from];
	m->boxes[from] = (struct box){ 0 };
	for (size_t at = to; superior(at) != at; at = superior(at))
		if (!existed[superior(at)])
			box_make(run, write, superior(at));
}

static void do_subscribe(struct run *run, struct write *write)
{
	size_t name = dice(NAMES);
	bool on = dice(2);
	assert_int_equal(mailbox_subscribe(write, run->bed.account_id, slice_cstr(names[name]), on),
			 ERR_OK);
	run->model->subscribed[name] = on;
}

static size_t pick_keywords(struct slice *out, unsigned *bits)
{
	size_t count = 0;
	*bits = 0;
	for (unsigned i = 0; i < KEYWORDS; i++)
		if (dice(4) == 0) {
			out[count++] = keyword_names[i];
			*bits |= 1u << i;
		}
	return count;
}

static struct box *pick_box(struct run *run)
{
	for (;;) {
		struct box *box = &run->model->boxes[dice(NAMES)];
		if (box->exists)
			return box;
	}
}

static void box_add(struct model *m, struct box *box, struct message message)
{
	message.uid = box->uidnext++;
	box->messages[box->count++] = message;
	m->references[message.body]++;
}

static void do_append(struct run *run, struct write *write)
{
	struct model *m = run->model;
	struct box *box = pick_box(run), *other = pick_box(run);
	struct slice keywords[KEYWORDS];
	struct message message = { .body = m->bodies, .flags = (uint8_t)dice(32) };
	size_t count = pick_keywords(keywords, &message.keywords);
	if (box->count == MESSAGES_MAX || other->count == MESSAGES_MAX || m->bodies == BODIES)
		return;
	struct buffer text = { 0 };
	size_t size = dice(40) ? 60 + dice(9000) : dice(400000);
	bed_text(&text, m->bodies, size);
	struct intake *intake = intake_new(run->bed.store, NULL, NULL, NULL);
	/* In a transaction already: its chunks cannot go ahead of it. */
	if (text.len > 3 * BLOB_CHUNK_OCTETS)
		text.len = 3 * BLOB_CHUNK_OCTETS;
	assert_true(intake_feed(intake, buffer_slice(&text)));
	assert_int_equal(intake_finish(intake), ERR_OK);
	struct message_entry entry = { .flags = message.flags, .size_octets = text.len };
	uint32_t uid;
	assert_int_equal(intake_commit(write, intake, &entry.blob_id), ERR_OK);
	assert_int_equal(message_append(write, box->mailbox_id, &entry, keywords, count, &uid),
			 ERR_OK);
	assert_int_equal(uid, box->uidnext);
	m->blob_ids[m->bodies] = entry.blob_id;
	m->body_sizes[m->bodies++] = text.len;
	message.modseq = box->highest_modseq = ++m->modseq;
	box_add(m, box, message);
	if (dice(3) == 0) {
		assert_int_equal(
			message_append(write, other->mailbox_id, &entry, keywords, count, &uid),
			ERR_OK);
		message.modseq = other->highest_modseq = ++m->modseq;
		box_add(m, other, message);
	}
	buffer_free(&text);
	intake_free(&intake);
}

static void pick_uids(const struct box *box, struct ranges *uids)
{
	unsigned runs = dice(4);
	for (unsigned i = 0; i < runs; i++) {
		uint32_t first = 1 + dice(box->uidnext + 3);
		ranges_add(uids, first, first + dice(dice(2) ? 4 : 40));
	}
	if (dice(20) == 0)
		ranges_add(uids, 1, UINT32_MAX);
}

static void do_store(struct run *run, struct write *write)
{
	struct model *m = run->model;
	struct box *box = pick_box(run);
	struct slice keywords[KEYWORDS];
	unsigned bits;
	struct ranges uids = { 0 }, changed = { 0 };
	pick_uids(box, &uids);
	struct store_flags change = { .change = (enum flag_change)dice(3),
				      .flags = (uint8_t)dice(32),
				      .keywords = keywords,
				      .keyword_count = pick_keywords(keywords, &bits) };
	uint64_t modseq, any = 0;
	assert_int_equal(message_store(write, box->mailbox_id, &uids, &change, &changed, &modseq),
			 ERR_OK);
	for (size_t i = 0; i < box->count; i++) {
		struct message *message = &box->messages[i];
		uint8_t flags = message->flags;
		unsigned kw = message->keywords;
		if (!ranges_contains(&uids, message->uid)) {
			assert_false(ranges_contains(&changed, message->uid));
			continue;
		}
		flags = change.change == FLAGS_SET   ? change.flags
			: change.change == FLAGS_ADD ? flags | change.flags
						     : flags & ~change.flags;
		kw = change.change == FLAGS_SET	  ? bits
		     : change.change == FLAGS_ADD ? kw | bits
						  : kw & ~bits;
		bool is_changed = flags != message->flags || kw != message->keywords;
		assert_int_equal(ranges_contains(&changed, message->uid), is_changed);
		if (is_changed) {
			message->flags = flags;
			message->keywords = kw;
			message->modseq = m->modseq + 1;
			any = 1;
		}
	}
	if (any)
		box->highest_modseq = ++m->modseq;
	assert_int_equal(modseq, box->highest_modseq);
	ranges_free(&uids);
	ranges_free(&changed);
}

static void box_remove(struct model *m, struct box *box, size_t at)
{
	ranges_add(&box->vanished, box->messages[at].uid, box->messages[at].uid);
	m->references[box->messages[at].body]--;
	memmove(&box->messages[at], &box->messages[at + 1],
		(box->count - at - 1) * sizeof(box->messages[0]));
	box->count--;
}

static void do_expunge(struct run *run, struct write *write)
{
	struct model *m = run->model;
	struct box *box = pick_box(run);
	struct ranges uids = { 0 }, expunged = { 0 };
	bool only_deleted = dice(2), any = false;
	pick_uids(box, &uids);
	assert_int_equal(message_expunge(write, box->mailbox_id, &uids, only_deleted, &expunged),
			 ERR_OK);
	for (size_t i = 0; i < box->count;) {
		struct message *message = &box->messages[i];
		bool goes = ranges_contains(&uids, message->uid) &&
			    (!only_deleted || (message->flags & FLAG_DELETED));
		assert_int_equal(ranges_contains(&expunged, message->uid), goes);
		any |= goes;
		if (goes)
			box_remove(m, box, i);
		else
			i++;
	}
	if (any)
		box->highest_modseq = ++m->modseq;
	ranges_free(&uids);
	ranges_free(&expunged);
}

static void do_copy(struct run *run, struct write *write)
{
	struct model *m = run->model;
	struct box *from = pick_box(run), *to = pick_box(run);
	struct ranges uids = { 0 }, from_uids = { 0 }, to_uids = { 0 };
	bool move = dice(2);
	pick_uids(from, &uids);
	size_t count = 0, end = from->count;
	for (size_t i = 0; i < end; i++)
		count += ranges_contains(&uids, from->messages[i].uid);
	if (to->count + count <= MESSAGES_MAX) {
		assert_int_equal(message_copy(write, from->mailbox_id, &uids, to->mailbox_id, move,
					      &from_uids, &to_uids),
				 ERR_OK);
		assert_int_equal(ranges_total(&from_uids), count);
		assert_int_equal(ranges_total(&to_uids), count);
		uint64_t modseq = m->modseq + 1;
		for (size_t i = 0; i < end; i++) {
			struct message copy = from->messages[i];
			if (!ranges_contains(&uids, copy.uid))
				continue;
			assert_true(ranges_contains(&from_uids, copy.uid));
			assert_true(ranges_contains(&to_uids, to->uidnext));
			copy.modseq = modseq;
			box_add(m, to, copy);
		}
		if (count) {
			m->modseq++;
			to->highest_modseq = modseq;
		}
		for (size_t i = end; move && i > 0; i--)
			if (ranges_contains(&uids, from->messages[i - 1].uid))
				box_remove(m, from, i - 1);
		if (count && move)
			from->highest_modseq = ++m->modseq;
	}
	ranges_free(&uids);
	ranges_free(&from_uids);
	ranges_free(&to_uids);
}

static void (*const operations[])(struct run *run, struct write *write) = {
	do_append, do_append, do_append, do_store,  do_store,	  do_expunge,
	do_copy,   do_copy,   do_create, do_delete, do_subscribe, do_rename,
};

static enum err transaction(struct write *write, void *arg)
{
	struct run *run = arg;
	model_copy(run->model, run->backup);
	for (unsigned i = 1 + dice(6); i > 0; i--) {
		operations[dice(ARRAY_LEN(operations))](run, write);
		model_follow(run, write);
	}
	return dice(10) == 0 ? ERR_DENIED : ERR_OK;
}

static void check_keywords(const struct mailbox *mailbox, uint64_t bits, unsigned want)
{
	unsigned got = 0;
	for (unsigned i = 0; i < MAILBOX_KEYWORDS_MAX; i++) {
		if (!(bits >> i & 1))
			continue;
		assert_true(i < mailbox->keyword_count);
		for (unsigned k = 0; k < KEYWORDS; k++)
			if (slice_eq(mailbox->keywords[i], keyword_names[k]))
				got |= 1u << k;
	}
	assert_int_equal(got, want);
}

static void check_changes(struct run *run, struct read *read, size_t name)
{
	struct box *box = &run->model->boxes[name];
	struct ranges changed = { 0 }, vanished = { 0 };
	enum err err =
		message_changes(read, box->mailbox_id, box->seen_modseq, &changed, &vanished);
	if (err != ERR_GONE) {
		assert_int_equal(err, ERR_OK);
		for (size_t i = 0; i < box->count; i++)
			assert_int_equal(ranges_contains(&changed, box->messages[i].uid),
					 box->messages[i].modseq > box->seen_modseq);
		for (uint32_t i = 0; i < box->vanished.count; i++)
			for (uint32_t uid = box->vanished.runs[i].first;
			     uid <= box->vanished.runs[i].last; uid++)
				assert_true(ranges_contains(&vanished, uid));
	}
	ranges_free(&changed);
	ranges_free(&vanished);
	if (dice(3) == 0) {
		box->seen_modseq = box->highest_modseq;
		ranges_clear(&box->vanished);
	}
}

static void check_box(struct run *run, struct read *read, size_t name)
{
	struct box *box = &run->model->boxes[name];
	struct mailbox mailbox;
	enum err err = mailbox_find(read, run->bed.account_id, slice_cstr(names[name]),
				    &run->bed.arena, &mailbox);
	assert_int_equal(err, box->exists ? ERR_OK : ERR_NOT_FOUND);
	if (err != ERR_OK)
		return;
	assert_int_equal(mailbox.mailbox_id, box->mailbox_id);
	assert_int_equal(mailbox.uidvalidity, box->uidvalidity);
	assert_int_equal(mailbox.uidnext, box->uidnext);
	assert_int_equal(mailbox.highest_modseq, box->highest_modseq);
	assert_slice(mailbox.name, names[name]);
	struct message_cursor *cursor = message_cursor_open(read, box->mailbox_id, 1);
	struct message_entry entry;
	uint32_t unseen = 0, deleted = 0;
	uint64_t octets = 0;
	uint32_t first_unseen = 0;
	struct ranges uids = { 0 }, known = { 0 };
	size_t i = 0;
	for (; message_cursor_next(cursor, &entry); i++) {
		assert_true(i < box->count);
		struct message *message = &box->messages[i];
		assert_int_equal(entry.uid, message->uid);
		assert_int_equal(entry.modseq, message->modseq);
		assert_int_equal(entry.flags, message->flags);
		assert_int_equal(entry.blob_id, run->model->blob_ids[message->body]);
		assert_int_equal(entry.size_octets, run->model->body_sizes[message->body]);
		check_keywords(&mailbox, entry.keywords, message->keywords);
		ranges_add(&uids, entry.uid, entry.uid);
		if (unseen == 0 && !(entry.flags & FLAG_SEEN))
			first_unseen = entry.uid;
		unseen += !(entry.flags & FLAG_SEEN);
		deleted += (entry.flags & FLAG_DELETED) != 0;
		octets += entry.size_octets;
	}
	message_cursor_close(&cursor);
	assert_int_equal(i, box->count);
	assert_int_equal(mailbox.messages, i);
	assert_int_equal(mailbox.unseen, unseen);
	assert_int_equal(mailbox.deleted, deleted);
	assert_int_equal(mailbox.size_octets, octets);
	assert_int_equal(message_first_unseen(read, &mailbox), first_unseen);
	assert_true(gaps_uids(read, box->mailbox_id, &known));
	assert_int_equal(known.count, uids.count);
	if (uids.count > 0)
		assert_memory_equal(known.runs, uids.runs, uids.count * sizeof(*uids.runs));
	ranges_free(&uids);
	ranges_free(&known);
	check_changes(run, read, name);
}

static void check_names(struct run *run, struct read *read)
{
	struct slice after = SLICE_NONE;
	struct mailbox_row row;
	size_t seen = 0;
	while (mailbox_next(read, run->bed.account_id, after, &row)) {
		assert_true(slice_compare(row.name, after) > 0);
		after = row.name;
		for (size_t i = 0; i < NAMES; i++)
			if (slice_eq(row.name, slice_cstr(names[i]))) {
				assert_int_equal(row.mailbox_id != 0, run->model->boxes[i].exists);
				assert_int_equal(row.subscribed, run->model->subscribed[i]);
				seen++;
			}
	}
	for (size_t i = 0; i < NAMES; i++)
		seen -= run->model->boxes[i].exists || run->model->subscribed[i];
	assert_int_equal(seen, 0);
}

static void check(struct run *run, bool bodies)
{
	struct model *m = run->model;
	struct account account;
	uint64_t octets = 0, messages = 0;
	struct read *read = read_begin(run->bed.store);
	for (size_t i = 0; i < NAMES; i++) {
		check_box(run, read, i);
		messages += m->boxes[i].count;
		for (size_t k = 0; k < m->boxes[i].count; k++)
			octets += m->body_sizes[m->boxes[i].messages[k].body];
	}
	check_names(run, read);
	assert_int_equal(account_get(read, run->bed.account_id, &run->bed.arena, &account), ERR_OK);
	assert_int_equal(account.used_octets, octets);
	assert_int_equal(account.used_messages, messages);
	assert_int_equal(account.modseq, m->modseq);
	struct buffer text = { 0 }, out = { 0 };
	for (unsigned i = 0; bodies && i < m->bodies; i++) {
		buffer_clear(&out);
		enum err err = blob_read(read, m->blob_ids[i], 0, UINT64_MAX, &out);
		assert_int_equal(err, m->references[i] ? ERR_OK : ERR_GONE);
		if (err != ERR_OK)
			continue;
		bed_text(&text, i, m->body_sizes[i]);
		assert_int_equal(out.len, m->body_sizes[i]);
		assert_memory_equal(out.data, text.data, out.len);
	}
	buffer_free(&text);
	buffer_free(&out);
	read_end(&read);
	arena_reset(&run->bed.arena);
}

/* Everything that nothing refers to goes. Twice: the messages of a deleted mailbox let go of
 * their bodies only when its rows are removed. */
static void collect_garbage(struct run *run, int64_t *now_ms)
{
	struct garbage_walk walk = { 0 };
	for (unsigned round = 0; round < 2; round++) {
		uint64_t wait_ms = 0;
		*now_ms += (GARBAGE_DELAY_SECONDS + 1) * 1000;
		clock_set_fake_unix_ms(*now_ms);
		for (unsigned steps = 0; wait_ms <= 1000; steps++) {
			assert_true(steps < 1000);
			assert_int_equal(garbage_step(run->bed.store, &walk, &wait_ms), ERR_OK);
		}
	}
}

static void agrees_with_a_model(void **state)
{
	struct run run = { 0 };
	int64_t now_ms = 1700000000000;
	const char *seed = getenv("BODE_TEST_SEED"); /* to look further, by hand */
	srandom(seed ? (unsigned)atoi(seed) : 11);
	clock_set_fake_unix_ms(now_ms);
	run.model = calloc(1, sizeof(*run.model));
	run.backup = calloc(1, sizeof(*run.backup));
	bed_begin(&run.bed, STORE_CREATE);
	static const size_t first[] = { 0, 1, 7 }; /* INBOX, Sent, Trash */
	struct read *read = read_begin(run.bed.store);
	struct account account;
	assert_int_equal(account_get(read, run.bed.account_id, &run.bed.arena, &account), ERR_OK);
	run.model->modseq = account.modseq;
	for (size_t i = 0; i < ARRAY_LEN(first); i++) {
		struct box *box = &run.model->boxes[first[i]];
		struct mailbox mailbox;
		assert_int_equal(mailbox_find(read, run.bed.account_id, slice_cstr(names[first[i]]),
					      &run.bed.arena, &mailbox),
				 ERR_OK);
		*box = (struct box){ .exists = true,
				     .mailbox_id = mailbox.mailbox_id,
				     .uidvalidity = mailbox.uidvalidity,
				     .uidnext = 1,
				     .highest_modseq = mailbox.highest_modseq };
		run.model->subscribed[first[i]] = true;
	}
	run.model->last_uidvalidity = run.model->boxes[7].uidvalidity + 1; /* Archive's */
	read_end(&read);

	for (unsigned step = 0; step < STEPS; step++) {
		now_ms += dice(3000);
		clock_set_fake_unix_ms(now_ms);
		enum err err = bed_write(&run.bed, transaction, &run);
		if (err != ERR_OK) {
			assert_int_equal(err, ERR_DENIED);
			model_copy(run.backup, run.model);
		}
		if (step % 20 == 0)
			check(&run, false);
		if (step % 100 == 99) {
			store_close(&run.bed.store);
			bed_open(&run.bed, dice(2) ? STORE_SERVE : STORE_ADMIN);
		}
		if (step % 500 == 499) {
			collect_garbage(&run, &now_ms);
			check(&run, true);
		}
	}

	/* And when the account goes, nothing of it stays. */
	assert_int_equal(bed_write(&run.bed, bed_remove_account, &run.bed.account_id), ERR_OK);
	collect_garbage(&run, &now_ms);
	assert_int_equal(bed_count_rows(&run.bed, DB_MAILBOX), 0);
	assert_int_equal(bed_count_rows(&run.bed, DB_MAILBOX_NAME), 0);
	assert_int_equal(bed_count_rows(&run.bed, DB_BLOB), 0);
	assert_int_equal(bed_count_rows(&run.bed, DB_DIGEST), 0);
	assert_int_equal(bed_count_rows(&run.bed, DB_REFERENCE), 0);
	assert_int_equal(bed_count_rows(&run.bed, DB_GARBAGE), 0);
	assert_int_equal(bed_count_rows(&run.bed, DB_PENDING), 0);
	assert_int_equal(bed_count_rows(&run.bed, DB_ADDRESS), 0);
	assert_int_equal(bed_count_rows(&run.bed, DB_ACCOUNT), 0);

	for (size_t i = 0; i < NAMES; i++) {
		ranges_free(&run.model->boxes[i].vanished);
		ranges_free(&run.backup->boxes[i].vanished);
	}
	free(run.model);
	free(run.backup);
	bed_end(&run.bed);
	clock_set_fake_unix_ms(-1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_with_a_model),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
