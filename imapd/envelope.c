/* imapd/envelope.c - renders the ENVELOPE data item: RFC 9051 section 7.5.2 and the rules
 * envelope, address and their fields in section 9. Header text goes out as stored, encoded
 * words and all: decoding is the client's business. Runs in the back. */
#include "imapd/envelope_priv.h"

#include "imapd/respond_priv.h"

static void put_address(struct buffer *out, const struct header_address *address, bool utf8)
{
	buffer_add_byte(out, '(');
	respond_nstring(out, address->name, utf8);
	buffer_add_byte(out, ' ');
	respond_nstring(out, address->route, utf8);
	buffer_add_byte(out, ' ');
	respond_nstring(out, address->mailbox, utf8);
	buffer_add_byte(out, ' ');
	respond_nstring(out, address->host, utf8);
	buffer_add_byte(out, ')');
}

/* env-from and its like: "(" 1*address ")" / nil; nothing stands between the addresses. */
static void put_addresses(struct buffer *out, const struct header_address *addresses, size_t count,
			  bool utf8)
{
	if (count == 0) {
		buffer_add(out, SLICE("NIL"));
		return;
	}
	buffer_add_byte(out, '(');
	for (size_t i = 0; i < count; i++)
		put_address(out, &addresses[i], utf8);
	buffer_add_byte(out, ')');
}

void envelope_render(struct buffer *out, const struct mime_envelope *envelope, bool utf8)
{
	const struct {
		const struct header_address *addresses;
		size_t count;
	} lists[] = {
		{ envelope->from, envelope->from_count },
		{ envelope->sender, envelope->sender_count },
		{ envelope->reply_to, envelope->reply_to_count },
		{ envelope->to, envelope->to_count },
		{ envelope->cc, envelope->cc_count },
		{ envelope->bcc, envelope->bcc_count },
	};

	buffer_add_byte(out, '(');
	respond_nstring(out, envelope->date, utf8);
	buffer_add_byte(out, ' ');
	respond_nstring(out, envelope->subject, utf8);
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		buffer_add_byte(out, ' ');
		put_addresses(out, lists[i].addresses, lists[i].count, utf8);
	}
	buffer_add_byte(out, ' ');
	respond_nstring(out, envelope->in_reply_to, utf8);
	buffer_add_byte(out, ' ');
	respond_nstring(out, envelope->message_id, utf8);
	buffer_add_byte(out, ')');
}
