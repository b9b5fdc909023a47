/* mda/placement.c - a message into the INBOX of each of its recipients here, and into the queue for
 * those elsewhere (RFC 5321 section 6.1). Runs in the back and in the admin's process.
 *
 * Left out: a choice of mailbox (that is a filter's business). */
#include "mda/placement.h"

#include "base/clock.h"
#include "base/log.h"
#include "mail/text.h"
#include "storage/journal.h"
#include "storage/message.h"
#include "storage/queue.h"

static void make_room(struct placement *p)
{
	if (p->recipient_count < p->recipient_cap)
		return;
	struct placed_recipient *old = p->recipients;
	struct slice *old_known = p->known;
	p->recipient_cap = p->recipient_cap ? p->recipient_cap * 2 : 4;
	p->recipients = arena_alloc_array(p->arena, p->recipient_cap, sizeof(*p->recipients));
	p->known = arena_alloc_array(p->arena, p->recipient_cap, sizeof(*p->known));
	if (p->recipient_count > 0) {
		memcpy(p->recipients, old, p->recipient_count * sizeof(*old));
		memcpy(p->known, old_known, p->recipient_count * sizeof(*old_known));
	}
}

/* What one recipient leads to becomes part of what all of them lead to. */
static void merge(struct placement *p, struct placed_recipient *recipient,
		  const struct destinations *one)
{
	struct destinations *found = &p->found;

	recipient->account_ids = one->account_ids;
	recipient->account_count = one->account_count;
	recipient->remote_count = one->remote_count;
	recipient->remotes =
		arena_alloc_array(p->arena, one->remote_count, sizeof(*recipient->remotes));
	recipient->is_elsewhere = one->remote_count == 1 && one->remotes[0].via.len == 0;
	for (size_t i = 0; i < one->account_count; i++)
		destinations_add_account(found, p->arena, one->account_ids[i]);
	if (!one->leads_past_lists)
		recipient->end = PLACED_DELIVERED;
	else if (one->account_count + one->remote_count > 1)
		recipient->end = PLACED_EXPANDED;
	else
		recipient->end = one->remote_count > 0 ? PLACED_ON : PLACED_DELIVERED;
	for (size_t i = 0; i < one->remote_count; i++) {
		struct remote_destination remote = one->remotes[i];
		remote.recipient = found->recipient_count;
		recipient->remotes[i] = destinations_add_remote(found, p->arena, &remote);
	}
}

enum err placement_add(struct placement *p, struct read *read, const struct sender *sender,
		       const struct envelope_recipient *recipient, bool keep)
{
	struct destinations one = { 0 };
	struct address address;
	enum err err = ERR_NOT_FOUND;

	if (recipient_parse(recipient->forward_path, p->arena, &address))
		err = recipient_resolve(read, sender, &address, p->arena, &one);
	if (err != ERR_OK && !keep)
		return err;
	make_room(p);
	if (p->hostname.len == 0 && sender->config && sender->config->hostname)
		p->hostname = arena_copy(p->arena, slice_cstr(sender->config->hostname));
	struct placed_recipient *placed = &p->recipients[p->recipient_count];
	*placed = (struct placed_recipient){
		.envelope = { .forward_path = arena_copy(p->arena, recipient->forward_path),
			      .orcpt = arena_copy(p->arena, recipient->orcpt),
			      .notify = recipient->notify },
		.resolved = err,
		.outcome = err,
	};
	p->known[p->recipient_count++] = sender_recipient(recipient->forward_path, p->arena);
	merge(p, placed, &one);
	p->found.recipient_count = p->recipient_count;
	return err;
}

/* An INBOX keeps its id as long as its account lives (RFC 9051 section 6.3.6 renames its messages
 * away). */
enum err placement_find_inboxes(struct placement *p, struct read *read)
{
	const struct destinations *found = &p->found;
	struct arena arena = { 0 };
	struct mailbox mailbox;
	enum err err = ERR_OK;

	p->inbox_ids = arena_alloc_array(p->arena, found->account_count, sizeof(*p->inbox_ids));
	p->uids = arena_alloc_array(p->arena, found->account_count, sizeof(*p->uids));
	p->is_taken = arena_alloc_array(p->arena, found->account_count, sizeof(*p->is_taken));
	p->is_sent = arena_alloc_array(p->arena, found->remote_count, sizeof(*p->is_sent));
	p->is_noted = arena_alloc_array(p->arena, p->recipient_count, sizeof(*p->is_noted));
	for (size_t i = 0; err == ERR_OK && i < found->account_count; i++) {
		err = mailbox_find(read, found->account_ids[i], SLICE("INBOX"), &arena, &mailbox);
		if (err == ERR_OK)
			p->inbox_ids[i] = mailbox.mailbox_id;
		arena_reset(&arena);
	}
	arena_fini(&arena);
	return err == ERR_NOT_FOUND ? ERR_GONE : err;
}

