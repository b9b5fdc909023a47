/* smtpd/relay/here.c - an entry of the queue for addresses here: mail that its sender has had held (RFC
 * 4865), or that waits for a mailbox to have room. Runs in the back.
 *
 * It needs no front and no hop: what becomes of each recipient is known at once, and the settlement
 * puts the message into the mailboxes with the transaction that takes it out of the queue. */
#include "smtpd/relay/runner_priv.h"

static struct settled settled_of(enum err outcome)
{
	switch (outcome) {
	case ERR_OK:
		return (struct settled){ .verdict = DELIVERY_TAKEN,
					 .status = SLICE("2.1.5"),
					 .words = SLICE("delivered") };
	case ERR_QUOTA:
		return (struct settled){ .verdict = DELIVERY_LATER,
					 .status = SLICE("4.2.2"),
					 .words = SLICE("the mailbox is full") };
	case ERR_NOT_FOUND:
	case ERR_DENIED:
		return (struct settled){ .verdict = DELIVERY_REFUSED,
					 .status = SLICE("5.1.1"),
					 .words = SLICE("there is no such mailbox here") };
	case ERR_REFUSED:
		return (struct settled){ .verdict = DELIVERY_REFUSED,
					 .status = SLICE("5.7.2"),
					 .words = SLICE("it is a list that its sender may not post "
							"to") };
	case ERR_LIMIT:
		return (struct settled){ .verdict = DELIVERY_REFUSED,
					 .status = SLICE("5.4.6"),
					 .words = SLICE("the address leads to too many others") };
	default:
		return (struct settled){ .verdict = DELIVERY_LATER,
					 .status = SLICE("4.3.0"),
					 .words = SLICE("the mailbox cannot be written to just "
							"now") };
	}
}

void transfer_release(struct transfer *transfer)
{
	struct back *back = transfer->runner->back;
	const struct queue_entry *entry = &transfer->entry;
	struct settled *settled =
		arena_alloc_array(&transfer->arena, entry->recipient_count, sizeof(*settled));
	const struct settlement settlement = { .recipients = settled, .is_final = true };
	struct read *read = read_begin(back->store);

	transfer->release = release_new(read, back->config, entry, &transfer->arena);
	read_end(&read);
	for (size_t i = 0; i < entry->recipient_count; i++)
		settled[i] = settled_of(release_outcome(transfer->release, i));
	transfer_settle(transfer, &settlement);
}
