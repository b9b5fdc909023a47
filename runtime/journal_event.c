/* runtime/journal_event.c - an event as octets: its kind, then its fields, each a tag and a value.
 * Fields that are zero or absent take no room. An odd tag has a text (a number of octets, and
 * they), an even one a number; numbers are LEB128, seven bits an octet, the lowest first. Runs in
 * the front, the back and the admin's process.
 *
 * There is one way to write an event: tags ascend, numbers are in their shortest form and not
 * zero. The decoder accepts nothing else, for the front is not believed. */
#include "runtime/journal_event.h"

#include "base/attributes.h"
#include "base/cursor.h"
#include "base/octets.h"

/* Never renumbered: they are in stores. */
enum tag {
	TAG_TIME = 2,
	TAG_MORE = 4,
	TAG_SERVICE = 5,
	TAG_CONN_ID = 6,
	TAG_PEER = 7, /* 4 or 16 octets */
	TAG_PORT = 8,
	TAG_CLIENT_NAME = 9,
	TAG_SECURE = 10,
	TAG_LOGIN = 11,
	TAG_BLOB_ID = 12,
	TAG_MESSAGE_ID = 13,
	TAG_SENDER = 15,
	TAG_SIZE = 16,
	TAG_RECIPIENT = 17,
	TAG_ACCOUNT_ID = 18,
	TAG_MAILBOX_ID = 20,
	TAG_UID = 22,
	TAG_QUEUE_ID = 24,
	TAG_HOST = 25,
	TAG_NEXT = 26,
	TAG_NOTICE = 28,
	TAG_COMMAND = 29,
	TAG_REPLY = 31,
	TAG_WHY = 33,
};

bool journal_kind_is_strangers(enum journal_kind kind)
{
	return kind == JOURNAL_TURNED_AWAY || kind == JOURNAL_LEFT || kind == JOURNAL_REFUSED;
}

/* ---- numbers ---- */

static uint8_t *put_number(uint8_t *at, uint64_t number)
{
	while (number >= 0x80) {
		*at++ = (uint8_t)(number | 0x80);
		number >>= 7;
	}
	*at++ = (uint8_t)number;
	return at;
}

static bool take_leb128(struct cursor *c, uint64_t *number_out)
{
	uint64_t number = 0;
	uint8_t octet = 0;
	for (unsigned shift = 0; shift < 64; shift += 7) {
		if (!take_u8(c, &octet) || (shift == 63 && octet > 1))
			return false;
		number |= (uint64_t)(octet & 0x7f) << shift;
		if (!(octet & 0x80)) {
			*number_out = number;
			return octet != 0 || shift == 0;
		}
	}
	return false;
}

/* ---- writing ---- */

static uint8_t *add_number(uint8_t *at, enum tag tag, uint64_t number)
{
	if (number == 0)
		return at;
	*at++ = (uint8_t)tag;
	return put_number(at, number);
}

static uint8_t *add_text(uint8_t *at, enum tag tag, struct slice text)
{
	if (!text.ptr)
		return at;
	text = slice_sub(text, 0, JOURNAL_TEXT_MAX_OCTETS);
	*at++ = (uint8_t)tag;
	at = put_number(at, text.len);
	if (text.len > 0)
		memcpy(at, text.ptr, text.len);
	return at + text.len;
}

