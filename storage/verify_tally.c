/* storage/verify_tally.c - what the entries and the change log of one mailbox add up to, and
 * whether its record says the same. Runs in the admin's process. */
#include <inttypes.h>

#include "storage/verify_priv.h"

static bool runs_are_sound(struct slice runs, uint32_t uidnext)
{
	uint32_t before = 0;
	if (runs.len == 0 || runs.len % RUN_OCTETS != 0)
		return false;
	for (size_t i = 0; i < runs.len; i += RUN_OCTETS) {
		uint32_t first = get_be32(runs.ptr + i), last = get_be32(runs.ptr + i + 4);
		if (first <= before || first > last || last >= uidnext)
			return false;
		before = last;
	}
	return true;
}

static void log_row(struct tally *tally, const struct mailbox *mailbox, uint64_t modseq,
		    struct slice value)
{
	enum { ROW_KEY_OCTETS = 17 };
	tally->log_rows++;
	tally->log_octets += value.len + ROW_KEY_OCTETS;
	if (modseq > tally->last_modseq)
		tally->last_modseq = modseq;
	struct change change;
	if (!change_decode(value, &change) || !runs_are_sound(change.runs, mailbox->uidnext)) {
		tally->log_wrong = "a row of the change log cannot be read";
	} else if (modseq <= mailbox->pruned_modseq || modseq > mailbox->highest_modseq) {
		tally->log_wrong = "the change log has a row with a MODSEQ that it should not have";
	} else if (change.kind == CHANGE_VANISHED) {
		for (size_t i = 0; i < change.runs.len; i += RUN_OCTETS)
			ranges_add(&tally->vanished, get_be32(change.runs.ptr + i),
				   get_be32(change.runs.ptr + i + 4));
	}
}

void tally_log(struct tally *tally, struct read *read, const struct mailbox_record *record)
{
	struct row row;
	struct key key;
	struct slice modseq;
	uint64_t mailbox_id = record->mailbox.mailbox_id;
	row_open(&row, read, DB_MAILBOX);
	key_change(&key, mailbox_id, 0);
	for (bool more = row_seek(&row, key_slice(&key));
	     more && key_is_row(row.key, mailbox_id, ROW_CHANGE, &modseq); more = row_next(&row))
		log_row(tally, &record->mailbox, get_be64(modseq.ptr), row.value);
	row_close(&row);
	if (!tally->log_wrong &&
	    (tally->log_rows != record->log_rows || tally->log_octets != record->log_octets))
		tally->log_wrong = "the change log has another size than its record says";
}

/* Whether the log tells who was away of this entry's last change. */
static bool log_tells(struct read *read, uint64_t mailbox_id, const struct message_entry *entry)
{
	struct key key;
	struct slice value;
	key_change(&key, mailbox_id, entry->modseq);
	struct change change;
	if (db_get(read, DB_MAILBOX, key_slice(&key), &value) != ERR_OK ||
	    !change_decode(value, &change) || change.kind == CHANGE_VANISHED)
		return false;
	size_t low = 0, high = change.runs.len / RUN_OCTETS;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const uint8_t *run = change.runs.ptr + middle * RUN_OCTETS;
		if (entry->uid < get_be32(run))
			high = middle;
		else if (entry->uid > get_be32(run + 4))
			low = middle + 1;
		else
			return true;
	}
	return false;
}

void tally_entry(struct tally *tally, struct read *read, const struct mailbox_record *record,
		 const struct message_entry *entry)
{
	const struct mailbox *mailbox = &record->mailbox;
	tally->messages++;
	tally->unseen += !(entry->flags & FLAG_SEEN);
	tally->deleted += (entry->flags & FLAG_DELETED) != 0;
	tally->size_octets += entry->size_octets;
	tally->last_uid = entry->uid;
	tally->keywords |= entry->keywords;
	if (entry->modseq > tally->last_modseq)
		tally->last_modseq = entry->modseq;
	if (tally->log_wrong)
		return;
	if (ranges_contains(&tally->vanished, entry->uid))
		tally->log_wrong = "the change log says that a message has vanished which is there";
	else if (entry->modseq > mailbox->pruned_modseq &&
		 !log_tells(read, mailbox->mailbox_id, entry))
		tally->log_wrong = "the change log does not tell of a message's last change";
}

void tally_fini(struct tally *tally)
{
	ranges_free(&tally->vanished);
}

const char *tally_counts_wrong(const struct tally *tally, const struct mailbox *mailbox,
			       struct arena *arena)
{
	if (tally->messages == mailbox->messages && tally->unseen == mailbox->unseen &&
	    tally->deleted == mailbox->deleted && tally->size_octets == mailbox->size_octets)
		return NULL;
	return arena_format(arena,
			    "its record says %" PRIu32 " messages, %" PRIu32 " unseen, %" PRIu32
			    " deleted, %" PRIu64 " octets; there are %" PRIu32 ", %" PRIu32
			    ", %" PRIu32 ", %" PRIu64,
			    mailbox->messages, mailbox->unseen, mailbox->deleted,
			    mailbox->size_octets, tally->messages, tally->unseen, tally->deleted,
			    tally->size_octets);
}

const char *tally_numbers_wrong(const struct tally *tally, const struct mailbox *mailbox,
				uint64_t account_modseq, struct arena *arena)
{
	if (tally->last_uid >= mailbox->uidnext || mailbox->uidnext == 0)
		return arena_format(arena, "UIDNEXT is %" PRIu32 ", and UID %" PRIu32 " is given",
				    mailbox->uidnext, tally->last_uid);
	if (mailbox->recent_from_uid > mailbox->uidnext)
		return "messages that are not there yet are no longer recent";
	if (tally->last_modseq > mailbox->highest_modseq)
		return arena_format(arena,
				    "HIGHESTMODSEQ is %" PRIu64 ", and a message has %" PRIu64,
				    mailbox->highest_modseq, tally->last_modseq);
	if (mailbox->pruned_modseq > mailbox->highest_modseq)
		return "the change log begins behind its end";
	if (mailbox->highest_modseq > account_modseq)
		return arena_format(arena,
				    "HIGHESTMODSEQ is %" PRIu64 ", and the account's is %" PRIu64,
				    mailbox->highest_modseq, account_modseq);
	return NULL;
}

uint64_t tally_nameless_keywords(const struct tally *tally, const struct mailbox *mailbox)
{
	uint64_t named = 0;
	for (size_t i = 0; i < mailbox->keyword_count; i++)
		if (mailbox->keywords[i].ptr)
			named |= (uint64_t)1 << i;
	return tally->keywords & ~named;
}
