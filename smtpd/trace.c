/* smtpd/trace.c - Return-Path and Received (RFC 5321 section 4.4, RFC 3848, RFC 6710 section 7). Runs in the front
 * and in the admin's process.
 *
 * The date is UTC: the front has no file system, so no zone file, by the time it could ask.
 * A Return-Path that the message came with stays where it is; ours is above it. */
#include "smtpd/trace.h"

#include "mail/date.h"

/* address-literal (section 4.1.3). */
static void add_address_literal(const struct peer *peer, struct buffer *out)
{
	char text[PEER_TEXT_MAX];

	peer_format(peer, text);
	buffer_add_cstr(out, peer->family == 6 ? "[IPv6:" : "[");
	buffer_add_cstr(out, text);
	buffer_add_byte(out, ']');
}

const char *trace_protocol(enum trace_transport transport, bool is_utf8, bool is_secure,
			   bool is_signed_in)
{
	/* by LMTP, UTF-8, TLS, sign-in */
	static const char *const names[2][2][2][2] = {
		{ { { "ESMTP", "ESMTPA" }, { "ESMTPS", "ESMTPSA" } },
		  { { "UTF8SMTP", "UTF8SMTPA" }, { "UTF8SMTPS", "UTF8SMTPSA" } } },
		{ { { "LMTP", "LMTPA" }, { "LMTPS", "LMTPSA" } },
		  { { "UTF8LMTP", "UTF8LMTPA" }, { "UTF8LMTPS", "UTF8LMTPSA" } } },
	};

	if (transport == TRACE_SMTP)
		return "SMTP";
	return names[transport == TRACE_LMTP][is_utf8][is_secure][is_signed_in];
}

void trace_format(const struct trace *trace, struct buffer *out)
{
	char date[DATE_TEXT_OCTETS];

	buffer_add_cstr(out, "Return-Path: <");
	buffer_add(out, trace->reverse_path);
	buffer_add_cstr(out, ">\r\nReceived: ");
	if (trace->client_name.len > 0) {
		buffer_add_cstr(out, "from ");
		buffer_add(out, trace->client_name);
		if (trace->peer && trace->peer->family != 0) {
			buffer_add_cstr(out, " (");
			if (trace->host.len > 0) {
				buffer_add(out, trace->host);
				buffer_add_byte(out, ' ');
			}
			add_address_literal(trace->peer, out);
			buffer_add_byte(out, ')');
		}
		buffer_add_cstr(out, "\r\n\t");
	}
	buffer_add_cstr(out, "by ");
	buffer_add(out, trace->hostname);
	buffer_add_cstr(out, " with ");
	buffer_add_cstr(out, trace->protocol);
	if (trace->tls_version) {
		buffer_add_cstr(out, " (");
		buffer_add_cstr(out, trace->tls_version);
		if (trace->tls_cipher) {
			buffer_add_byte(out, ' ');
			buffer_add_cstr(out, trace->tls_cipher);
		}
		buffer_add_byte(out, ')');
	}
	if (trace->id.len > 0) {
		buffer_add_cstr(out, " id ");
		buffer_add(out, trace->id);
	}
	if (trace->forward_path.len > 0) {
		buffer_add_cstr(out, "\r\n\tfor <");
		buffer_add(out, trace->forward_path);
		buffer_add_byte(out, '>');
	}
	if (trace->priority != 0)
		buffer_add_format(out, "\r\n\tPRIORITY %d", trace->priority);
	date_format(trace->arrived_unix, date);
	buffer_add_cstr(out, ";\r\n\t");
	buffer_add_cstr(out, date);
	buffer_add_cstr(out, "\r\n");
}
