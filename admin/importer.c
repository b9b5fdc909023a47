/* admin/importer.c - filing what an import brings: many messages under way, the writer takes them
 * many to a commit. Runs in the admin's process, beside a running server.
 *
 * A message's job first looks whether its name is known: then it is there already, whoever else
 * imports at the same time. What ends a run (a full disk, the quota) is said once; a message
 * that cannot be had costs no other. */
#include "admin/importer.h"

#include <errno.h>
#include <string.h>

#include "admin/progress.h"
#include "admin/table.h"
#include "base/clock.h"
#include "base/heap.h"
#include "mail/maildir.h"
#include "runtime/fingerprint.h"
#include "serve/control.h"

enum {
	NOTIFY_EVERY_MS = 1000,
	LOOP_WAIT_MS = 1000,
	/* Messages go to the writer together: one by one each would have a commit of its own, as
	 * long as the disk is quick. */
	HELD_MAX = 128,
	HELD_MS = 250,
};

struct import_target {
	struct import_target *next;
	struct slice name;
	uint64_t mailbox_id;
	bool keeps_uids;
	uint32_t uidnext; /* of the source */
	uint64_t imported, already, skipped;
};

struct importer {
	struct admin *admin;
	struct loop *loop;
	struct progress *progress;
	uint32_t account_id;
	uint64_t inbox_id;
	const char *user, *into;
	bool json, is_over;
	struct arena arena; /* targets */
	struct import_target *targets, **targets_end;
	uint64_t skipped, expected;
	uint64_t way_octets;
	unsigned way_messages;
	uint64_t notified_ms;
	struct import_item *held, **held_end; /* whole, and not yet with the writer */
	unsigned held_count;
	uint64_t held_since_ms;
};

struct import_item {
	struct job job;
	struct import_item *next; /* held */
	struct importer *importer;
	struct import_target *target;
	struct arena arena; /* what `message` points to */
	struct import_message message;
	struct intake *intake;
	struct buffer lines;
	uint64_t counted_octets; /* in importer->way_octets */
	uint32_t uid;
	bool after_cr, is_refused, keywords_lost;
};

struct loop *importer_loop(struct importer *importer)
{
	return importer->loop;
}

void importer_expect(struct importer *importer, uint64_t messages)
{
	importer->expected += messages;
	progress_total(importer->progress, importer->expected);
}

bool importer_is_over(const struct importer *importer)
{
	return importer->is_over;
}

