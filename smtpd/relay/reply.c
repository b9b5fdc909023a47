/* smtpd/relay/reply.c - replies of a server: framing, code, text, enhanced status (RFC 5321 section
 * 4.2, RFC 2034 section 4, RFC 3463 section 2). Runs in the front; words are cleaned in the back,
 * too. */
#include "smtpd/relay/reply_priv.h"

#include "mail/text.h"

static bool line_take_code(struct slice line, uint16_t *code_out, bool *is_last_out,
			   struct slice *text_out)
{
	if (line.len < 3 || line.ptr[0] < '2' || line.ptr[0] > '5' ||
	    !ascii_is_digit(line.ptr[1]) || !ascii_is_digit(line.ptr[2]))
		return false;
	if (line.len > 3 && line.ptr[3] != ' ' && line.ptr[3] != '-')
		return false;
	*code_out = (uint16_t)((line.ptr[0] - '0') * 100 + (line.ptr[1] - '0') * 10 +
			       (line.ptr[2] - '0'));
	*is_last_out = line.len == 3 || line.ptr[3] == ' ';
	*text_out = slice_sub(line, 4, line.len);
	return true;
}

/* class "." subject "." detail, of the reply's own class. */
static void take_status(struct reply *reply)
{
	struct cursor c = cursor_of(reply->text);
	uint64_t class, subject, detail;
	if (!take_number(&c, 5, &class) || class != reply->code / 100 || !take_byte(&c, '.') ||
	    !take_number(&c, 255, &subject) || !take_byte(&c, '.') ||
	    !take_number(&c, 255, &detail) ||
	    !(at_end(&c) || next_is(&c, ' ') || next_is(&c, '\n')))
		return;
	reply->status[0] = (uint8_t) class;
	reply->status[1] = (uint8_t)subject;
	reply->status[2] = (uint8_t)detail;
	take_byte(&c, ' ');
	reply->status_octets = (unsigned)(c.at - reply->text.ptr);
}

enum reply_result reply_take(struct reply_reader *reader, struct cursor *in,
			     struct reply *reply_out)
{
	if (reader->lines == 0)
		buffer_clear(&reader->text);
	for (;;) {
		struct slice rest = cursor_rest(in), text;
		size_t end = slice_find_byte(rest, 0, '\n');
		uint16_t code;
		bool is_last;
		if (end == rest.len)
			return rest.len > REPLY_LINE_MAX_OCTETS ? REPLY_BROKEN : REPLY_PARTIAL;
		struct slice line = slice_sub(rest, 0, end);
		if (line.len > 0 && line.ptr[line.len - 1] == '\r')
			line.len--;
		if (line.len > REPLY_LINE_MAX_OCTETS || reader->lines == REPLY_LINES_MAX ||
		    !line_take_code(line, &code, &is_last, &text) ||
		    (reader->lines > 0 && code != reader->code))
			return REPLY_BROKEN;
		in->at += end + 1;
		if (reader->lines > 0 && reader->text.len < REPLY_KEPT_MAX_OCTETS)
			buffer_add_byte(&reader->text, '\n');
		if (reader->text.len < REPLY_KEPT_MAX_OCTETS)
			buffer_add(&reader->text, text);
		reader->code = code;
		reader->lines++;
		if (!is_last)
			continue;
		reader->lines = 0;
		*reply_out = (struct reply){ .code = code, .text = buffer_slice(&reader->text) };
		take_status(reply_out);
		return REPLY_TAKEN;
	}
}

void reply_reader_fini(struct reply_reader *reader)
{
	buffer_free(&reader->text);
}

void reply_clean(struct slice text, size_t max_octets, struct buffer *out)
{
	size_t start = out->len;
	for (size_t at = 0; at < text.len;) {
		size_t len = text_utf8_len(slice_sub(text, at, text.len));
		uint8_t octet = text.ptr[at];
		bool is_plain = len > 1 || (len == 1 && octet >= 0x20 && octet != 0x7f);
		if (len == 0)
			len = 1;
		if (out->len - start + len > max_octets)
			break;
		if (is_plain)
			buffer_add(out, slice_sub(text, at, len));
		else
			buffer_add_byte(out, octet == '\n' || octet == '\t' ? ' ' : '?');
		at += len;
	}
}

void reply_words(const struct reply *reply, size_t max_octets, struct buffer *out)
{
	buffer_add_u64(out, reply->code);
	if (reply->text.len > 0)
		buffer_add_byte(out, ' ');
	reply_clean(reply->text, max_octets > 4 ? max_octets - 4 : 0, out);
}
