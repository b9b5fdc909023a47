/* runtime/messages.c - the messages between front and back as octets, big-endian.
 *
 * Decoders accept exactly what the encoders write: every length meets its limit, every
 * enumeration its last value, and nothing may follow. */
#include "runtime/messages.h"

#include "runtime/message_parts_priv.h"
#include "runtime/sign_in_limits.h"

enum { CLIENT_NAME_MAX_OCTETS = 255 };

/* ---- parts ---- */

static bool take_outcome(struct cursor *c, enum err *err_out)
{
	uint8_t number;
	if (!take_below(c, ERR_VERSION + 1, &number))
		return false;
	*err_out = (enum err)number;
	return true;
}

static bool take_protocol(struct cursor *c, enum mail_protocol *protocol_out)
{
	uint8_t number;
	if (!take_below(c, PROTOCOL_POP3 + 1, &number))
		return false;
	*protocol_out = (enum mail_protocol)number;
	return true;
}

static bool take_service(struct cursor *c, enum config_service *service_out)
{
	uint8_t number;
	if (!take_below(c, SERVICE_COUNT, &number))
		return false;
	*service_out = (enum config_service)number;
	return true;
}

bool token_is_set(const struct token *token)
{
	static const struct token none;
	return memcmp(token, &none, sizeof(none)) != 0;
}

static void add_token(struct buffer *out, const struct token *token)
{
	buffer_add(out, slice_of(token->octets, TOKEN_OCTETS));
}

static bool take_token(struct cursor *c, struct token *token_out)
{
	struct slice octets;
	if (!take_octets(c, TOKEN_OCTETS, &octets))
		return false;
	memcpy(token_out->octets, octets.ptr, TOKEN_OCTETS);
	return true;
}

static void add_client(struct buffer *out, const struct client_info *client)
{
	buffer_add_byte(out, client->peer.family);
	buffer_add(out, slice_of(client->peer.address, sizeof(client->peer.address)));
	buffer_add_be16(out, client->peer.port);
	buffer_add_byte(out, client->secure);
	buffer_add_be32(out, client->conn_id);
}

static bool take_client(struct cursor *c, struct client_info *client_out)
{
	struct slice address;
	struct peer *peer = &client_out->peer;
	if (!take_u8(c, &peer->family) ||
	    (peer->family != 0 && peer->family != 4 && peer->family != 6))
		return false;
	if (!take_octets(c, sizeof(peer->address), &address))
		return false;
	memcpy(peer->address, address.ptr, address.len);
	return take_be16(c, &peer->port) && take_bool(c, &client_out->secure) &&
	       take_be32(c, &client_out->conn_id);
}

/* ---- sign-in ---- */

void authenticate_encode(const struct authenticate_message *m, struct buffer *out)
{
	add_client(out, &m->client);
	buffer_add_byte(out, (uint8_t)m->protocol);
	buffer_add_block(out, m->authorize_as);
	buffer_add_block(out, m->login);
	buffer_add_block(out, m->password);
}

bool authenticate_decode(struct slice payload, struct authenticate_message *m_out)
{
	struct cursor c = cursor_of(payload);
	return take_client(&c, &m_out->client) && take_protocol(&c, &m_out->protocol) &&
	       take_limited(&c, AUTHORIZE_AS_MAX_OCTETS, &m_out->authorize_as) &&
	       take_limited(&c, LOGIN_MAX_OCTETS, &m_out->login) &&
	       take_limited(&c, PASSWORD_MAX_OCTETS, &m_out->password) && at_end(&c);
}

void authenticated_encode(const struct authenticated_message *m, struct buffer *out)
{
	buffer_add_byte(out, (uint8_t)m->outcome);
	add_token(out, &m->token);
	buffer_add_byte(out, m->hides_client);
}

bool authenticated_decode(struct slice payload, struct authenticated_message *m_out)
{
	struct cursor c = cursor_of(payload);
	return take_outcome(&c, &m_out->outcome) && take_token(&c, &m_out->token) &&
	       take_bool(&c, &m_out->hides_client) && at_end(&c);
}