void importer_fail(struct importer *importer, const char *format, ...)
{
	va_list args;
	if (importer->is_over)
		return;
	importer->is_over = true;
	progress_hide(importer->progress);
	va_start(args, format);
	fputs("bode: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
}

static void fail_store(struct importer *importer, enum err err)
{
	switch (err) {
	case ERR_QUOTA:
		importer_fail(importer,
			      "the quota of %s is used up; raise it and run the import again: it "
			      "goes on where it was",
			      importer->user);
		break;
	case ERR_FULL:
		importer_fail(importer, "the disk is full; make room and run the import again: it "
					"goes on where it was");
		break;
	case ERR_GONE:
		importer_fail(
			importer,
			"the user or a mailbox was removed while the import ran; run it again");
		break;
	default:
		importer_fail(importer,
			      "the store failed (%s); run the import again: it goes on "
			      "where it was",
			      err_word(err));
	}
}

/* ---- life ---- */

static uint64_t find_inbox(struct importer *importer)
{
	struct mailbox mailbox;
	struct arena arena = { 0 };
	struct read *read = read_begin(importer->admin->store);
	enum err err = mailbox_find(read, importer->account_id, SLICE("INBOX"), &arena, &mailbox);
	read_end(&read);
	arena_fini(&arena);
	return err == ERR_OK ? mailbox.mailbox_id : 0;
}

struct importer *importer_new(struct admin *admin, const struct importer_options *options)
{
	struct address address;
	struct account account;
	admin->keeps_user = true;
	if (!admin_parse_address(admin, options->user, &address) || !admin_open_store(admin))
		return NULL;
	struct read *read = read_begin(admin->store);
	enum err err = account_find(read, address_format(&address, &admin->arena), &admin->arena,
				    &account);
	read_end(&read);
	if (err == ERR_NOT_FOUND)
		admin_fail("there is no user %s; \"bode user list\" shows them", options->user);
	else if (err != ERR_OK)
		admin_fail_store(err, "the user cannot be read");
	if (err != ERR_OK)
		return NULL;
	struct importer *importer = heap_alloc(sizeof(*importer));
	importer->admin = admin;
	importer->held_end = &importer->held;
	importer->account_id = account.account_id;
	importer->user = options->user;
	importer->into = options->into;
	importer->json = options->json;
	importer->targets_end = &importer->targets;
	importer->inbox_id = find_inbox(importer);
	store_start_writer(admin->store);
	importer->loop = loop_new(0);
	importer->progress = progress_new("import");
	progress_phase(importer->progress, "mail", PROGRESS_ITEMS, "messages", 0);
	return importer;
}

/* A running server's sessions look when they are told. */
static void notify(struct importer *importer)
{
	uint64_t now_ms = clock_monotonic_ms();
	if (now_ms - importer->notified_ms < NOTIFY_EVERY_MS)
		return;
	importer->notified_ms = now_ms;
	control_notify_account(importer->admin->config->state_dir, importer->account_id);
}

/* Names come from a stranger's disk: no control characters for the terminal. */
static void print_name(const char *name)
{
	for (; *name; name++)
		fputc((uint8_t)*name < ' ' || *name == 0x7f ? '?' : *name, stderr);
}

void importer_skip(struct importer *importer, struct import_target *target, const char *where,
		   const char *why)
{
	progress_hide(importer->progress);
	fputs("bode: skipped ", stderr);
	print_name(where);
	fprintf(stderr, ": %s\n", why);
	importer->skipped++;
	if (target)
		target->skipped++;
}

void importer_note(struct importer *importer, const char *where, const char *what)
{
	progress_hide(importer->progress);
	fputs("bode: ", stderr);
	print_name(where);
	fprintf(stderr, ": %s\n", what);
}

void importer_skip_errno(struct importer *importer, struct import_target *target, const char *where,
			 const char *doing)
{
	char why[256];
	snprintf(why, sizeof(why), "%s: %s", doing, strerror(errno));
	importer_skip(importer, target, where, why);
}

/* A job whose end is waited for. */
struct waiting_job {
	struct job job;
	struct importer *importer;
	bool is_done;
	const struct import_mailbox *mailbox; /* what to open */
	struct slice name;
	bool follows_use;
	/* results */
	uint64_t mailbox_id;
	bool keeps_uids;
	/* what to raise */
	uint32_t uidnext;
};

static void waiting_done(struct job *job)
{
	CONTAINER_OF(job, struct waiting_job, job)->is_done = true;
}

static void submit_held(struct importer *importer)
{
	struct import_item *item = importer->held, *next;
	importer->held = NULL;
	importer->held_end = &importer->held;
	importer->held_count = 0;
	for (; item; item = next) {
		next = item->next; /* the item may be done and freed at once */
		store_submit(importer->admin->store, &item->job);
	}
}

/* Waits for something to come home: nothing may be held back meanwhile. */
static void wait_for_writer(struct importer *importer)
{
	submit_held(importer);
	loop_run_once(importer->loop, LOOP_WAIT_MS);
}

static enum err run_and_wait(struct importer *importer, struct waiting_job *waiting,
			     enum err (*run)(struct write *write, struct job *job))
{
	waiting->importer = importer;
	waiting->is_done = false;
	waiting->job = (struct job){ .run = run, .done = waiting_done, .loop = importer->loop };
	submit_held(importer); /* in order */
	store_submit(importer->admin->store, &waiting->job);
	while (!waiting->is_done)
		wait_for_writer(importer);
	return waiting->job.outcome;
}

static void drain(struct importer *importer)
{
	while (importer->way_messages > 0)
		wait_for_writer(importer);
}

static void print_table(struct importer *importer)
{
	static const char *const columns[] = { "mailbox", "imported", "already_there", "skipped" };
	struct table *table = table_new(importer->json, columns, ARRAY_LEN(columns));
	for (struct import_target *target = importer->targets; target; target = target->next) {
		const uint64_t counts[] = { target->imported, target->already, target->skipped };
		table_text(table, target->name);
		for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
			char text[24];
			snprintf(text, sizeof(text), "%llu", (unsigned long long)counts[i]);
			table_number(table, counts[i], text);
		}
	}
	table_print(table, "nothing was imported: the source holds no mail");
}

