/* admin/imap_response.c - what an IMAP server says, framed into responses (RFC 9051 section 2.2.2).
 * Everything that comes is a stranger's: lines and literals have limits, contents pass through.
 * Runs in the admin's process. */
#include "admin/imap_client_priv.h"
#include "admin/imap_word.h"

enum {
	IN_HIGH_OCTETS = 512 * 1024,
	LINE_MAX_OCTETS = 16 << 20, /* SEARCH of a million messages is one line */
	LITERAL_MAX_OCTETS = 64 * 1024,
	PIECE_MAX_OCTETS = 64 * 1024,
};

/* ---- octets ---- */

void imap_response_feed(struct stream *stream, struct cursor *in)
{
	struct imap_client *client = stream_user(stream);
	buffer_add(&client->in, cursor_rest(in));
	in->at = in->end;
	if (client->in.len - client->in_at >= IN_HIGH_OCTETS) {
		client->is_paused = true;
		stream_pause(stream);
	}
}

static struct slice unread(const struct imap_client *client)
{
	return slice_sub(buffer_slice(&client->in), client->in_at, client->in.len);
}

static void consume(struct imap_client *client, size_t octets)
{
	client->in_at += octets;
	if (client->in_at == client->in.len) {
		buffer_clear(&client->in);
		client->in_at = 0;
	} else if (client->in_at >= IN_HIGH_OCTETS) {
		buffer_drop_front(&client->in, client->in_at);
		client->in_at = 0;
	}
	if (client->is_paused && client->in.len - client->in_at < IN_HIGH_OCTETS) {
		client->is_paused = false;
		stream_resume(client->stream);
	}
}

/* More input than `had` octets that wait already. */
static bool wait_for_more(struct imap_client *client, size_t had)
{
	while (!client->is_over && unread(client).len <= had) {
		if (client->is_paused) {
			client->is_paused = false;
			stream_resume(client->stream);
		}
		loop_run_once(client->loop, IMAP_TURN_MS);
	}
	return unread(client).len > had;
}

void imap_response_forget(struct imap_client *client)
{
	buffer_clear(&client->in);
	client->in_at = 0;
}

/* ---- lines, literals and contents ---- */

/* Text of the line up to its end, which goes to client->line; the line end is taken. */
static bool read_text(struct imap_client *client)
{
	size_t looked_at = 0;
	for (;;) {
		struct slice in = unread(client);
		size_t end = slice_find_byte(in, looked_at, '\n');
		if (end < in.len) {
			size_t len = end > 0 && in.ptr[end - 1] == '\r' ? end - 1 : end;
			buffer_add(&client->line, slice_sub(in, 0, len));
			consume(client, end + 1);
			return true;
		}
		looked_at = in.len;
		if (in.len + client->line.len > LINE_MAX_OCTETS) {
			imap_client_fail(client, "it sent a line that does not end");
			return false;
		}
		if (!wait_for_more(client, looked_at))
			return false;
	}
}

/* "{123}" or "~{123}" at the line's end, which is cut off. */
static bool cut_literal(struct imap_client *client, uint64_t *octets_out)
{
	struct slice line = buffer_slice(&client->line);
	size_t at = line.len;
	if (at < 3 || line.ptr[at - 1] != '}')
		return false;
	for (at--; at > 0 && ascii_is_digit(line.ptr[at - 1]); at--)
		;
	if (at == 0 || line.ptr[at - 1] != '{' ||
	    !slice_to_u64(slice_sub(line, at, line.len - 1 - at), INT64_MAX, octets_out))
		return false;
	client->line.len = at - 1;
	if (client->line.len > 0 && client->line.data[client->line.len - 1] == '~')
		client->line.len--;
	return true;
}

static bool take_content(struct imap_client *client, uint64_t octets,
			 const struct imap_events *events, void *user)
{
	while (octets > 0) {
		if (!wait_for_more(client, 0))
			return false;
		/* A copy: who takes it may wait, and what comes in meanwhile moves the rest. */
		size_t len = octets < PIECE_MAX_OCTETS ? octets : PIECE_MAX_OCTETS;
		buffer_clear(&client->piece);
		buffer_add(&client->piece, slice_sub(unread(client), 0, len));
		struct slice piece = buffer_slice(&client->piece);
		if (events && events->content)
			events->content(user, piece);
		octets -= piece.len;
		consume(client, piece.len);
	}
	return true;
}

static bool take_literal(struct imap_client *client, uint64_t octets)
{
	if (octets > LITERAL_MAX_OCTETS) {
		imap_client_fail(client, "it sent a literal that is far too large");
		return false;
	}
	if (client->line.len > LINE_MAX_OCTETS) {
		imap_client_fail(client, "it sent a line that does not end");
		return false;
	}
	while (unread(client).len < octets)
		if (!wait_for_more(client, unread(client).len))
			return false;
	imap_add_string(&client->line, slice_sub(unread(client), 0, octets));
	consume(client, octets);
	return true;
}

static bool is_content(struct slice line)
{
	struct cursor c = cursor_of(line);
	uint64_t number;
	return take_word_nocase(&c, SLICE("* ")) && take_number(&c, UINT32_MAX, &number) &&
	       take_word_nocase(&c, SLICE(" FETCH ")) && line.len > 7 &&
	       slice_eq_nocase(slice_sub(line, line.len - 7, 7), SLICE("BODY[] "));
}

bool imap_response_read(struct imap_client *client, const struct imap_events *events, void *user)
{
	uint64_t octets;
	buffer_clear(&client->line);
	if (!read_text(client))
		return false;
	while (cut_literal(client, &octets)) {
		struct slice line = buffer_slice(&client->line);
		if (is_content(line)) {
			if (events && events->content_begin)
				events->content_begin(user, slice_sub(line, 2, line.len), octets);
			if (!take_content(client, octets, events, user))
				return false;
			buffer_add_cstr(&client->line, "{}");
		} else if (!take_literal(client, octets)) {
			return false;
		}
		if (!read_text(client))
			return false;
	}
	return true;
}
