/* mda/report.c - delivery status notifications as text: what happened in plain words, the same for
 * programs (RFC 3464), and the message or its header (RFC 6522). With SMTPUTF8 the parts are those of
 * RFC 6533. Runs in the back. */
#include "mda/report.h"

#include <stdio.h>

#include "base/cursor.h"
#include "base/hex.h"
#include "base/random.h"
#include "mail/date.h"
#include "mail/header.h"
#include "mail/text.h"

static const struct {
	const char *word, *status, *subject, *opening;
} actions[REPORT_ACTIONS] = {
	[REPORT_FAILED] = { "failed", "5.0.0", "Your message could not be delivered",
			    "your message could not be delivered to" },
	[REPORT_DELAYED] = { "delayed", "4.0.0", "Your message is still on its way",
			     "your message could not be delivered yet to" },
	[REPORT_DELIVERED] = { "delivered", "2.0.0", "Your message was delivered",
			       "your message was delivered to" },
	[REPORT_EXPANDED] = { "expanded", "2.0.0", "Your message was passed on to several",
			      "your message was passed on to everybody whom this address stands "
			      "for, but you\r\nwill not be told when each of them has it" },
	[REPORT_RELAYED] = { "relayed", "2.0.0", "Your message was passed on",
			     "your message was passed on to a server that will not report what "
			     "becomes of it, for" },
};

bool report_is_wanted(uint8_t notify, enum report_action action)
{
	switch (action) {
	case REPORT_FAILED: return notify == DSN_UNSAID || (notify & DSN_FAILURE);
	case REPORT_DELAYED: return notify == DSN_UNSAID || (notify & DSN_DELAY);
	default: return notify & DSN_SUCCESS;
	}
}

bool report_wants_whole(const struct envelope *envelope, const struct report_recipient *recipients,
			size_t recipient_count, uint64_t size_octets)
{
	bool has_failed = false;
	for (size_t i = 0; i < recipient_count; i++)
		has_failed |= recipients[i].action == REPORT_FAILED;
	/* RFC 8689 section 5: of what was to travel over secure ways alone, as little as possible. And
	 * binary content has a CR or LF of its own, of which another server could make the end of the
	 * report and commands behind it (RFC 3030 section 3). */
	return has_failed && envelope->returns != DSN_RETURN_HEADERS && !envelope->requires_tls &&
	       envelope->body != ENVELOPE_BINARYMIME && size_octets <= REPORT_CONTENT_MAX_OCTETS;
}

/* The first of the actions that occurs. */
static enum report_action worst(const struct report *report)
{
	enum report_action action = REPORT_RELAYED;
	for (size_t i = 0; i < report->recipient_count; i++)
		if (report->recipients[i].action < action)
			action = report->recipients[i].action;
	return action;
}

/* What came from elsewhere, on one line, and nothing that is no text. */
static void add_line_text(struct buffer *out, struct slice text)
{
	for (size_t at = 0; at < text.len;) {
		size_t len = text_utf8_len(slice_sub(text, at, text.len));
		uint8_t octet = text.ptr[at];
		if (len == 0 || (len == 1 && (octet < 0x20 || octet == 0x7f))) {
			buffer_add_byte(out, '?');
			at++;
			continue;
		}
		buffer_add(out, slice_sub(text, at, len));
		at += len;
	}
}

static void add_date_field(struct buffer *out, const char *name, int64_t unix_seconds)
{
	char date[DATE_TEXT_OCTETS];
	date_format(unix_seconds, date);
	buffer_add_format(out, "%s: %s\r\n", name, date);
}

/* ---- header ---- */

/* A part of what has 8 bits may have 8 bits; what says nothing has 7 (RFC 2045 sections 6.1 and 6.4). */
static void add_encoding(struct slice content, struct buffer *out)
{
	if (!text_is_ascii(content))
		buffer_add_cstr(out, "Content-Transfer-Encoding: 8bit\r\n");
}