static enum err nothing_run(struct write *write, struct job *job)
{
	return ERR_OK;
}

int importer_finish(struct importer **importer_at)
{
	struct waiting_job last = { 0 };
	struct importer *importer = *importer_at;
	*importer_at = NULL;
	drain(importer);
	/* Behind the chunks of what was abandoned, and behind what removes them. */
	for (int i = 0; i < 2; i++)
		if (run_and_wait(importer, &last, nothing_run) != ERR_OK)
			break;
	progress_free(&importer->progress);
	control_notify_account(importer->admin->config->state_dir, importer->account_id);
	print_table(importer);
	if (importer->skipped > 0)
		fprintf(stderr, "bode: skipped %llu; each is listed above with the reason\n",
			(unsigned long long)importer->skipped);
	int status = importer->is_over || importer->skipped ? EXIT_FAILURE : EXIT_SUCCESS;
	store_close(&importer->admin->store);
	loop_free(importer->loop);
	arena_fini(&importer->arena);
	free(importer);
	return status;
}

/* ---- mailboxes ---- */

/* Takes over the source's UIDVALIDITY where that is possible; then its UIDs mean the same here.
 * A name takes over the same number once only: when the mailbox was deleted since, its UIDs may
 * have been given to other messages. That is noted beside INBOX, which no one can delete. */
static enum err adopt(struct write *write, struct waiting_job *open)
{
	struct importer *importer = open->importer;
	uint32_t uidvalidity = open->mailbox->uidvalidity;
	struct source_name note;
	struct source_record record;
	const struct slice pieces[] = { SLICE("uidvalidity"), open->name,
					slice_of(&uidvalidity, sizeof(uidvalidity)) };
	fingerprint(pieces, ARRAY_LEN(pieces), note.octets, sizeof(note.octets));
	enum err err = source_find(write_read(write), importer->inbox_id, &note, &record);
	bool is_noted = err == ERR_OK;
	if (err != ERR_OK && err != ERR_NOT_FOUND)
		return err;
	if (is_noted && record.uid != (uint32_t)open->mailbox_id)
		return ERR_OK;
	err = mailbox_adopt_uidvalidity(write, open->mailbox_id, uidvalidity);
	open->keeps_uids = err == ERR_OK;
	if (err == ERR_EXISTS || err == ERR_LIMIT)
		return ERR_OK;
	record =
		(struct source_record){ .uid = (uint32_t)open->mailbox_id, .form = SOURCE_ADOPTED };
	return err == ERR_OK && !is_noted ? source_add(write, importer->inbox_id, &note, &record)
					  : err;
}

static bool find_by_use(struct read *read, uint32_t account_id, enum special_use use,
			uint64_t *mailbox_id_out, struct arena *arena, struct slice *name_out)
{
	struct mailbox_row row;
	for (struct slice after = SLICE_NONE; mailbox_next(read, account_id, after, &row);
	     after = arena_copy(arena, row.name)) {
		if (row.special_use != use || row.mailbox_id == 0)
			continue;
		*mailbox_id_out = row.mailbox_id;
		*name_out = arena_copy(arena, row.name);
		return true;
	}
	return false;
}

