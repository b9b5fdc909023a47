/* admin/import_target.c - the mailboxes that an import fills, and what it knows of their messages. */
#include "admin/importer_priv.h"
#include "runtime/fingerprint.h"

/* Takes over the source's UIDVALIDITY where that is possible; then its UIDs mean the same here.
 * A name takes over the same number once only: when the mailbox was deleted since, its UIDs may
 * have been given to other messages. That is noted beside INBOX, which no one can delete. */
static enum err adopt(struct write *write, struct import_wait *open)
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
	struct import_wait *open = CONTAINER_OF(job, struct import_wait, job);
	struct importer *importer = open->importer;
	uint32_t account_id = importer->account_id;
	struct arena *arena = &importer->arena;
	struct mailbox mailbox = { 0 };
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
	struct import_wait open = { .mailbox = mailbox, .follows_use = !importer->into };
	open.name = name_here(importer, mailbox->name);
	enum err err = importer_run(importer, &open, open_run);
	if (err == ERR_BAD_INPUT || err == ERR_LIMIT) {
		importer_skip(importer, NULL, arena_string(&importer->arena, open.name),
			      err == ERR_LIMIT ? "the mailbox's name is too long, or the user has "
						 "too many mailboxes"
					       : "no mailbox can have this name");
		return NULL;
	}
	if (err != ERR_OK) {
		importer_fail_store(importer, err);
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
	struct import_wait *raise = CONTAINER_OF(job, struct import_wait, job);
	return mailbox_raise_uidnext(write, raise->mailbox_id, raise->uidnext);
}

void importer_close(struct importer *importer, struct import_target *target)
{
	importer_drain(importer);
	if (importer->is_over || !target->keeps_uids || target->uidnext == 0)
		return;
	struct import_wait raise = { .mailbox_id = target->mailbox_id, .uidnext = target->uidnext };
	enum err err = importer_run(importer, &raise, raise_run);
	if (err != ERR_OK && err != ERR_LIMIT)
		importer_fail_store(importer, err);
}

static enum err subscribe_run(struct write *write, struct job *job)
{
	struct import_wait *subscribe = CONTAINER_OF(job, struct import_wait, job);
	return mailbox_subscribe(write, subscribe->importer->account_id, subscribe->name, true);
}

static void subscribe(struct importer *importer, struct slice name)
{
	struct import_wait subscribe = { .name = name };
	if (importer->is_over)
		return;
	enum err err = importer_run(importer, &subscribe, subscribe_run);
	if (err == ERR_BAD_INPUT || err == ERR_LIMIT)
		importer_skip(importer, NULL, arena_string(&importer->arena, name),
			      "no mailbox can have this name, so it cannot be subscribed");
	else if (err != ERR_OK)
		importer_fail_store(importer, err);
}

void importer_subscribe(struct importer *importer, struct slice name)
{
	subscribe(importer, name_here(importer, name));
}

void importer_subscribe_target(struct importer *importer, struct import_target *target)
{
	subscribe(importer, target->name);
}

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