void journal_event_encode(const struct journal_event *e, struct buffer *out)
{
	enum { NUMBERS = 13, TEXTS = 10, PEER_OCTETS = 18 };
	uint8_t *start = buffer_reserve(out, 1 + NUMBERS * 11 + PEER_OCTETS +
						     TEXTS * (3 + JOURNAL_TEXT_MAX_OCTETS));
	uint8_t *at = start;
	size_t peer_octets = e->peer.family == 4 ? 4 : e->peer.family == 6 ? 16 : 0;
	*at++ = (uint8_t)e->kind;
	at = add_number(at, TAG_TIME, (uint64_t)e->time_unix_ms);
	at = add_number(at, TAG_MORE, e->more);
	at = add_text(at, TAG_SERVICE, e->service);
	at = add_number(at, TAG_CONN_ID, e->conn_id);
	if (peer_octets > 0) {
		at = add_text(at, TAG_PEER, slice_of(e->peer.address, peer_octets));
		at = add_number(at, TAG_PORT, e->peer.port);
	}
	at = add_text(at, TAG_CLIENT_NAME, e->client_name);
	at = add_number(at, TAG_SECURE, e->secure);
	at = add_text(at, TAG_LOGIN, e->login);
	at = add_number(at, TAG_BLOB_ID, e->blob_id);
	at = add_text(at, TAG_MESSAGE_ID, e->message_id);
	at = add_text(at, TAG_SENDER, e->sender);
	at = add_number(at, TAG_SIZE, e->size_octets);
	at = add_text(at, TAG_RECIPIENT, e->recipient);
	at = add_number(at, TAG_ACCOUNT_ID, e->account_id);
	at = add_number(at, TAG_MAILBOX_ID, e->mailbox_id);
	at = add_number(at, TAG_UID, e->uid);
	at = add_number(at, TAG_QUEUE_ID, e->queue_id);
	at = add_text(at, TAG_HOST, e->host);
	at = add_number(at, TAG_NEXT, (uint64_t)e->next_unix_ms);
	at = add_number(at, TAG_NOTICE, e->notice);
	at = add_text(at, TAG_COMMAND, e->command);
	at = add_text(at, TAG_REPLY, e->reply);
	at = add_text(at, TAG_WHY, e->why);
	out->len += (size_t)(at - start);
}

/* ---- reading ---- */

static bool set_number(struct journal_event *e, uint8_t tag, uint64_t number)
{
	switch (tag) {
	case TAG_TIME: e->time_unix_ms = (int64_t)number; return true;
	case TAG_MORE: e->more = number; return true;
	case TAG_CONN_ID: e->conn_id = (uint32_t)number; return number <= UINT32_MAX;
	case TAG_PORT:
		e->peer.port = (uint16_t)number;
		return number <= UINT16_MAX && e->peer.family != 0;
	case TAG_SECURE: e->secure = true; return number == 1;
	case TAG_BLOB_ID: e->blob_id = number; return true;
	case TAG_SIZE: e->size_octets = number; return true;
	case TAG_ACCOUNT_ID: e->account_id = (uint32_t)number; return number <= UINT32_MAX;
	case TAG_MAILBOX_ID: e->mailbox_id = number; return true;
	case TAG_UID: e->uid = (uint32_t)number; return number <= UINT32_MAX;
	case TAG_QUEUE_ID: e->queue_id = number; return true;
	case TAG_NEXT: e->next_unix_ms = (int64_t)number; return true;
	case TAG_NOTICE: e->notice = number; return true;
	default: return false;
	}
}

static bool set_text(struct journal_event *e, uint8_t tag, struct slice text)
{
	switch (tag) {
	case TAG_SERVICE: e->service = text; return true;
	case TAG_PEER:
		if (text.len != 4 && text.len != 16)
			return false;
		e->peer.family = text.len == 4 ? 4 : 6;
		memcpy(e->peer.address, text.ptr, text.len);
		return true;
	case TAG_CLIENT_NAME: e->client_name = text; return true;
	case TAG_LOGIN: e->login = text; return true;
	case TAG_MESSAGE_ID: e->message_id = text; return true;
	case TAG_SENDER: e->sender = text; return true;
	case TAG_RECIPIENT: e->recipient = text; return true;
	case TAG_HOST: e->host = text; return true;
	case TAG_COMMAND: e->command = text; return true;
	case TAG_REPLY: e->reply = text; return true;
	case TAG_WHY: e->why = text; return true;
	default: return false;
	}
}

bool journal_event_decode(struct slice octets, struct journal_event *event_out)
{
	struct cursor c = cursor_of(octets);
	struct journal_event e = { .time_unix_ms = 0 };
	uint8_t kind, tag, last = 0;
	uint64_t number;
	if (!take_u8(&c, &kind) || kind == 0 || kind >= JOURNAL_KIND_COUNT)
		return false;
	e.kind = (enum journal_kind)kind;
	while (!at_end(&c)) {
		struct slice text;
		if (!take_u8(&c, &tag) || tag <= last || !take_leb128(&c, &number))
			return false;
		last = tag;
		if (tag % 2 == 0) {
			if (number == 0 || !set_number(&e, tag, number))
				return false;
		} else if (number > JOURNAL_TEXT_MAX_OCTETS ||
			   !take_octets(&c, (size_t)number, &text) || !set_text(&e, tag, text)) {
			return false;
		}
	}
	*event_out = e;
	return true;
}