static enum err open_run(struct write *write, struct job *job)
{
	struct waiting_job *open = CONTAINER_OF(job, struct waiting_job, job);
	struct importer *importer = open->importer;
	uint32_t account_id = importer->account_id;
	struct arena *arena = &importer->arena;
	struct mailbox mailbox;
	struct read *read = write_read(write);
	enum special_use use = open->follows_use ? open->mailbox->special_use : USE_NONE;
	open->keeps_uids = false;
	enum err err = mailbox_find(read, account_id, open->name, arena, &mailbox);
	open->mailbox_id = mailbox.mailbox_id;
	if (err == ERR_NOT_FOUND && use != USE_NONE &&
	    find_by_use(read, account_id, use, &open->mailbox_id, arena, &open->name))
		err = ERR_OK;
	if (err == ERR_NOT_FOUND) {
		err = mailbox_create(write, account_id, open->name, use, &open->mailbox_id);
		if (err == ERR_OK && open->mailbox->subscribe)
			err = mailbox_subscribe(write, account_id, open->name, true);
	}
	if (err == ERR_OK && open->mailbox->uidvalidity != 0)
		err = adopt(write, open);
	return err;
}

/* The mailbox's name under --into. */
static struct slice name_here(struct importer *importer, struct slice name)
{
	if (!importer->into)
		return arena_copy(&importer->arena, name);
	if (slice_eq(name, SLICE("INBOX")))
		return arena_copy(&importer->arena, slice_cstr(importer->into));
	return slice_cstr(
		arena_format(&importer->arena, "%s/%.*s", importer->into, SLICE_ARG(name)));
}

struct import_target *importer_open(struct importer *importer, const struct import_mailbox *mailbox)
{
	struct waiting_job open = { .mailbox = mailbox, .follows_use = !importer->into };
	open.name = name_here(importer, mailbox->name);
	enum err err = run_and_wait(importer, &open, open_run);
	if (err == ERR_BAD_INPUT || err == ERR_LIMIT) {
		importer_skip(importer, NULL, arena_string(&importer->arena, open.name),
			      err == ERR_LIMIT ? "the mailbox's name is too long, or the user has "
						 "too many mailboxes"
					       : "no mailbox can have this name");
		return NULL;
	}
	if (err != ERR_OK) {
		fail_store(importer, err);
		return NULL;
	}
	struct import_target *target = importer->targets;
	while (target && target->mailbox_id != open.mailbox_id)
		target = target->next;
	if (!target) {
		target = arena_alloc(&importer->arena, sizeof(*target));
		target->name = open.name;
		target->mailbox_id = open.mailbox_id;
		*importer->targets_end = target;
		importer->targets_end = &target->next;
	}
	target->keeps_uids = open.keeps_uids;
	target->uidnext = mailbox->uidnext;
	return target;
}

static enum err raise_run(struct write *write, struct job *job)
{
	struct waiting_job *raise = CONTAINER_OF(job, struct waiting_job, job);
	return mailbox_raise_uidnext(write, raise->mailbox_id, raise->uidnext);
}

void importer_close(struct importer *importer, struct import_target *target)
{
	drain(importer);
	if (importer->is_over || !target->keeps_uids || target->uidnext == 0)
		return;
	struct waiting_job raise = { .mailbox_id = target->mailbox_id, .uidnext = target->uidnext };
	enum err err = run_and_wait(importer, &raise, raise_run);
	if (err != ERR_OK && err != ERR_LIMIT)
		fail_store(importer, err);
}

struct slice import_target_name(const struct import_target *target)
{
	return target->name;
}

static enum err subscribe_run(struct write *write, struct job *job)
{
	struct waiting_job *subscribe = CONTAINER_OF(job, struct waiting_job, job);
	return mailbox_subscribe(write, subscribe->importer->account_id, subscribe->name, true);
}

static void subscribe(struct importer *importer, struct slice name)
{
	struct waiting_job subscribe = { .name = name };
	if (importer->is_over)
		return;
	enum err err = run_and_wait(importer, &subscribe, subscribe_run);
	if (err == ERR_BAD_INPUT || err == ERR_LIMIT)
		importer_skip(importer, NULL, arena_string(&importer->arena, name),
			      "no mailbox can have this name, so it cannot be subscribed");
	else if (err != ERR_OK)
		fail_store(importer, err);
}

