/* imapd/content_priv.h - the octets of one stored message, in pieces, with the transfer
 * encoding of a part removed. FETCH BINARY sends them, SEARCH looks into them. Any thread. */
#pragma once

#include "base/buffer.h"
#include "imapd/section_range_priv.h"
#include "mail/text.h"
#include "storage/blob.h"

/* Where a message's octets come from: the store, or in tests a slice. */
struct content_source {
	/* Appends `len` octets from `offset` on; fewer, at the end of the message, or with an
	 * error. */
	enum err (*read)(struct content_source *source, uint64_t offset, uint64_t len,
			 struct buffer *out);
	/* The digest's record (mail/digest.h), in `arena`. */
	enum err (*digest)(struct content_source *source, struct arena *arena,
			   struct slice *record_out);
	/* The same where it stands, until the next call, and perhaps damaged: blob_digest_glance(). */
	bool (*digest_glance)(struct content_source *source, struct slice *record_out);
};
/* A blob. Keeps the chunk that was read in part last, or its beginning, since the parts and headers of
 * a small message all lie in one. Zero-initialised; content_blob_set() before each use. */
struct content_blob {
	struct content_source source;
	struct read *read;
	uint64_t blob_id;
	struct buffer chunk;
	uint64_t chunk_start;
	bool has_chunk, chunk_is_whole;
};
void content_blob_set(struct content_blob *blob, struct read *read, uint64_t blob_id);
void content_blob_fini(struct content_blob *blob);

/* How much of `range` one read should ask for: up to the end of a chunk of the store, so that
 * no chunk is decompressed twice. */
uint64_t content_piece_octets(struct octet_range range);

/* How much of a header is read when its fields are asked for: one that is larger was made to be
 * a burden, and is known by its first part. */
enum { CONTENT_HEADER_MAX_OCTETS = 8 * 1024 * 1024 };

/* False for a Content-Transfer-Encoding that nobody here can undo (RFC 3516 UNKNOWN-CTE). */
bool content_encoding_is_known(struct slice encoding);
/* The charset parameter of a text part; "us-ascii" where it has none. */
struct slice content_charset(const struct mime_part *part);

/* A part's content being decoded. Owns its buffers, which serve for one part after another.
 * Zero-initialised: none. */
struct content {
	struct octet_range left;	  /* still to be read, encoded */
	struct transfer_decoder *decoder; /* NULL: identity */
	bool is_line_text; /* what was decoded has its line ends made CRLF (RFC 9051 7.5.2) */
	bool is_over;
	uint8_t last; /* octet decoded */
	struct buffer encoded, decoded, piece;
};
/* `part` NULL: the octets of the range as they are. */
void content_begin(struct content *content, const struct mime_part *part, struct octet_range range);
/* The next piece, which lives until the next call; empty at the end, and only there.
 * *read_out (may be NULL) grows by the octets read from the source. */
enum err content_next(struct content *content, struct content_source *source,
		      struct slice *piece_out, uint64_t *read_octets) MUST_USE;
/* Where the content is not read to its end, too; content_begin() may follow. */
void content_end(struct content *content);
void content_fini(struct content *content);
