/* runtime/report_message.c - the messages about reports for web servers, as octets, big-endian.
 * Decoders accept exactly what the encoders write. Runs in both. */
#include "runtime/report_message.h"

#include "runtime/message_parts_priv.h"

void report_message_encode(const struct report_message *m, struct buffer *out)
{
	buffer_add_block(out, m->host);
	buffer_add_be16(out, m->port);
	buffer_add_block(out, m->path);
	buffer_add_block(out, m->body);
}

bool report_message_decode(struct slice payload, struct report_message *m_out)
{
	struct cursor c = cursor_of(payload);
	return take_limited(&c, REPORT_HOST_MAX_OCTETS, &m_out->host) && m_out->host.len > 0 &&
	       take_be16(&c, &m_out->port) && m_out->port > 0 &&
	       take_limited(&c, REPORT_PATH_MAX_OCTETS, &m_out->path) && m_out->path.len > 0 &&
	       m_out->path.ptr[0] == '/' &&
	       take_limited(&c, REPORT_BODY_MAX_OCTETS, &m_out->body) && at_end(&c);
}

void reported_message_encode(const struct reported_message *m, struct buffer *out)
{
	buffer_add_byte(out, m->is_taken);
	buffer_add_block(out, slice_sub(m->why, 0, REPORT_WHY_MAX_OCTETS));
}

bool reported_message_decode(struct slice payload, struct reported_message *m_out)
{
	struct cursor c = cursor_of(payload);
	return take_bool(&c, &m_out->is_taken) &&
	       take_limited(&c, REPORT_WHY_MAX_OCTETS, &m_out->why) && at_end(&c);
}