void importer_subscribe(struct importer *importer, struct slice name)
{
	subscribe(importer, name_here(importer, name));
}

void importer_subscribe_target(struct importer *importer, struct import_target *target)
{
	subscribe(importer, target->name);
}

/* ---- messages ---- */

bool importer_knows(struct importer *importer, struct import_target *target,
		    const struct source_name *name)
{
	struct source_record record;
	struct read *read = read_begin(importer->admin->store);
	bool is_known = source_find(read, target->mailbox_id, name, &record) == ERR_OK;
	read_end(&read);
	if (is_known) {
		target->already++;
		progress_add(importer->progress, 1);
	}
	return is_known;
}

static enum err item_append(struct write *write, struct import_item *item,
			    const struct message_entry *entry)
{
	const struct import_message *message = &item->message;
	size_t keyword_count = item->keywords_lost ? 0 : message->keyword_count;
	uint64_t mailbox_id = item->target->mailbox_id;
	if (item->target->keeps_uids && message->uid != 0) {
		enum err err = message_append_as(write, mailbox_id, message->uid, entry,
						 message->keywords, keyword_count);
		item->uid = message->uid;
		/* Something else came in since: the message comes behind it. */
		if (err != ERR_EXISTS && err != ERR_LIMIT)
			return err;
	}
	return message_append(write, mailbox_id, entry, message->keywords, keyword_count,
			      &item->uid);
}

static enum err item_run(struct write *write, struct job *job)
{
	struct import_item *item = CONTAINER_OF(job, struct import_item, job);
	struct source_record record;
	enum err err = source_find(write_read(write), item->target->mailbox_id, &item->message.name,
				   &record);
	if (err != ERR_NOT_FOUND)
		return err == ERR_OK ? ERR_EXISTS : err;
	struct message_entry entry = {
		.internal_unix = item->message.internal_unix,
		.size_octets = intake_size_octets(item->intake),
		.flags = item->message.flags,
	};
	item->keywords_lost = false;
	if ((err = intake_commit(write, item->intake, &entry.blob_id)) != ERR_OK)
		return err;
	err = item_append(write, item, &entry);
	if (err == ERR_LIMIT && item->message.keyword_count > 0) {
		/* The mailbox has no room for more keywords; the message is worth more. */
		item->keywords_lost = true;
		err = item_append(write, item, &entry);
	}
	if (err != ERR_OK)
		return err;
	record = (struct source_record){ .uid = item->uid, .form = item->message.form };
	return source_add(write, item->target->mailbox_id, &item->message.name, &record);
}

static void item_free(struct import_item *item)
{
	item->importer->way_messages--;
	item->importer->way_octets -= item->counted_octets;
	intake_free(&item->intake);
	buffer_free(&item->lines);
	arena_fini(&item->arena);
	free(item);
}

static void item_done(struct job *job)
{
	struct import_item *item = CONTAINER_OF(job, struct import_item, job);
	struct importer *importer = item->importer;
	struct import_target *target = item->target;
	switch (job->outcome) {
	case ERR_OK:
		target->imported++;
		if (item->keywords_lost)
			importer_note(importer, item->message.where,
				      "imported without its keywords: the mailbox has too many");
		notify(importer);
		break;
	case ERR_EXISTS: target->already++; break;
	case ERR_LIMIT:
		importer_skip(importer, target, item->message.where,
			      "the mailbox has no UIDs left, or the message is too large");
		break;
	default: fail_store(importer, job->outcome);
	}
	progress_add(importer->progress, 1);
	item_free(item);
}

static void item_has_room(void *user)
{
	((struct import_item *)user)->is_refused = false;
}

