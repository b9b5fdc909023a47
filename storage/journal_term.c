/* storage/journal_term.c - by what an event can be found: addresses, domains, accounts, the message,
 * the connection, the client's address. Runs in the back, and in the admin's process. */
#include "storage/journal_index_priv.h"

#include "base/checksum.h"

/* In lower case, whatever the alphabet allows: two that differ in more are told apart when the
 * event itself is looked at, or are both found. */
static struct slice lowered(struct slice text, uint8_t into[JOURNAL_TEXT_MAX_OCTETS])
{
	text = slice_sub(text, 0, JOURNAL_TEXT_MAX_OCTETS);
	for (size_t i = 0; i < text.len; i++)
		into[i] = ascii_lower(text.ptr[i]);
	return slice_of(into, text.len);
}

static struct slice domain_of(struct slice address)
{
	size_t at = address.len;
	while (at > 0 && address.ptr[at - 1] != '@')
		at--;
	return at > 0 ? slice_sub(address, at, address.len) : SLICE_NONE;
}

static struct slice without_brackets(struct slice message_id)
{
	if (message_id.len >= 2 && message_id.ptr[0] == '<' &&
	    message_id.ptr[message_id.len - 1] == '>')
		return slice_sub(message_id, 1, message_id.len - 2);
	return message_id;
}

static uint32_t hash_text(enum journal_term_kind kind, struct slice text)
{
	uint8_t octets[1 + JOURNAL_TEXT_MAX_OCTETS] = { (uint8_t)kind };
	text = slice_sub(text, 0, JOURNAL_TEXT_MAX_OCTETS);
	if (text.len > 0)
		memcpy(octets + 1, text.ptr, text.len);
	return (uint32_t)checksum_of(slice_of(octets, 1 + text.len));
}

static uint32_t hash_folded(enum journal_term_kind kind, struct slice text)
{
	uint8_t folded[JOURNAL_TEXT_MAX_OCTETS];
	return hash_text(kind, lowered(text, folded));
}

static uint32_t hash_number(enum journal_term_kind kind, uint64_t number)
{
	uint8_t octets[8];
	put_be64(octets, number);
	return hash_text(kind, slice_of(octets, sizeof(octets)));
}

/* ---- of an event ---- */

static void add(struct journal_marks *marks, enum journal_part part, uint32_t mark)
{
	marks->parts[marks->count] = part;
	marks->marks[marks->count++] = mark;
}

static void add_address(struct journal_marks *marks, struct slice address)
{
	struct slice domain = domain_of(address);
	if (address.len == 0)
		return;
	add(marks, PART_HASHES, hash_folded(JOURNAL_BY_ADDRESS, address));
	if (domain.len > 0)
		add(marks, PART_HASHES, hash_folded(JOURNAL_BY_DOMAIN, domain));
}

void journal_marks_of(const struct journal_event *event, struct journal_marks *marks)
{
	marks->count = 0;
	add_address(marks, event->sender);
	add_address(marks, event->recipient);
	add_address(marks, event->login);
	if (event->message_id.len > 0)
		add(marks, PART_HASHES,
		    hash_text(JOURNAL_BY_MESSAGE_ID, without_brackets(event->message_id)));
	if (event->account_id != 0)
		add(marks, PART_HASHES, hash_number(JOURNAL_BY_ACCOUNT, event->account_id));
	if (event->blob_id != 0)
		add(marks, PART_HASHES, hash_number(JOURNAL_BY_BLOB, event->blob_id));
	if (event->notice != 0)
		add(marks, PART_HASHES, hash_number(JOURNAL_BY_BLOB, event->notice));
	if (event->conn_id != 0)
		add(marks, PART_HASHES, hash_number(JOURNAL_BY_CONNECTION, event->conn_id));
	if (event->peer.family == 4)
		add(marks, PART_IPV4, get_be32(event->peer.address));
	if (event->peer.family == 6)
		add(marks, PART_IPV6, get_be32(event->peer.address));
}

/* ---- of a question ---- */

static void network_range(const struct network *network, struct journal_range *range_out)
{
	unsigned bits = network->prefix_bits < 32 ? network->prefix_bits : 32;
	uint32_t mask = bits == 0 ? 0 : UINT32_MAX << (32 - bits);
	range_out->part = network->family == 4 ? PART_IPV4 : PART_IPV6;
	range_out->first = get_be32(network->address) & mask;
	range_out->last = range_out->first | ~mask;
}

void journal_term_range(const struct journal_term *term, struct journal_range *range_out)
{
	uint32_t hash = 0;
	switch (term->kind) {
	case JOURNAL_BY_NETWORK: network_range(&term->network, range_out); return;
	case JOURNAL_BY_ADDRESS:
	case JOURNAL_BY_DOMAIN: hash = hash_folded(term->kind, term->text); break;
	case JOURNAL_BY_MESSAGE_ID:
		hash = hash_text(term->kind, without_brackets(term->text));
		break;
	case JOURNAL_BY_ACCOUNT:
	case JOURNAL_BY_BLOB:
	case JOURNAL_BY_CONNECTION: hash = hash_number(term->kind, term->number); break;
	}
	*range_out = (struct journal_range){ PART_HASHES, hash, hash };
}

static bool is_cut_from(struct slice kept, struct slice whole)
{
	return slice_eq_nocase(kept, slice_sub(whole, 0, JOURNAL_TEXT_MAX_OCTETS));
}

bool journal_term_matches(const struct journal_term *term, const struct journal_event *event)
{
	switch (term->kind) {
	case JOURNAL_BY_ADDRESS:
		return term->text.len > 0 && (is_cut_from(event->sender, term->text) ||
					      is_cut_from(event->recipient, term->text) ||
					      is_cut_from(event->login, term->text));
	case JOURNAL_BY_DOMAIN:
		return term->text.len > 0 &&
		       (slice_eq_nocase(domain_of(event->sender), term->text) ||
			slice_eq_nocase(domain_of(event->recipient), term->text) ||
			slice_eq_nocase(domain_of(event->login), term->text));
	case JOURNAL_BY_MESSAGE_ID:
		return event->message_id.len > 0 &&
		       slice_eq(without_brackets(event->message_id), without_brackets(term->text));
	case JOURNAL_BY_ACCOUNT: return event->account_id == term->number;
	case JOURNAL_BY_BLOB:
		return event->blob_id == term->number || event->notice == term->number;
	case JOURNAL_BY_CONNECTION: return event->conn_id == term->number;
	case JOURNAL_BY_NETWORK:
		return event->peer.family != 0 && network_contains(&term->network, &event->peer);
	}
	return false;
}
