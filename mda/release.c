/* mda/release.c - out of the queue into mailboxes here, and on to where aliases lead. Runs in the back.
 *
 * The rules are those of when the message was submitted: who submitted it may send anywhere, and was
 * counted then. */
#include "mda/release.h"

#include "base/clock.h"

struct release {
	struct placement placement;
	struct placed_message message;
	enum err *outcomes; /* of each recipient, as they were told */
};

static enum err judge(struct release *release, struct read *read)
{
	return placement_judge(&release->placement, read, &release->message, true);
}

struct release *release_new(struct read *read, const struct config *config,
			    const struct queue_entry *entry, struct arena *arena)
{
	struct release *release = arena_alloc(arena, sizeof(*release));
	struct placement *placement = &release->placement;
	const struct sender sender = {
		.config = config,
		.reverse_path = entry->envelope.reverse_path,
		.account_id = entry->account_id,
		.may_relay = true,
	};

	*release = (struct release){
		.placement.arena = arena,
		.message = { .blob_id = entry->blob_id,
			     .size_octets = entry->size_octets,
			     .arrived_unix = clock_unix(),
			     .account_id = entry->account_id,
			     .envelope = &entry->envelope },
		.outcomes = arena_alloc_array(arena, entry->recipient_count,
					      sizeof(*release->outcomes)),
	};
	for (size_t i = 0; i < entry->recipient_count; i++) {
		enum err err = placement_add(placement, read, &sender, &entry->recipients[i], true);
		/* Who has submitted it may mean an address elsewhere beside one here that leads there
		 * as well. A stranger's was held for an address here, and that is gone. */
		if (err == ERR_OK && placement->recipients[i].is_elsewhere &&
		    entry->account_id == 0)
			placement->recipients[i].resolved = ERR_NOT_FOUND;
	}
	bool is_told = placement_find_inboxes(placement, read) == ERR_OK &&
		       !err_is_store_failure(judge(release, read));
	/* A store that fails says nothing of anybody. */
	for (size_t i = 0; i < entry->recipient_count; i++)
		release->outcomes[i] = is_told ? placement->recipients[i].outcome : ERR_UNAVAILABLE;
	return release;
}

enum err release_outcome(const struct release *release, size_t recipient)
{
	return release->outcomes[recipient];
}

enum placed_end release_end(const struct release *release, size_t recipient)
{
	return release->placement.recipients[recipient].end;
}

enum err release_write(struct write *write, struct release *release)
{
	struct placement *placement = &release->placement;
	bool any = false;

	for (size_t i = 0; i < placement->recipient_count; i++)
		any |= release->outcomes[i] == ERR_OK;
	if (!any)
		return ERR_OK;
	enum err err = judge(release, write_read(write));
	if (err_is_store_failure(err))
		return err;
	for (size_t i = 0; i < placement->recipient_count; i++)
		if (placement->recipients[i].outcome != release->outcomes[i])
			return ERR_BUSY;
	err = placement_write(write, placement, &release->message);
	if (err == ERR_OK)
		placement_note(write, placement, &release->message);
	return err;
}