/* ---- who can have it ---- */

static bool is_over_quota(const struct account *account, uint64_t size_octets)
{
	return (account->quota_octets &&
		account->used_octets + size_octets > account->quota_octets) ||
	       (account->quota_messages && account->used_messages >= account->quota_messages);
}

static enum err judge_account(struct read *read, uint32_t account_id, uint64_t size_octets)
{
	struct arena arena = { 0 };
	struct account account;
	enum err err = account_get(read, account_id, &arena, &account);

	if (err == ERR_NOT_FOUND)
		err = ERR_GONE;
	else if (err == ERR_OK && is_over_quota(&account, size_octets))
		err = ERR_QUOTA;
	arena_fini(&arena);
	return err;
}

/* All of the recipient's mailboxes, or none: of an alias that stands for several, half would be told
 * of as if it were all. */
static void judge_recipient(struct read *read, struct placed_recipient *recipient,
			    uint64_t size_octets)
{
	recipient->outcome = recipient->resolved;
	for (size_t i = 0; recipient->outcome == ERR_OK && i < recipient->account_count; i++)
		recipient->outcome = judge_account(read, recipient->account_ids[i], size_octets);
}

/* On behalf of the first recipient who can have it. */
static void take(struct placement *p, size_t number)
{
	const struct placed_recipient *recipient = &p->recipients[number];

	for (size_t i = 0; i < recipient->account_count; i++) {
		size_t at = destinations_find_account(&p->found, recipient->account_ids[i]);
		if (!p->is_taken[at])
			p->found.account_recipients[at] = number;
		p->is_taken[at] = true;
	}
	for (size_t i = 0; i < recipient->remote_count; i++) {
		size_t at = recipient->remotes[i];
		if (!p->is_sent[at])
			p->found.remotes[at].recipient = number;
		p->is_sent[at] = true;
	}
}

enum err placement_judge(struct placement *p, struct read *read,
			 const struct placed_message *message, bool each)
{
	const struct destinations *found = &p->found;
	enum err err = ERR_OK;

	memset(p->is_taken, !each, found->account_count * sizeof(*p->is_taken));
	memset(p->is_sent, !each, found->remote_count * sizeof(*p->is_sent));
	for (size_t i = 0; !each && !message->is_held && err == ERR_OK && i < found->account_count;
	     i++)
		err = judge_account(read, found->account_ids[i], message->size_octets);
	if (!each)
		return err;
	err = p->recipient_count > 0 ? ERR_NOT_FOUND : ERR_OK;
	for (size_t i = 0; i < p->recipient_count; i++) {
		struct placed_recipient *recipient = &p->recipients[i];
		judge_recipient(read, recipient, message->size_octets);
		if (recipient->outcome == ERR_OK)
			take(p, i);
		if (i == 0 || recipient->outcome == ERR_OK)
			err = recipient->outcome;
		if (err_is_store_failure(recipient->outcome))
			return recipient->outcome;
	}
	return err;
}

/* ---- putting it there ---- */

/* Of each remote: an address here leads to it as well. */
static bool *find_shared(const struct placement *p, struct arena *arena)
{
	bool *is_shared = arena_alloc_array(arena, p->found.remote_count, sizeof(*is_shared));

	for (size_t i = 0; i < p->recipient_count; i++) {
		const struct placed_recipient *recipient = &p->recipients[i];
		if (recipient->outcome != ERR_OK || recipient->is_elsewhere)
			continue;
		for (size_t j = 0; j < recipient->remote_count; j++)
			is_shared[recipient->remotes[j]] = true;
	}
	return is_shared;
}

static bool is_kept_here(const struct placed_recipient *recipient, const bool *is_shared)
{
	return recipient->outcome == ERR_OK &&
	       (!recipient->is_elsewhere || is_shared[recipient->remotes[0]]);
}

/* Those here, whose time has not come, and those elsewhere to whom they lead as well. They share an
 * entry whatever their domains, so that who is meant by two of them gets the message once. */
static enum err queue_held(struct write *write, const struct placement *p, const bool *is_shared,
			   struct queue_entry *entry)
{
	size_t count = 0;

	for (size_t i = 0; i < p->recipient_count; i++)
		if (is_kept_here(&p->recipients[i], is_shared))
			entry->recipients[count++] = p->recipients[i].envelope;
	entry->destination = SLICE(QUEUE_HERE);
	entry->recipient_count = count;
	return count > 0 ? queue_add(write, entry) : ERR_OK;
}

static struct slice domain_of(struct slice path, struct arena *arena)
{
	struct address address;

	if (!address_parse(path, arena, &address) ||
	    !domain_normalise(address.domain, arena, &address.domain))
		return SLICE_NONE;
	return address.domain;
}