static void add_header(const struct report *report, const char *boundary, struct slice body,
		       struct buffer *out)
{
	struct header_field field;
	const struct envelope *envelope = report->envelope;
	buffer_add_cstr(out, "Return-Path: <>\r\n");
	add_date_field(out, "Date", report->now_unix);
	buffer_add_format(out, "From: Mail delivery at %.*s <MAILER-DAEMON@%.*s>\r\nTo: <",
			  SLICE_ARG(report->hostname), SLICE_ARG(report->hostname));
	add_line_text(out, envelope->reverse_path);
	buffer_add_format(out, ">\r\nSubject: %s\r\n", actions[worst(report)].subject);
	buffer_add_format(out, "Message-ID: <%s@%.*s>\r\n", boundary, SLICE_ARG(report->hostname));
	struct slice header = slice_sub(report->content, 0, header_end(report->content));
	if (header_find(header, SLICE("Message-ID"), &field)) {
		struct slice id = slice_trim(field.value);
		if (id.len > 0 && id.len < 900 && text_is_ascii(id) &&
		    slice_find_byte(id, 0, '\n') == id.len) {
			buffer_add_cstr(out, "In-Reply-To: ");
			add_line_text(out, id);
			buffer_add_cstr(out, "\r\nReferences: ");
			add_line_text(out, id);
			buffer_add_cstr(out, "\r\n");
		}
	}
	buffer_add_cstr(out, "Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n");
	buffer_add_format(out,
			  "Content-Type: multipart/report; report-type=delivery-status;\r\n"
			  "\tboundary=\"%s\"\r\n",
			  boundary);
	add_encoding(body, out);
	buffer_add_cstr(out, "\r\n");
}

/* ---- in words ---- */

static void add_words(const struct report *report, enum report_action action, struct buffer *out)
{
	bool has_any = false;
	for (size_t i = 0; i < report->recipient_count; i++) {
		const struct report_recipient *recipient = &report->recipients[i];
		if (recipient->action != action)
			continue;
		if (!has_any)
			buffer_add_format(out, "%s\r\n", actions[action].opening);
		has_any = true;
		buffer_add_cstr(out, "\r\n    ");
		add_line_text(out, recipient->forward_path);
		buffer_add_cstr(out, "\r\n");
		if (recipient->words.len == 0)
			continue;
		if (recipient->is_reply && recipient->remote.len > 0) {
			buffer_add_cstr(out, "    The server ");
			add_line_text(out, recipient->remote);
			buffer_add_cstr(out, action == REPORT_FAILED || action == REPORT_DELAYED
						     ? " refused it and said:\r\n    "
						     : " said:\r\n    ");
		} else {
			buffer_add_cstr(out, "    What happened: ");
		}
		add_line_text(out, recipient->words);
		buffer_add_cstr(out, "\r\n");
	}
	if (!has_any)
		return;
	buffer_add_cstr(out, "\r\n");
	if (action == REPORT_FAILED)
		buffer_add_cstr(out,
				"It will not be tried again. Please check the address, or ask "
				"the recipient\r\nby another way; the message is below.\r\n\r\n");
	if (action == REPORT_DELAYED) {
		char date[DATE_TEXT_OCTETS];
		date_format(report->retry_until_unix, date);
		buffer_add_format(
			out,
			"You need not do anything: it will be tried again until\r\n%s, and "
			"you will be told if that\r\ndoes not help.\r\n\r\n",
			date);
	}
}

static void add_text_part(const struct report *report, struct buffer *out)
{
	struct buffer words = { 0 };
	for (int action = 0; action < REPORT_ACTIONS; action++)
		add_words(report, (enum report_action)action, &words);
	buffer_add_cstr(out, "Content-Type: text/plain; charset=utf-8\r\n");
	add_encoding(buffer_slice(&words), out);
	buffer_add_format(out, "\r\nThis is the mail server %.*s:\r\n",
			  SLICE_ARG(report->hostname));
	buffer_add(out, buffer_slice(&words));
	buffer_free(&words);
}

/* ---- for programs ---- */

/* What came from elsewhere, in a field; message/delivery-status is ASCII alone. */
static void add_field_text(struct buffer *out, struct slice text, bool is_global)
{
	size_t from = out->len;
	add_line_text(out, text);
	for (size_t i = from; !is_global && i < out->len; i++)
		if (out->data[i] >= 0x80)
			out->data[i] = '?';
}

