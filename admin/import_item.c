/* admin/import_item.c - messages on their way in: many at once, the writer takes them many to a
 * commit.
 *
 * A message's job first looks whether its name is known: then it is there already, whoever else
 * imports at the same time. */
#include "admin/importer_priv.h"
#include "base/clock.h"
#include "base/heap.h"
#include "mail/maildir.h"
#include "serve/control.h"

enum {
	NOTIFY_EVERY_MS = 1000,
	/* Messages go to the writer together: one by one each would have a commit of its own, as
	 * long as the disk is quick. */
	HELD_MAX = 128,
	HELD_MS = 250,
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

/* A running server's sessions look when they are told. */
static void notify(struct importer *importer)
{
	uint64_t now_ms = clock_monotonic_ms();
	if (now_ms - importer->notified_ms < NOTIFY_EVERY_MS)
		return;
	importer->notified_ms = now_ms;
	control_notify_account(importer->admin->config->state_dir, importer->account_id);
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
	default: importer_fail_store(importer, job->outcome);
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
		importer_wait(importer);
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
		importer_wait(item->importer);
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

void importer_submit_held(struct importer *importer)
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

static void hold(struct importer *importer, struct import_item *item)
{
	uint64_t now_ms = clock_monotonic_ms();
	item->next = NULL;
	*importer->held_end = item;
	importer->held_end = &item->next;
	if (importer->held_count++ == 0)
		importer->held_since_ms = now_ms;
	if (importer->held_count == HELD_MAX || now_ms - importer->held_since_ms >= HELD_MS)
		importer_submit_held(importer);
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