/* The domain of ours that a stranger's message leaves by; empty: it leaves as it is, or with its
 * list's owner as the sender. */
static struct slice forwarder_of(struct read *read, const struct placement *p,
				 struct slice reverse_path, const struct remote_destination *remote,
				 struct arena *arena)
{
	struct slice from = domain_of(reverse_path, arena);

	if (remote->via.len == 0 || remote->owner.len > 0 || from.len == 0 ||
	    domain_is_local(read, from))
		return SLICE_NONE;
	struct slice domain = domain_of(remote->via, arena);
	return domain_is_local(read, domain) ? domain : p->hostname;
}

/* What a list sends on is its own: of that the sender has asked nothing (RFC 3461 section 5.2.7.2). */
static void set_owner(struct queue_entry *entry, struct slice owner)
{
	entry->envelope.reverse_path = owner;
	entry->envelope.envid = SLICE_NONE;
	entry->envelope.returns = DSN_RETURN_UNSAID;
	entry->envelope.deliver_by = DELIVER_BY_NONE;
	for (size_t i = 0; i < entry->recipient_count; i++) {
		entry->recipients[i].orcpt = SLICE_NONE;
		entry->recipients[i].notify = DSN_UNSAID;
	}
}

/* What goes along to one elsewhere. With an alias that stands for several that is all but the wish to
 * hear of success, which the alias was the answer to (RFC 3461 section 5.2.7.3 (c)); unless another
 * recipient means him alone. */
static struct envelope_recipient asked_for(const struct placement *p, size_t remote)
{
	const struct placed_recipient *by = &p->recipients[p->found.remotes[remote].recipient];

	for (size_t i = 0; by->end == PLACED_EXPANDED && i < p->recipient_count; i++) {
		const struct placed_recipient *other = &p->recipients[i];
		if (other->outcome == ERR_OK && other->end == PLACED_ON &&
		    other->remotes[0] == remote)
			by = other;
	}
	struct envelope_recipient asked = by->envelope;
	if (by->end == PLACED_EXPANDED && (asked.notify & DSN_SUCCESS)) {
		asked.notify &= (uint8_t)~DSN_SUCCESS;
		if (asked.notify == DSN_UNSAID)
			asked.notify = DSN_NEVER;
	}
	asked.forward_path = p->found.remotes[remote].address;
	return asked;
}

/* The message leaves for him with SMTPUTF8: as it came, or since an alias leads to a name in UTF-8 or is
 * a list whose owner's is (RFC 6531 section 3.4). */
static bool needs_utf8(const struct queue_entry *message, const struct remote_destination *remote)
{
	return message->envelope.is_utf8 || !text_is_ascii(remote->address) ||
	       !text_is_ascii(remote->owner);
}

/* Those who leave by the same domain of ours, or by none, the same list and in the same form, from the
 * first on that has no entry. */
static enum err queue_alike(struct write *write, const struct placement *p,
			    const struct queue_entry *message, const struct slice *forwarders,
			    bool *is_queued)
{
	const struct destinations *found = &p->found;
	struct queue_entry copy = *message, *entry = &copy;
	size_t first = 0;

	while (is_queued[first])
		first++;
	const struct slice owner = found->remotes[first].owner;
	entry->envelope.is_utf8 = needs_utf8(message, &found->remotes[first]);
	entry->forwarder = forwarders[first];
	entry->recipient_count = 0;
	for (size_t i = first; i < found->remote_count; i++) {
		if (is_queued[i] || !slice_eq(forwarders[i], entry->forwarder) ||
		    !slice_eq(found->remotes[i].owner, owner) ||
		    needs_utf8(message, &found->remotes[i]) != entry->envelope.is_utf8)
			continue;
		entry->recipients[entry->recipient_count++] = asked_for(p, i);
		is_queued[i] = true;
	}
	if (owner.len > 0)
		set_owner(entry, owner);
	return queue_add(write, entry);
}

/* Those elsewhere. */
static enum err queue_remotes(struct write *write, const struct placement *p, const bool *is_held,
			      const struct queue_entry *entry, struct arena *arena)
{
	const struct destinations *found = &p->found;
	enum err err = ERR_OK;
	struct slice *forwarders =
		arena_alloc_array(arena, found->remote_count, sizeof(*forwarders));
	bool *is_queued = arena_alloc_array(arena, found->remote_count, sizeof(*is_queued));

	for (size_t i = 0; i < found->remote_count; i++) {
		is_queued[i] = !p->is_sent[i] || is_held[i];
		forwarders[i] = forwarder_of(write_read(write), p, entry->envelope.reverse_path,
					     &found->remotes[i], arena);
	}
	for (size_t i = 0; err == ERR_OK && i < found->remote_count; i++)
		if (!is_queued[i])
			err = queue_alike(write, p, entry, forwarders, is_queued);
	return err;
}

