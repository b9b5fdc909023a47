/* mail/digest.h - what a client asks without the body, as one record: the envelope, the
 * structure with the offsets of every part. Made at arrival, stored beside the blob.
 *
 * A version octet, then the envelope, then the structure, so that who wants the envelope
 * reads only that. Records that an older Bode wrote are read as well: their envelope knows no
 * references. Decoding trusts nothing: false where the record is damaged. Decoded
 * slices point into the record; arrays are in the arena. Any thread. */
#pragma once

#include "base/buffer.h"
#include "base/cursor.h"
#include "mail/mime.h"

/* Appends the record of a structure that the parser made. */
void digest_encode(const struct mime_part *root, struct buffer *record);
/* Whether a record, of whatever version, is that of this structure. */
bool digest_is_of(struct slice record, const struct mime_part *root);
bool digest_decode_envelope(struct slice record, struct arena *arena,
			    struct mime_envelope *envelope_out);
/* Of it only date, subject, in_reply_to, message_id, references and more: what most searches
 * need. */
bool digest_decode_texts(struct slice record, struct mime_envelope *envelope_out);
/* Or the addresses of one field alone, which stay as they are until each is taken; no address is an empty
 * list. */
enum digest_field { DIGEST_FROM, DIGEST_TO, DIGEST_CC, DIGEST_BCC };
bool digest_find_addresses(struct slice record, enum digest_field field, struct slice *list_out);
bool digest_take_address(struct cursor *list, struct header_address *address_out);
/* The envelope of a message inside, as structure_text.h tells it. */
bool digest_decode_inner_envelope(struct slice octets, struct arena *arena,
				  struct mime_envelope *envelope_out);
/* The tree with the envelopes of messages inside, but without the message's own. */
bool digest_decode_structure(struct slice record, struct arena *arena, struct mime_part **root_out);
/* The whole tree, its envelopes included. */
bool digest_decode(struct slice record, struct arena *arena, struct mime_part **root_out);