/* xtext of RFC 3461 section 4, decoded onto one line. */
static void add_xtext(struct buffer *out, struct slice text, bool is_global)
{
	struct buffer plain = { 0 };
	for (size_t i = 0; i < text.len; i++) {
		int high = i + 2 < text.len ? hex_value_upper(text.ptr[i + 1]) : -1;
		int low = i + 2 < text.len ? hex_value_upper(text.ptr[i + 2]) : -1;
		if (text.ptr[i] == '+' && high >= 0 && low >= 0) {
			buffer_add_byte(&plain, (uint8_t)(high * 16 + low));
			i += 2;
		} else {
			buffer_add_byte(&plain, text.ptr[i]);
		}
	}
	add_field_text(out, buffer_slice(&plain), is_global);
	buffer_free(&plain);
}

/* "\x{F6}" of RFC 6533 section 3: its length, and the character in UTF-8; 0: it is none. */
static size_t take_embedded(struct slice text, uint8_t utf8_out[4], size_t *utf8_len_out)
{
	uint32_t code = 0;
	size_t at = 3;
	if (!slice_eq(slice_sub(text, 0, 3), SLICE("\\x{")))
		return 0;
	for (; at < text.len && at < 9 && hex_value_upper(text.ptr[at]) >= 0; at++)
		code = code * 16 + (uint32_t)hex_value_upper(text.ptr[at]);
	if (at < 5 || at == text.len || text.ptr[at] != '}')
		return 0;
	size_t len = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
	static const uint8_t leads[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
	for (size_t i = len; i-- > 1; code >>= 6)
		utf8_out[i] = (uint8_t)(0x80 | (code & 0x3f));
	utf8_out[0] = (uint8_t)(leads[len] | code);
	*utf8_len_out = len;
	return text_utf8_len(slice_of(utf8_out, len)) == len ? at + 1 : 0;
}

/* An address of the type "utf-8" (RFC 6533 section 3): as it is spoken, or in ASCII alone. */
static void add_utf8_address(struct buffer *out, struct slice text, bool is_global)
{
	struct buffer plain = { 0 };
	for (size_t at = 0; at < text.len;) {
		uint8_t utf8[4];
		size_t utf8_len, len = text_utf8_len(slice_sub(text, at, text.len));
		size_t taken =
			is_global ? take_embedded(slice_sub(text, at, text.len), utf8, &utf8_len)
				  : 0;
		if (taken > 0) {
			buffer_add(&plain, slice_of(utf8, utf8_len));
			at += taken;
		} else if (is_global || len < 2) {
			buffer_add_byte(&plain, text.ptr[at++]);
		} else {
			uint32_t code = text.ptr[at] & (0x7fu >> len);
			for (size_t i = 1; i < len; i++)
				code = code << 6 | (text.ptr[at + i] & 0x3f);
			buffer_add_format(&plain, "\\x{%X}", (unsigned)code);
			at += len;
		}
	}
	add_field_text(out, buffer_slice(&plain), is_global);
	buffer_free(&plain);
}

static void add_original(struct buffer *out, struct slice orcpt, bool is_global)
{
	const struct slice type = SLICE("utf-8;");
	buffer_add_cstr(out, "Original-Recipient: ");
	if (slice_starts_nocase(orcpt, type)) {
		buffer_add(out, type);
		add_utf8_address(out, slice_sub(orcpt, type.len, orcpt.len), is_global);
	} else {
		add_xtext(out, orcpt, is_global);
	}
	buffer_add_cstr(out, "\r\n");
}

/* class "." subject "." detail */
static bool is_status(struct slice status)
{
	struct cursor c = cursor_of(status);
	uint64_t number;
	return take_number(&c, 5, &number) && take_byte(&c, '.') && take_number(&c, 999, &number) &&
	       take_byte(&c, '.') && take_number(&c, 999, &number) && at_end(&c);
}

static void add_fields(const struct report *report, bool is_global, struct buffer *out)
{
	buffer_add_format(out, "Reporting-MTA: dns; %.*s\r\n", SLICE_ARG(report->hostname));
	if (report->envelope->envid.len > 0) {
		buffer_add_cstr(out, "Original-Envelope-Id: ");
		add_xtext(out, report->envelope->envid, is_global);
		buffer_add_cstr(out, "\r\n");
	}
	add_date_field(out, "Arrival-Date", report->arrived_unix);
	for (size_t i = 0; i < report->recipient_count; i++) {
		const struct report_recipient *recipient = &report->recipients[i];
		bool is_utf8 = !text_is_ascii(recipient->forward_path);
		buffer_add_cstr(out, "\r\n");
		if (recipient->orcpt.len > 0)
			add_original(out, recipient->orcpt, is_global);
		buffer_add_format(out, "Final-Recipient: %s; ", is_utf8 ? "utf-8" : "rfc822");
		add_line_text(out, recipient->forward_path);
		buffer_add_format(out,
				  "\r\nAction: %s\r\nStatus: ", actions[recipient->action].word);
		if (is_status(recipient->status))
			buffer_add(out, recipient->status);
		else
			buffer_add_cstr(out, actions[recipient->action].status);
		buffer_add_cstr(out, "\r\n");
		if (recipient->remote.len > 0) {
			struct slice name = recipient->remote;
			name.len = slice_find_byte(name, 0, ' ');
			buffer_add_cstr(out, "Remote-MTA: dns; ");
			add_field_text(out, name, is_global);
			buffer_add_cstr(out, "\r\n");
		}
		if (recipient->words.len > 0) {
			buffer_add_format(out, "Diagnostic-Code: %s; ",
					  recipient->is_reply ? "smtp" : "x-bode");
			add_field_text(out, recipient->words, is_global);
			buffer_add_cstr(out, "\r\n");
		}
		add_date_field(out, "Last-Attempt-Date", report->now_unix);
		if (recipient->action == REPORT_DELAYED)
			add_date_field(out, "Will-Retry-Until", report->retry_until_unix);
	}
}

static void add_status_part(const struct report *report, bool is_global, struct buffer *out)
{
	struct buffer fields = { 0 };
	add_fields(report, is_global, &fields);
	buffer_add_format(out, "Content-Type: message/%s\r\n",
			  is_global ? "global-delivery-status" : "delivery-status");
	add_encoding(buffer_slice(&fields), out);
	buffer_add_cstr(out, "\r\n");
	buffer_add(out, buffer_slice(&fields));
	buffer_free(&fields);
}

static void add_content_part(const struct report *report, bool is_global, struct buffer *out)
{
	struct slice content = report->content;
	/* A header in UTF-8 is no text of RFC 822, whatever the addresses (RFC 6533 section 4.2). */
	is_global |= report->envelope->is_utf8 &&
		     !text_is_ascii(slice_sub(content, 0, header_end(content)));
	const char *type = report->is_whole ? (is_global ? "message/global" : "message/rfc822")
			   : is_global	    ? "message/global-headers"
					    : "text/rfc822-headers";
	if (!report->is_whole)
		content.len = header_end(content);
	buffer_add_format(out, "Content-Type: %s\r\n", type);
	add_encoding(content, out);
	buffer_add_cstr(out, "\r\n");
	buffer_add(out, content);
	if (content.len == 0 || content.ptr[content.len - 1] != '\n')
		buffer_add_cstr(out, "\r\n");
}

void report_format(const struct report *report, struct buffer *out)
{
	struct buffer body = { 0 };
	char boundary[40];
	bool is_global = false;
	snprintf(boundary, sizeof(boundary), "report-%016llx", (unsigned long long)random_u64());
	for (size_t i = 0; i < report->recipient_count; i++)
		is_global |= !text_is_ascii(report->recipients[i].forward_path);
	is_global |= !text_is_ascii(report->envelope->reverse_path);
	buffer_add_format(&body, "--%s\r\n", boundary);
	add_text_part(report, &body);
	buffer_add_format(&body, "\r\n--%s\r\n", boundary);
	add_status_part(report, is_global, &body);
	buffer_add_format(&body, "\r\n--%s\r\n", boundary);
	add_content_part(report, is_global, &body);
	buffer_add_format(&body, "\r\n--%s--\r\n", boundary);
	add_header(report, boundary, buffer_slice(&body), out);
	buffer_add(out, buffer_slice(&body));
	buffer_free(&body);
}