void import_describe(struct import_item *item, const struct import_message *message)
{
	item->message = *message;
	item->message.where = arena_string(&item->arena, slice_cstr(message->where));
	item->message.keyword_count = 0;
	for (size_t i = 0; i < message->keyword_count && i < IMPORT_KEYWORDS_MAX; i++)
		if (maildir_keyword_is_usable(message->keywords[i]))
			item->message.keywords[item->message.keyword_count++] =
				arena_copy(&item->arena, message->keywords[i]);
}

struct import_item *import_begin(struct importer *importer, struct import_target *target,
				 const struct import_message *message)
{
	while (importer->way_messages >= IMPORT_WAY_MESSAGES ||
	       importer->way_octets >= IMPORT_WAY_OCTETS)
		wait_for_writer(importer);
	struct import_item *item = heap_alloc(sizeof(*item));
	item->importer = importer;
	item->target = target;
	import_describe(item, message);
	item->intake = intake_new(importer->admin->store, importer->loop, item_has_room, item);
	importer->way_messages++;
	return item;
}

static void feed_raw(struct import_item *item, struct slice octets)
{
	if (octets.len == 0)
		return;
	item->is_refused = !intake_feed(item->intake, octets);
	while (item->is_refused)
		wait_for_writer(item->importer);
}

void import_feed(struct import_item *item, struct slice octets)
{
	enum { PIECE_OCTETS = 64 * 1024 };
	item->importer->way_octets += octets.len;
	item->counted_octets += octets.len;
	while (octets.len > 0) {
		struct slice piece = slice_sub(octets, 0, PIECE_OCTETS);
		octets = slice_sub(octets, piece.len, octets.len);
		buffer_clear(&item->lines);
		buffer_reserve(&item->lines, piece.len + piece.len / 16);
		/* Every line feed gets the carriage return that it lacks. */
		for (size_t at = 0; at < piece.len;) {
			size_t end = slice_find_byte(piece, at, '\n');
			buffer_add(&item->lines, slice_sub(piece, at, end - at));
			bool after_cr = end > at ? piece.ptr[end - 1] == '\r' : item->after_cr;
			if (end < piece.len)
				buffer_add(&item->lines, after_cr ? SLICE("\n") : SLICE("\r\n"));
			item->after_cr = end == piece.len && after_cr;
			at = end + 1;
		}
		feed_raw(item, buffer_slice(&item->lines));
	}
}

static void hold(struct importer *importer, struct import_item *item)
{
	uint64_t now_ms = clock_monotonic_ms();
	item->next = NULL;
	*importer->held_end = item;
	importer->held_end = &item->next;
	if (importer->held_count++ == 0)
		importer->held_since_ms = now_ms;
	if (importer->held_count == HELD_MAX || now_ms - importer->held_since_ms >= HELD_MS)
		submit_held(importer);
}

void import_commit(struct import_item **item_at)
{
	struct import_item *item = *item_at;
	struct importer *importer = item->importer;
	*item_at = NULL;
	buffer_free(&item->lines);
	enum err err = intake_finish(item->intake);
	item->job = (struct job){ .run = item_run, .done = item_done, .loop = importer->loop };
	item->job.outcome = err;
	if (err == ERR_OK)
		hold(importer, item);
	else
		item_done(&item->job);
	/* What has come home makes room. */
	loop_run_once(importer->loop, 0);
}

void import_abandon(struct import_item **item)
{
	if (*item)
		item_free(*item);
	*item = NULL;
}

/* ---- line ends ---- */

void line_ends_look(struct line_ends *ends, struct slice octets)
{
	for (size_t at = 0; at < octets.len;) {
		size_t end = slice_find_byte(octets, at, '\n');
		bool after_cr = end > at ? octets.ptr[end - 1] == '\r' : ends->after_cr && at == 0;
		if (end < octets.len) {
			ends->lf++;
			ends->crlf += after_cr;
		}
		ends->after_cr = end == octets.len && after_cr;
		at = end + 1;
	}
}

enum source_form line_ends_form(const struct line_ends *ends)
{
	if (ends->crlf == 0)
		return SOURCE_LF;
	return ends->crlf == ends->lf ? SOURCE_CRLF : SOURCE_MIXED;
}
