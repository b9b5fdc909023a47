/* runtime/delivery.c - the messages about mail that leaves, as octets, big-endian. Decoders accept
 * exactly what the encoders write: every length meets its limit, and nothing may follow. */
#include "runtime/delivery.h"

#include "runtime/dns_record.h"
#include "runtime/message_parts_priv.h"

enum { DESTINATION_MAX_OCTETS = 255, STATUS_MAX_OCTETS = 11 };

static bool take_level(struct cursor *c, enum tls_level *level_out)
{
	uint8_t number;
	if (!take_below(c, TLS_LEVEL_UNSAID, &number))
		return false;
	*level_out = (enum tls_level)number;
	return true;
}

static bool take_kind(struct cursor *c, enum tls_policy_kind *kind_out)
{
	uint8_t number;
	if (!take_below(c, TLS_POLICY_COUNT, &number))
		return false;
	*kind_out = (enum tls_policy_kind)number;
	return true;
}

static bool take_form(struct cursor *c, enum envelope_body *form_out)
{
	uint8_t number;
	if (!take_below(c, ENVELOPE_BODY_COUNT, &number))
		return false;
	*form_out = (enum envelope_body)number;
	return true;
}

static bool take_policy(struct cursor *c, struct policy_message *m_out)
{
	return take_limited(c, DESTINATION_MAX_OCTETS, &m_out->domain) &&
	       take_limited(c, POLICY_ID_MAX_OCTETS, &m_out->id) &&
	       take_limited(c, POLICY_TEXT_MAX_OCTETS, &m_out->text) &&
	       take_unix(c, &m_out->fetched_unix) && take_unix(c, &m_out->expires_unix);
}

void policy_encode(const struct policy_message *m, struct buffer *out)
{
	buffer_add_block(out, m->domain);
	buffer_add_block(out, m->id);
	buffer_add_block(out, m->text);
	buffer_add_be64(out, (uint64_t)m->fetched_unix);
	buffer_add_be64(out, (uint64_t)m->expires_unix);
}

bool policy_decode(struct slice payload, struct policy_message *m_out)
{
	struct cursor c = cursor_of(payload);
	return take_policy(&c, m_out) && dns_name_is_valid(m_out->domain) &&
	       m_out->expires_unix >= m_out->fetched_unix &&
	       m_out->expires_unix - m_out->fetched_unix <= POLICY_KEPT_MAX_SECONDS && at_end(&c);
}

void delivery_encode(const struct delivery_message *m, struct buffer *out)
{
	buffer_add_be64(out, m->queue_id);
	buffer_add_be64(out, m->message_id);
	buffer_add_be64(out, m->size_octets);
	buffer_add_byte(out, (uint8_t)m->form);
	buffer_add_block(out, m->destination);
	policy_encode(&m->policy, out);
	buffer_add_byte(out, (uint8_t)m->known_level);
	buffer_add_byte(out, (uint8_t)m->known_by);
	buffer_add_byte(out, m->tls_optional);
	buffer_add_byte(out, m->is_probe);
	envelope_encode(&m->envelope, out);
	buffer_add(out, m->envelope.recipients);
}

bool delivery_decode(struct slice payload, struct delivery_message *m_out)
{
	struct cursor c = cursor_of(payload);
	return take_be64(&c, &m_out->queue_id) && take_be64(&c, &m_out->message_id) &&
	       take_be64(&c, &m_out->size_octets) && take_form(&c, &m_out->form) &&
	       take_limited(&c, DESTINATION_MAX_OCTETS, &m_out->destination) &&
	       m_out->destination.len > 0 && take_policy(&c, &m_out->policy) &&
	       take_level(&c, &m_out->known_level) && take_kind(&c, &m_out->known_by) &&
	       take_bool(&c, &m_out->tls_optional) && take_bool(&c, &m_out->is_probe) &&
	       envelope_decode(cursor_rest(&c), &m_out->envelope) &&
	       m_out->envelope.recipient_count <= DELIVERY_RECIPIENTS_MAX;
}

void form_wanted_encode(enum envelope_body form, struct buffer *out)
{
	buffer_add_byte(out, (uint8_t)form);
}

bool form_wanted_decode(struct slice payload, enum envelope_body *form_out)
{
	struct cursor c = cursor_of(payload);
	return take_form(&c, form_out) && at_end(&c);
}

void delivery_form_encode(const struct delivery_form_message *m, struct buffer *out)
{
	buffer_add_byte(out, (uint8_t)m->form);
	buffer_add_be64(out, m->size_octets);
	buffer_add_block(out, m->status);
	buffer_add_block(out, m->words);
}

bool delivery_form_decode(struct slice payload, struct delivery_form_message *m_out)
{
	struct cursor c = cursor_of(payload);
	return take_form(&c, &m_out->form) && take_be64(&c, &m_out->size_octets) &&
	       take_limited(&c, STATUS_MAX_OCTETS, &m_out->status) &&
	       take_limited(&c, DELIVERY_WORDS_MAX_OCTETS, &m_out->words) && at_end(&c);
}

void delivered_encode(const struct delivered_message *m, struct buffer *out)
{
	buffer_add_byte(out, m->is_down);
	buffer_add_byte(out, m->is_uncertain);
	buffer_add_byte(out, m->passed_dsn);
	buffer_add_byte(out, m->passed_deliver_by);
	buffer_add_byte(out, m->is_final);
	buffer_add_block(out, m->remote);
	buffer_add_be32(out, m->recipient_count);
}

void delivered_encode_recipient(const struct delivered_recipient *recipient, struct buffer *out)
{
	buffer_add_byte(out, (uint8_t)recipient->verdict);
	buffer_add_be16(out, recipient->code);
	buffer_add_block(out, recipient->status);
	buffer_add_block(out, recipient->words);
}

bool delivered_next_recipient(struct slice *recipients, struct delivered_recipient *recipient_out)
{
	struct cursor c = cursor_of(*recipients);
	uint8_t verdict;
	if (!take_below(&c, DELIVERY_VERDICT_COUNT, &verdict) ||
	    !take_be16(&c, &recipient_out->code) || recipient_out->code > 599 ||
	    !take_limited(&c, STATUS_MAX_OCTETS, &recipient_out->status) ||
	    !take_limited(&c, DELIVERY_WORDS_MAX_OCTETS, &recipient_out->words))
		return false;
	recipient_out->verdict = (enum delivery_verdict)verdict;
	*recipients = cursor_rest(&c);
	return true;
}

bool delivered_decode(struct slice payload, struct delivered_message *m_out)
{
	struct cursor c = cursor_of(payload);
	struct delivered_recipient recipient;
	if (!take_bool(&c, &m_out->is_down) || !take_bool(&c, &m_out->is_uncertain) ||
	    !take_bool(&c, &m_out->passed_dsn) || !take_bool(&c, &m_out->passed_deliver_by) ||
	    !take_bool(&c, &m_out->is_final) ||
	    !take_limited(&c, DELIVERY_REMOTE_MAX_OCTETS, &m_out->remote) ||
	    !take_be32(&c, &m_out->recipient_count) || m_out->recipient_count == 0 ||
	    m_out->recipient_count > DELIVERY_RECIPIENTS_MAX)
		return false;
	m_out->recipients = cursor_rest(&c);
	struct slice rest = m_out->recipients;
	for (uint32_t i = 0; i < m_out->recipient_count; i++)
		if (!delivered_next_recipient(&rest, &recipient))
			return false;
	return rest.len == 0;
}
