/* imapd/section_range_priv.h - which octets of a message a section means: BODY[1.HEADER]<0.1000>.
 * RFC 9051 section 6.4.5.1; the grammar is in grammar_priv.h. */
#pragma once

#include "imapd/grammar_priv.h"
#include "mail/mime.h"

/* "[1.HEADER.FIELDS (DATE)]", as an answer names it; `utf8` as in respond_priv.h. */
void section_render(struct buffer *out, const struct section *section, bool utf8);

struct octet_range {
	uint64_t start, end; /* start <= end */
};
/* Where the section lies in the stored message, before its fields are filtered and a partial
 * taken. False where the message has no such section: an answer says NIL.
 *
 * `root`      may be NULL where section_needs_structure() says no.
 * `part_out`  the part whose content SECTION_WHOLE means, or whose header the others do; NULL
 *             for the whole message. */
bool section_resolve(const struct section *section, const struct mime_part *root,
		     uint64_t size_octets, struct octet_range *range_out,
		     const struct mime_part **part_out);
/* False only for the whole message. */
bool section_needs_structure(const struct section *section);
/* The octets of `range` that the partial asks for; it may be NULL: all. */
struct octet_range section_clip(const struct partial *partial, struct octet_range range);
/* Appends those fields of `header` that HEADER.FIELDS or HEADER.FIELDS.NOT selects, then an
 * empty line if the header ends with one or `has_body` says that something follows it. */
void section_filter_fields(const struct section *section, struct slice header, bool has_body,
			   struct buffer *out);