static enum err queue_write(struct write *write, const struct placement *p,
			    const struct placed_message *message)
{
	struct arena arena = { 0 };
	struct queue_entry entry = {
		.blob_id = message->blob_id,
		.size_octets = message->size_octets,
		.account_id = message->account_id,
		.arrived_unix = message->arrived_unix,
		.envelope = *message->envelope,
	};
	size_t room = p->found.remote_count > p->recipient_count ? p->found.remote_count
								 : p->recipient_count;
	entry.next_unix_ms = queue_start_unix(&entry) * 1000;
	entry.recipients = arena_alloc_array(&arena, room, sizeof(*entry.recipients));
	/* What a held message's addresses here lead to is asked again when its time has come. */
	const bool *is_held = message->is_held ? find_shared(p, &arena)
					       : arena_alloc_array(&arena, p->found.remote_count,
								   sizeof(*is_held));
	enum err err = queue_remotes(write, p, is_held, &entry, &arena);
	if (err == ERR_OK && message->is_held)
		err = queue_held(write, p, is_held, &entry);
	arena_fini(&arena);
	return err;
}

/* The accounts were fit a moment ago and the addresses were parsed, so the store contradicts itself.
 * What is written of this message must not stay: let the batch be rolled back. */
static enum err contradiction(const char *where, enum err err)
{
	log_error(NULL, EVENT("filing-refused"), WORD("where", where), WORD("why", err_word(err)));
	return ERR_DISK;
}

enum err placement_write(struct write *write, struct placement *p,
			 const struct placed_message *message)
{
	const struct destinations *found = &p->found;
	const struct message_entry entry = {
		.blob_id = message->blob_id,
		.internal_unix = message->arrived_unix,
		.size_octets = message->size_octets,
	};
	enum err err = ERR_OK;

	for (size_t i = 0; !message->is_held && err == ERR_OK && i < found->account_count; i++) {
		if (!p->is_taken[i])
			continue;
		err = message_append(write, p->inbox_ids[i], &entry, NULL, 0, &p->uids[i]);
		if (err != ERR_OK && !err_is_store_failure(err))
			err = contradiction("mailbox", err);
	}
	if (err == ERR_OK && (found->remote_count > 0 || message->is_held)) {
		err = queue_write(write, p, message);
		if (err != ERR_OK && !err_is_store_failure(err))
			err = contradiction("queue", err);
	}
	return err;
}

/* ---- the journal ---- */

static void note_recipient(struct write *write, const struct placement *p,
			   struct journal_event *event, size_t recipient, uint64_t blob_id)
{
	event->blob_id = blob_id;
	event->recipient = p->recipients[recipient].envelope.forward_path;
	p->is_noted[recipient] = true;
	journal_note(write, event);
}

static void note_held(struct write *write, const struct placement *p,
		      const struct placed_message *message)
{
	for (size_t i = 0; i < p->recipient_count; i++)
		if (p->recipients[i].outcome == ERR_OK)
			note_recipient(
				write, p,
				&(struct journal_event){
					.kind = JOURNAL_QUEUED,
					.next_unix_ms = message->envelope->hold_until_unix * 1000,
					.why = SLICE("held, as its sender has asked"),
				},
				i, message->blob_id);
}

/* One whose mailbox another recipient led to already has a line of his own all the same. */
void placement_note(struct write *write, const struct placement *p,
		    const struct placed_message *message)
{
	const struct destinations *found = &p->found;

	if (message->is_held) {
		note_held(write, p, message);
		return;
	}
	memset(p->is_noted, 0, p->recipient_count * sizeof(*p->is_noted));
	for (size_t i = 0; i < found->account_count; i++) {
		struct journal_event filed = {
			.kind = JOURNAL_FILED,
			.account_id = found->account_ids[i],
			.mailbox_id = p->inbox_ids[i],
			.uid = p->uids[i],
		};
		if (p->is_taken[i])
			note_recipient(write, p, &filed, found->account_recipients[i],
				       message->blob_id);
	}
	for (size_t i = 0; i < found->remote_count; i++) {
		struct journal_event queued = { .kind = JOURNAL_QUEUED };
		if (found->remotes[i].via.len > 0)
			queued.host = found->remotes[i].address;
		if (p->is_sent[i])
			note_recipient(write, p, &queued, found->remotes[i].recipient,
				       message->blob_id);
	}
	for (size_t i = 0; i < p->recipient_count; i++)
		if (p->recipients[i].outcome == ERR_OK && !p->is_noted[i])
			note_recipient(write, p, &(struct journal_event){ .kind = JOURNAL_FILED },
				       i, message->blob_id);
}