void session_message_encode(const struct session_message *m, struct buffer *out)
{
	add_client(out, &m->client);
	buffer_add_byte(out, (uint8_t)m->protocol);
	add_token(out, &m->token);
	buffer_add_byte(out, m->language);
	buffer_add_block(out, m->tag);
}

bool session_message_decode(struct slice payload, struct session_message *m_out)
{
	struct cursor c = cursor_of(payload);
	return take_client(&c, &m_out->client) && take_protocol(&c, &m_out->protocol) &&
	       take_token(&c, &m_out->token) && take_u8(&c, &m_out->language) &&
	       take_limited(&c, TAG_MAX_OCTETS, &m_out->tag) && at_end(&c);
}

void forget_token_encode(const struct token *token, struct buffer *out)
{
	add_token(out, token);
}

bool forget_token_decode(struct slice payload, struct token *token_out)
{
	struct cursor c = cursor_of(payload);
	return take_token(&c, token_out) && at_end(&c);
}

/* ---- mail ---- */

void recipient_encode(const struct recipient_message *m, struct buffer *out)
{
	add_token(out, &m->token);
	buffer_add_block(out, m->reverse_path);
	buffer_add_block(out, m->forward_path);
	buffer_add_be32(out, m->new_count);
}

bool recipient_decode(struct slice payload, struct recipient_message *m_out)
{
	struct cursor c = cursor_of(payload);
	return take_token(&c, &m_out->token) &&
	       take_limited(&c, ENVELOPE_PATH_MAX_OCTETS, &m_out->reverse_path) &&
	       take_limited(&c, ENVELOPE_PATH_MAX_OCTETS, &m_out->forward_path) &&
	       take_be32(&c, &m_out->new_count) && at_end(&c);
}

void recipient_verdict_encode(enum recipient_verdict verdict, struct buffer *out)
{
	buffer_add_byte(out, (uint8_t)verdict);
}

bool recipient_verdict_decode(struct slice payload, enum recipient_verdict *verdict_out)
{
	struct cursor c = cursor_of(payload);
	uint8_t number;
	if (!take_below(&c, RECIPIENT_VERDICT_COUNT, &number) || !at_end(&c))
		return false;
	*verdict_out = (enum recipient_verdict)number;
	return true;
}

void transaction_encode(const struct transaction_message *m, struct buffer *out)
{
	add_client(out, &m->client);
	buffer_add_byte(out, (uint8_t)m->service);
	buffer_add_block(out, slice_sub(m->client_name, 0, CLIENT_NAME_MAX_OCTETS));
	add_token(out, &m->token);
	envelope_encode(&m->envelope, out);
	buffer_add(out, m->envelope.recipients);
}

bool transaction_decode(struct slice payload, struct transaction_message *m_out)
{
	struct cursor c = cursor_of(payload);
	return take_client(&c, &m_out->client) && take_service(&c, &m_out->service) &&
	       take_limited(&c, CLIENT_NAME_MAX_OCTETS, &m_out->client_name) &&
	       take_token(&c, &m_out->token) && envelope_decode(cursor_rest(&c), &m_out->envelope);
}

void credit_encode(uint32_t octets, struct buffer *out)
{
	buffer_add_be32(out, octets);
}

bool credit_decode(struct slice payload, uint32_t *octets_out)
{
	struct cursor c = cursor_of(payload);
	return take_be32(&c, octets_out) && at_end(&c);
}

void filed_encode(const struct filed_message *m, struct buffer *out)
{
	buffer_add_byte(out, (uint8_t)m->outcome);
	buffer_add_be64(out, m->message_id);
	buffer_add_block(out, m->outcomes);
}

bool filed_decode(struct slice payload, struct filed_message *m_out)
{
	struct cursor c = cursor_of(payload);
	enum err outcome;
	if (!take_outcome(&c, &m_out->outcome) || !take_be64(&c, &m_out->message_id))
		return false;
	if (!take_block(&c, &m_out->outcomes) || !at_end(&c))
		return false;
	c = cursor_of(m_out->outcomes);
	while (!at_end(&c))
		if (!take_outcome(&c, &outcome))
			return false;
	return true;
}
