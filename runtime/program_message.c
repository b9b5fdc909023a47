/* runtime/program_message.c - a program's message as octets, big-endian. Runs in the back and in the
 * admin's process. */
#include "runtime/program_message.h"

#include "base/octets.h"

static bool take_path(struct cursor *c, struct slice *path_out)
{
	if (!take_block(c, path_out) || path_out->len > PROGRAM_PATH_MAX_OCTETS)
		return false;
	for (size_t i = 0; i < path_out->len; i++)
		if (path_out->ptr[i] < 0x20 || path_out->ptr[i] == 0x7f)
			return false;
	return true;
}

void program_encode(const struct program_message *message, struct buffer *out)
{
	buffer_add_block(out, message->reverse_path);
	buffer_add_be64(out, message->size_octets);
	buffer_add_be32(out, message->recipient_count);
}

void program_encode_recipient(const struct program_recipient *recipient, struct buffer *out)
{
	buffer_add_block(out, recipient->forward_path);
	buffer_add_block(out, recipient->fallback);
}

bool program_next_recipient(struct slice *recipients, struct program_recipient *recipient_out)
{
	struct cursor c = cursor_of(*recipients);

	if (!take_path(&c, &recipient_out->forward_path) ||
	    !take_path(&c, &recipient_out->fallback))
		return false;
	*recipients = cursor_rest(&c);
	return true;
}

bool program_decode(struct slice head, struct program_message *message_out)
{
	struct cursor c = cursor_of(head);
	struct program_recipient recipient;

	if (!take_path(&c, &message_out->reverse_path) ||
	    !take_be64(&c, &message_out->size_octets) ||
	    !take_be32(&c, &message_out->recipient_count) || message_out->recipient_count == 0)
		return false;
	message_out->recipients = cursor_rest(&c);
	struct slice rest = message_out->recipients;
	for (uint32_t i = 0; i < message_out->recipient_count; i++)
		if (!program_next_recipient(&rest, &recipient))
			return false;
	return rest.len == 0;
}
