/* runtime/envelope.c - the envelope of a message as octets, big-endian. Runs in both.
 *
 * Decoding accepts exactly what encoding writes: every length meets its limit, every
 * enumeration its last value, what excludes one another does, and nothing may follow. */
#include "runtime/envelope.h"

#include "runtime/message_parts_priv.h"

enum {
	FLAG_UTF8 = 1,
	FLAG_REQUIRES_TLS = 2,
	FLAG_TRACES_DELIVER_BY = 4,
	FLAGS = FLAG_UTF8 | FLAG_REQUIRES_TLS | FLAG_TRACES_DELIVER_BY,
	DSN_BITS = DSN_NEVER | DSN_SUCCESS | DSN_FAILURE | DSN_DELAY,
};

/* Text that other servers are told, or that stands in a header: no line of its own comes of it. */
static bool take_line_text(struct cursor *c, size_t max_octets, struct slice *text_out)
{
	if (!take_limited(c, max_octets, text_out))
		return false;
	for (size_t i = 0; i < text_out->len; i++)
		if (text_out->ptr[i] < 0x20 || text_out->ptr[i] == 0x7f)
			return false;
	return true;
}

static bool take_time(struct cursor *c, int64_t *unix_out)
{
	return take_unix(c, unix_out) && *unix_out <= ENVELOPE_UNIX_MAX;
}

void envelope_encode(const struct envelope *e, struct buffer *out)
{
	buffer_add_block(out, e->reverse_path);
	buffer_add_byte(out, (uint8_t)((e->is_utf8 ? FLAG_UTF8 : 0) |
				       (e->requires_tls ? FLAG_REQUIRES_TLS : 0) |
				       (e->traces_deliver_by ? FLAG_TRACES_DELIVER_BY : 0)));
	buffer_add_byte(out, (uint8_t)e->body);
	buffer_add_byte(out, (uint8_t)e->returns);
	buffer_add_block(out, e->envid);
	buffer_add_byte(out, (uint8_t)(e->priority - PRIORITY_MIN));
	buffer_add_be64(out, (uint64_t)e->hold_until_unix);
	buffer_add_byte(out, (uint8_t)e->deliver_by);
	buffer_add_be64(out, (uint64_t)e->deliver_by_unix);
	buffer_add_be32(out, e->recipient_count);
}

void envelope_encode_recipient(const struct envelope_recipient *recipient, struct buffer *out)
{
	buffer_add_block(out, recipient->forward_path);
	buffer_add_block(out, recipient->orcpt);
	buffer_add_byte(out, recipient->notify);
}

void envelope_copy(const struct envelope *envelope, struct arena *arena,
		   struct envelope *envelope_out)
{
	*envelope_out = *envelope;
	envelope_out->reverse_path = arena_copy(arena, envelope->reverse_path);
	envelope_out->envid = arena_copy(arena, envelope->envid);
	envelope_out->recipients = arena_copy(arena, envelope->recipients);
}

bool envelope_next_recipient(struct slice *recipients, struct envelope_recipient *recipient_out)
{
	struct cursor c = cursor_of(*recipients);
	if (!take_line_text(&c, ENVELOPE_PATH_MAX_OCTETS, &recipient_out->forward_path) ||
	    !take_line_text(&c, ORCPT_MAX_OCTETS, &recipient_out->orcpt) ||
	    !take_u8(&c, &recipient_out->notify) || (recipient_out->notify & ~DSN_BITS) ||
	    ((recipient_out->notify & DSN_NEVER) && recipient_out->notify != DSN_NEVER))
		return false;
	*recipients = cursor_rest(&c);
	return true;
}

bool envelope_decode(struct slice octets, struct envelope *e)
{
	struct cursor c = cursor_of(octets);
	struct envelope_recipient recipient;
	uint8_t flags, body, returns, priority, deliver_by;

	if (!take_line_text(&c, ENVELOPE_PATH_MAX_OCTETS, &e->reverse_path) ||
	    !take_u8(&c, &flags) || (flags & ~FLAGS) ||
	    !take_below(&c, ENVELOPE_BODY_COUNT, &body) ||
	    !take_below(&c, DSN_RETURN_COUNT, &returns) ||
	    !take_line_text(&c, ENVID_MAX_OCTETS, &e->envid) ||
	    !take_below(&c, PRIORITY_MAX - PRIORITY_MIN + 1, &priority) ||
	    !take_time(&c, &e->hold_until_unix) || !take_below(&c, DELIVER_BY_COUNT, &deliver_by) ||
	    !take_time(&c, &e->deliver_by_unix) || !take_be32(&c, &e->recipient_count) ||
	    e->recipient_count == 0)
		return false;
	e->is_utf8 = flags & FLAG_UTF8;
	e->requires_tls = flags & FLAG_REQUIRES_TLS;
	e->traces_deliver_by = flags & FLAG_TRACES_DELIVER_BY;
	e->body = (enum envelope_body)body;
	e->returns = (enum envelope_return)returns;
	e->priority = (int8_t)(priority + PRIORITY_MIN);
	e->deliver_by = (enum deliver_by)deliver_by;
	if (e->deliver_by == DELIVER_BY_NONE && (e->deliver_by_unix != 0 || e->traces_deliver_by))
		return false;
	e->recipients = cursor_rest(&c);
	struct slice rest = e->recipients;
	for (uint32_t i = 0; i < e->recipient_count; i++)
		if (!envelope_next_recipient(&rest, &recipient))
			return false;
	return rest.len == 0;
}
