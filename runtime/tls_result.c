/* runtime/tls_result.c - results of securing connections, as octets, big-endian. Runs in both, and in
 * the admin's process. Decoders accept exactly what the encoders write. */
#include "runtime/tls_result.h"

#include "base/cursor.h"
#include "runtime/dns_record.h"
#include "runtime/message_parts_priv.h"

const char *tls_result_word(enum tls_result_kind kind)
{
	static const char *const words[TLS_RESULT_COUNT] = {
		[TLS_RESULT_GOOD] = "good",
		[TLS_RESULT_NO_STARTTLS] = "starttls-not-supported",
		[TLS_RESULT_NAME] = "certificate-host-mismatch",
		[TLS_RESULT_EXPIRED] = "certificate-expired",
		[TLS_RESULT_UNTRUSTED] = "certificate-not-trusted",
		[TLS_RESULT_FAILED] = "validation-failure",
		[TLS_RESULT_POLICY_NOT_FETCHED] = "sts-policy-fetch-error",
		[TLS_RESULT_POLICY_INVALID] = "sts-policy-invalid",
		[TLS_RESULT_POLICY_HOST_UNTRUSTED] = "sts-webpki-invalid",
		[TLS_RESULT_DNSSEC] = "dnssec-invalid",
	};
	return words[kind];
}

const char *tls_policy_word(enum tls_policy_kind kind)
{
	static const char *const words[TLS_POLICY_COUNT] = { "no-policy-found", "tlsa", "sts" };
	return words[kind];
}

void tls_result_encode(const struct tls_result *result, struct buffer *out)
{
	buffer_add_byte(out, (uint8_t)result->policy);
	buffer_add_byte(out, (uint8_t)result->kind);
	buffer_add_block(out, slice_sub(result->policy_text, 0, TLS_RESULT_POLICY_MAX_OCTETS));
	buffer_add_block(out, slice_sub(result->host, 0, TLS_RESULT_TEXT_MAX_OCTETS));
	buffer_add_block(out, slice_sub(result->address, 0, TLS_RESULT_TEXT_MAX_OCTETS));
	buffer_add_block(out, slice_sub(result->reason, 0, TLS_RESULT_TEXT_MAX_OCTETS));
	buffer_add_block(out, result->report_to.len <= TLS_RESULT_REPORT_TO_MAX_OCTETS
				      ? result->report_to
				      : SLICE_NONE);
}

bool tls_result_decode(struct slice octets, struct tls_result *result_out)
{
	struct cursor c = cursor_of(octets);
	uint8_t policy, kind;
	if (!take_below(&c, TLS_POLICY_COUNT, &policy) ||
	    !take_below(&c, TLS_RESULT_COUNT, &kind) ||
	    !take_limited(&c, TLS_RESULT_POLICY_MAX_OCTETS, &result_out->policy_text) ||
	    !take_limited(&c, TLS_RESULT_TEXT_MAX_OCTETS, &result_out->host) ||
	    !take_limited(&c, TLS_RESULT_TEXT_MAX_OCTETS, &result_out->address) ||
	    !take_limited(&c, TLS_RESULT_TEXT_MAX_OCTETS, &result_out->reason) ||
	    !take_limited(&c, TLS_RESULT_REPORT_TO_MAX_OCTETS, &result_out->report_to))
		return false;
	result_out->policy = (enum tls_policy_kind)policy;
	result_out->kind = (enum tls_result_kind)kind;
	return at_end(&c);
}

void tls_result_message_encode(const struct tls_result_message *m, struct buffer *out)
{
	buffer_add_block(out, m->domain);
	buffer_add_byte(out, (uint8_t)m->level);
	buffer_add_byte(out, (uint8_t)m->proven_by);
	buffer_add_byte(out, m->is_renounced);
	buffer_add_byte(out, m->has_result);
	if (m->has_result)
		buffer_add(out, m->result);
}

bool tls_result_message_decode(struct slice payload, struct tls_result_message *m_out)
{
	struct cursor c = cursor_of(payload);
	struct tls_result result;
	uint8_t level, proven_by;
	/* It goes into reports, where it may say nothing but what a domain's name can. */
	if (!take_block(&c, &m_out->domain) || !dns_name_is_valid(m_out->domain) ||
	    !take_below(&c, TLS_LEVEL_UNSAID + 1, &level) ||
	    !take_below(&c, TLS_POLICY_COUNT, &proven_by) || !take_bool(&c, &m_out->is_renounced) ||
	    !take_bool(&c, &m_out->has_result))
		return false;
	m_out->level = (enum tls_level)level;
	m_out->proven_by = (enum tls_policy_kind)proven_by;
	m_out->result = cursor_rest(&c);
	return m_out->has_result ? tls_result_decode(m_out->result, &result) : at_end(&c);
}
