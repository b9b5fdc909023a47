/* storage/digest_record_priv.h - the records of digests (mail/digest.h): compressed and back. */
#pragma once

#include "storage/store_priv.h"

/* Appends the record of a digest with the text of its structure (mail/structure_text.h) and the
 * size of its message, on the caller's thread. */
void digest_compress(struct store *store, struct slice raw, struct slice structure_text,
		     uint64_t size_octets, struct buffer *record);
/* False: damaged. */
bool digest_size(struct slice record, uint64_t *size_octets_out) MUST_USE;
/* A slice of the record; ptr NULL: an older Bode wrote it. False: damaged. */
bool digest_structure_text(struct slice record, struct slice *text_out) MUST_USE;
/* A slice of the record, which nobody has compared with its checksum; false: the digest does not stand in
 * the clear, or is seen to be damaged. */
bool digest_glance(struct slice record, struct slice *raw_out) MUST_USE;
bool digest_decompress(struct read *read, struct slice record, struct arena *arena,
		       struct slice *raw_out) MUST_USE;
