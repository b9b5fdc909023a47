/* imapd/fetch_section.c - the octets of a section in a FETCH response: BODY[...] and its forms.
 *
 * RFC 9051 sections 6.4.5.1 and 7.5.2; the RFC822 items of RFC 3501 section 7.4.2. Damage that shows
 * in the first piece takes the item back; later the length has been promised, and only the end
 * of the connection is honest. NUL, which no literal may hold, leaves as 0x80. Runs in the back. */
#include "imapd/fetch_answering_priv.h"

enum { NUL_ON_THE_WIRE = 0x80 };

static void mask_nuls(struct buffer *out, size_t from)
{
	while (from < out->len) {
		uint8_t *nul = memchr(out->data + from, '\0', out->len - from);
		if (!nul)
			return;
		*nul = NUL_ON_THE_WIRE;
		from = (size_t)(nul - out->data) + 1;
	}
}

/* How often an octet is copied: a body that is the only one asked for is decoded out of the map right into
 * the slice's buffer (of a chunk with base64 in it text and decoded octets lie apart for a moment, and
 * are joined there); one among several goes by the chunk that they share. From that buffer the kernel
 * takes it into the socket pair: it is exchanged or handed over on its way there, never copied. */
static enum err read_range(struct answering *a, uint64_t offset, uint64_t octets)
{
	if (a->answer->items->body_count == 1)
		return blob_read(a->slice->read, a->answer->entry.blob_id, offset, octets, a->out);
	return a->answer->blob.source.read(&a->answer->blob.source, offset, octets, a->out);
}

/* Sends what is left of the range. The first piece stands behind its own literal header, so
 * that both can still be taken back. */
static enum answer_progress send_range(struct answering *a, bool is_first)
{
	struct octet_range *range = &a->answer->range;

	while (range->start < range->end) {
		uint64_t want = content_piece_octets(*range);
		size_t from = a->out->len;
		enum err err = read_range(a, range->start, want);
		if (err == ERR_OK && a->out->len - from != want)
			err = ERR_DAMAGED;
		if (err != ERR_OK) {
			a->out->len = from;
			return is_first ? answer_leave_out(a, answer_trouble_of(err))
					: ANSWER_BROKEN;
		}
		mask_nuls(a->out, from);
		range->start += want;
		a->slice->spent += want;
		is_first = false;
		if (range->start < range->end && answer_slice_is_over(a->slice))
			return ANSWER_PAUSED;
	}
	a->answer->body = BODY_IDLE;
	return ANSWER_COMPLETE;
}

enum err answer_read_header(struct answering *a, struct octet_range range)
{
	struct fetch_answer *answer = a->answer;
	uint64_t octets = range.end - range.start;
	if (octets > CONTENT_HEADER_MAX_OCTETS)
		octets = CONTENT_HEADER_MAX_OCTETS;
	buffer_clear(&answer->scratch);
	a->slice->spent += octets;
	enum err err = answer->blob.source.read(&answer->blob.source, range.start, octets,
						&answer->scratch);
	return err == ERR_OK && answer->scratch.len != octets ? ERR_DAMAGED : err;
}

/* HEADER.FIELDS and HEADER.FIELDS.NOT */
static enum answer_progress put_fields(struct answering *a, struct octet_range range, bool has_body)
{
	struct fetch_answer *answer = a->answer;
	struct buffer fields = { 0 };
	enum err err = answer_read_header(a, range);
	if (err != ERR_OK)
		return answer_leave_out(a, answer_trouble_of(err));

	section_filter_fields(&a->item->section, buffer_slice(&answer->scratch), has_body, &fields);
	struct octet_range clipped = answer_clip(a, (struct octet_range){ 0, fields.len });
	answer_put_name(a);
	respond_literal_header(a->out, clipped.end - clipped.start);
	size_t from = a->out->len;
	buffer_add(a->out,
		   slice_sub(buffer_slice(&fields), clipped.start, clipped.end - clipped.start));
	mask_nuls(a->out, from);
	buffer_free(&fields);
	return ANSWER_COMPLETE;
}

enum answer_progress answer_put_section(struct answering *a)
{
	struct fetch_answer *answer = a->answer;
	const struct section *section = &a->item->section;
	const struct mime_part *part;
	struct octet_range range;
	enum err err;

	if (answer->body == BODY_RANGE)
		return send_range(a, false);
	if (section_needs_structure(section) && (err = answer_load_structure(a)) != ERR_OK)
		return answer_leave_out(a, answer_trouble_of(err));
	if (!section_resolve(section, answer->root, answer->entry.size_octets, &range, &part))
		return answer_put_nil(a);
	if (section->text == SECTION_HEADER_FIELDS || section->text == SECTION_HEADER_FIELDS_NOT)
		return put_fields(a, range, part->body_end > part->body_start);

	answer->range = answer_clip(a, range);
	answer->body = BODY_RANGE;
	answer_put_name(a);
	respond_literal_header(a->out, answer->range.end - answer->range.start);
	return send_range(a, true);
}
