/* smtpd/content.c - the data between DATA and its end (RFC 5321 sections 4.1.1.4 and 4.5.2),
 * and that of BDAT (RFC 3030 section 2), or from a program of this machine. Runs in both.
 *
 * The end is CRLF.CRLF, every octet of it. A CR or LF outside of CRLF makes the message one
 * that we refuse, after reading to its real end: section 2.3.8 forbids to send it, mending it
 * would break signatures, and taking it for a line end lets one message hide in another.
 * Chunks are held to the same rule, since a text sent by BDAT "MUST be sent in the canonical
 * MIME format with lines delimited with a <CR><LF>", and who passes it on may have DATA only. The
 * body of a binary message is the exception; its header is none.
 *
 * What is taken as it comes: octets above 127, whether 8BITMIME was asked for or not (RFC 1652
 * section 3 has them kept); NUL and other controls ("All characters are to be delivered to the
 * recipient's mailbox", section 4.5.2); lines of any length, since 4.5.3.1.6 sets what must be
 * taken at least, and real mail goes beyond. */
#include "smtpd/content_priv.h"

/* Counts Received fields as the header goes by, for a message that goes round in circles
 * (section 6.3). Field names are in any case. */
static void count_hops(struct smtp_content *content, struct slice run)
{
	static const char name[] = "received:";
	const uint8_t *at = run.ptr, *end = run.ptr + run.len;

	while (at < end && !content->is_past_header) {
		if (content->is_other_field) {
			const uint8_t *lf = memchr(at, '\n', (size_t)(end - at));
			if (!lf)
				return;
			at = lf + 1;
			content->is_other_field = false;
			content->matched = 0;
			continue;
		}
		if (content->matched == 0 && *at == '\r')
			content->is_past_header = true; /* an empty line: runs hold no bare CR */
		if (ascii_lower(*at) != (uint8_t)name[content->matched]) {
			content->is_other_field = true;
			continue;
		}
		at++;
		if (name[++content->matched] == '\0') {
			content->is_other_field = true;
			if (content->hops < UINT16_MAX)
				content->hops++;
		}
	}
}

/* Whole lines, and the start of one, that need nothing done to them. Moves `in` to where
 * something does, and sets the state there. */
static void pass_text(struct smtp_content *content, struct cursor *in)
{
	while (!at_end(in)) {
		if (content->state == CONTENT_LINE_START && *in->at == '.' && !content->is_chunked)
			return;
		size_t left = cursor_left(in);
		const uint8_t *lf = memchr(in->at, '\n', left);
		size_t len = lf ? (size_t)(lf - in->at) : left; /* of the line, with its CR */
		const uint8_t *cr = memchr(in->at, '\r', len);
		bool cr_is_last = cr && cr == in->at + len - 1;

		if (!cr_is_last) {
			if (cr || lf)
				content->has_bare = true;
			/* More CRs may follow the first; the last octet decides about the end. */
			cr_is_last = len > 0 && in->at[len - 1] == '\r';
		}
		if (lf) {
			in->at = lf + 1;
			content->state = cr_is_last ? CONTENT_LINE_START : CONTENT_TEXT;
		} else {
			in->at = cr_is_last ? in->end - 1 : in->end;
			content->state = CONTENT_TEXT;
			if (cr_is_last)
				return;
		}
	}
}

/* One octet where a CR or a dot is held. Fills `run_out` with what was held. */
static bool take_held(struct smtp_content *content, struct cursor *in, struct slice *run_out)
{
	uint8_t octet = *in->at;

	switch (content->state) {
	case CONTENT_CR:
		if (octet == '\n') {
			in->at++;
			*run_out = SLICE("\r\n");
			content->state = CONTENT_LINE_START;
			return false;
		}
		break;
	case CONTENT_DOT:
		if (octet == '\r') {
			in->at++;
			content->state = CONTENT_DOT_CR;
			return false;
		}
		/* The dot was there for transparency and goes; what stands behind it is text,
		 * a second dot too. */
		content->state = CONTENT_TEXT;
		return false;
	case CONTENT_DOT_CR:
		if (octet == '\n') {
			in->at++;
			content->state = CONTENT_LINE_START;
			return true;
		}
		break;
	case CONTENT_LINE_START:
	case CONTENT_TEXT: return false;
	}
	/* A CR that no LF follows. */
	content->has_bare = true;
	content->state = CONTENT_TEXT;
	return false;
}

static enum content_event next_text(struct smtp_content *content, struct cursor *in,
				    struct slice *run_out)
{
	while (!at_end(in)) {
		struct slice run = SLICE_NONE;

		if (content->state == CONTENT_LINE_START && *in->at == '.' &&
		    !content->is_chunked) {
			in->at++;
			content->state = CONTENT_DOT;
			continue;
		}
		if (content->state == CONTENT_TEXT && *in->at == '\r') {
			in->at++;
			content->state = CONTENT_CR;
			continue;
		}
		if (content->state == CONTENT_LINE_START || content->state == CONTENT_TEXT) {
			const uint8_t *start = in->at;
			pass_text(content, in);
			run = slice_of(start, (size_t)(in->at - start));
		} else if (take_held(content, in, &run)) {
			return CONTENT_END;
		}
		if (run.len > 0 && !content->has_bare) {
			content->size_octets += run.len;
			count_hops(content, run);
			*run_out = run;
			return CONTENT_RUN;
		}
	}
	return CONTENT_MORE;
}

/* The header line by line, as text; behind the empty line everything as it is. */
static enum content_event next_binary(struct smtp_content *content, struct cursor *in,
				      struct slice *run_out)
{
	while (!at_end(in) && !content->is_past_header) {
		struct cursor line = *in;
		const uint8_t *lf = memchr(in->at, '\n', cursor_left(in));
		if (lf)
			line.end = lf + 1;
		enum content_event event = next_text(content, &line, run_out);
		in->at = line.at;
		if (event == CONTENT_RUN)
			return event;
	}
	if (at_end(in) || content->has_bare) {
		in->at = in->end;
		return CONTENT_MORE;
	}
	*run_out = cursor_rest(in);
	content->size_octets += run_out->len;
	in->at = in->end;
	return CONTENT_RUN;
}

enum content_event smtp_content_next(struct smtp_content *content, struct cursor *in,
				     struct slice *run_out)
{
	return content->is_binary ? next_binary(content, in, run_out)
				  : next_text(content, in, run_out);
}

void smtp_content_end_chunks(struct smtp_content *content)
{
	if (content->state == CONTENT_CR)
		content->has_bare = true;
}
