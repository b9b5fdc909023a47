/* imapd/content.c - the octets of one stored message, in pieces of at most a chunk: memory
 * stays flat whatever the message's size.
 *
 * RFC 2045 section 6 for the encodings; RFC 9051 section 7.5.2 (BINARY) for the line ends of
 * text. Runs in the back. */
#include "imapd/content_priv.h"

#include "mail/charset.h"

/* At least `need_octets` of it, if it has so many. Who looks into a chunk for the texts before an
 * attachment never has that decoded; who wants more of it later gets all. */
static enum err load_chunk(struct content_blob *blob, uint64_t chunk_start, uint64_t need_octets)
{
	bool has_some = blob->has_chunk && blob->chunk_start == chunk_start;
	if (has_some && (blob->chunk_is_whole || blob->chunk.len >= need_octets))
		return ERR_OK;
	blob->chunk_is_whole = has_some;
	buffer_clear(&blob->chunk);
	blob->chunk_start = chunk_start;
	enum err err = blob_read_beginning(
		blob->read, blob->blob_id, (uint32_t)(chunk_start / BLOB_CHUNK_OCTETS),
		has_some ? BLOB_CHUNK_OCTETS : need_octets, &blob->chunk);
	blob->has_chunk = err == ERR_OK;
	return err;
}

static enum err blob_source_read(struct content_source *source, uint64_t offset, uint64_t len,
				 struct buffer *out)
{
	struct content_blob *blob = CONTAINER_OF(source, struct content_blob, source);
	struct octet_range range = { offset, offset + len };

	while (range.start < range.end) {
		uint64_t want = content_piece_octets(range);
		uint64_t into = range.start % BLOB_CHUNK_OCTETS;
		enum err err;
		if (want == BLOB_CHUNK_OCTETS)
			err = blob_read(blob->read, blob->blob_id, range.start, want, out);
		else
			err = load_chunk(blob, range.start - into, into + want);
		if (err != ERR_OK)
			return err;
		if (want < BLOB_CHUNK_OCTETS)
			buffer_add(out, slice_sub(buffer_slice(&blob->chunk), into, want));
		range.start += want;
	}
	return ERR_OK;
}

static enum err blob_source_digest(struct content_source *source, struct arena *arena,
				   struct slice *record_out)
{
	struct content_blob *blob = CONTAINER_OF(source, struct content_blob, source);
	return blob_digest(blob->read, blob->blob_id, arena, record_out);
}

static bool blob_source_glance(struct content_source *source, struct slice *record_out)
{
	struct content_blob *blob = CONTAINER_OF(source, struct content_blob, source);
	return blob_digest_glance(blob->read, blob->blob_id, record_out);
}

void content_blob_set(struct content_blob *blob, struct read *read, uint64_t blob_id)
{
	if (blob->blob_id != blob_id)
		blob->has_chunk = false;
	blob->source =
		(struct content_source){ blob_source_read, blob_source_digest, blob_source_glance };
	blob->read = read;
	blob->blob_id = blob_id;
}

void content_blob_fini(struct content_blob *blob)
{
	buffer_free(&blob->chunk);
	blob->has_chunk = false;
}

uint64_t content_piece_octets(struct octet_range range)
{
	uint64_t to_chunk_end = BLOB_CHUNK_OCTETS - range.start % BLOB_CHUNK_OCTETS;
	uint64_t left = range.end - range.start;
	return left < to_chunk_end ? left : to_chunk_end;
}

bool content_encoding_is_known(struct slice encoding)
{
	static const char *const known[] = { "7bit", "8bit", "binary", "base64",
					     "quoted-printable" };
	if (encoding.len == 0)
		return true;
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (slice_eq_nocase(encoding, slice_cstr(known[i])))
			return true;
	return false;
}

struct slice content_charset(const struct mime_part *part)
{
	for (size_t i = 0; i < part->parameter_count; i++)
		if (slice_eq_nocase(part->parameters[i].name, SLICE("charset")))
			return part->parameters[i].value;
	return SLICE("us-ascii");
}

void content_begin(struct content *content, const struct mime_part *part, struct octet_range range)
{
	*content = (struct content){ .left = range,
				     .encoded = content->encoded,
				     .decoded = content->decoded,
				     .piece = content->piece };
	if (!part || part->first_child)
		return; /* composite types may not be encoded (RFC 2045 section 6.4) */
	enum transfer_encoding encoding = transfer_encoding_of(part->encoding);
	if (encoding == ENCODING_IDENTITY)
		return;
	content->decoder = transfer_decoder_new(encoding);
	content->is_line_text = slice_eq_nocase(part->type, SLICE("text")) &&
				!charset_is_wide(content_charset(part));
}

/* A bare LF becomes CRLF. */
static void add_line_text(struct content *content, struct slice text)
{
	size_t from = 0;
	while (from < text.len) {
		size_t at = slice_find_byte(text, from, '\n');
		uint8_t before = at > 0 ? text.ptr[at - 1] : content->last;
		buffer_add(&content->piece, slice_sub(text, from, at - from));
		if (at == text.len)
			break;
		buffer_add(&content->piece, before == '\r' ? SLICE("\n") : SLICE("\r\n"));
		from = at + 1;
	}
	if (text.len)
		content->last = text.ptr[text.len - 1];
}

/* Reads one piece of the source, decodes it; the result, perhaps empty, is in *piece_out. */
static enum err content_step(struct content *content, struct content_source *source,
			     struct slice *piece_out)
{
	uint64_t want = content_piece_octets(content->left);
	enum err err;

	buffer_clear(&content->encoded);
	if ((err = source->read(source, content->left.start, want, &content->encoded)) != ERR_OK)
		return err;
	if (content->encoded.len != want)
		return ERR_DAMAGED;
	content->left.start += want;
	content->is_over = content->left.start == content->left.end;
	*piece_out = buffer_slice(&content->encoded);
	if (!content->decoder)
		return ERR_OK;
	buffer_clear(&content->decoded);
	transfer_decode(content->decoder, *piece_out, &content->decoded);
	if (content->is_over)
		transfer_decoder_finish(&content->decoder, &content->decoded);
	*piece_out = buffer_slice(&content->decoded);
	if (!content->is_line_text)
		return ERR_OK;
	buffer_clear(&content->piece);
	add_line_text(content, *piece_out);
	*piece_out = buffer_slice(&content->piece);
	return ERR_OK;
}

enum err content_next(struct content *content, struct content_source *source,
		      struct slice *piece_out, uint64_t *read_octets)
{
	enum err err = ERR_OK;
	*piece_out = SLICE_NONE;
	while (err == ERR_OK && piece_out->len == 0 && content->left.start < content->left.end) {
		uint64_t before = content->left.start;
		err = content_step(content, source, piece_out);
		if (read_octets)
			*read_octets += content->left.start - before;
	}
	return err;
}

void content_end(struct content *content)
{
	buffer_clear(&content->decoded);
	transfer_decoder_finish(&content->decoder, &content->decoded);
}

void content_fini(struct content *content)
{
	content_end(content);
	buffer_free(&content->encoded);
	buffer_free(&content->decoded);
	buffer_free(&content->piece);
}
