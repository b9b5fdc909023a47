/* imapd/search_match_priv.h - whether one message matches a search. Any thread, one at a time. */
#pragma once

#include "imapd/content_priv.h"
#include "imapd/search_keys_priv.h"
#include "imapd/thread_id_priv.h"
#include "storage/message.h"

/* What is known of the message under way, and buffers that serve one after another. */
struct matcher {
	const struct search_program *program;
	const struct message_entry *entry;
	struct content_source *source;
	uint64_t spent; /* grows; in octets, as in fetch_answer_priv.h */

	struct arena arena; /* of one message */
	bool has_envelope, has_envelope_texts, has_structure, has_header, has_texts;
	struct slice record; /* the digest's, in the arena; ptr NULL: not read yet */
	struct mime_envelope envelope;
	struct mime_part *root;
	struct buffer header; /* of the root, raw */
	/* BODY and TEXT keys, all found in one look at the message. */
	bool found[SEARCH_STRINGS_MAX];
	size_t left_to_find;
	/* What two neighbouring pieces of text share: an octet less than the longest needle. */
	size_t overlap_octets;

	struct content content;		 /* of the part under way */
	struct buffer raw, utf8, window; /* text on its way: octets, decoded, folded */
};

void matcher_init(struct matcher *matcher, const struct search_program *program);
/* ERR_GONE, ERR_DAMAGED, ...: it cannot be told. */
enum err matcher_match(struct matcher *matcher, const struct message_entry *entry,
		       struct content_source *source, bool *matches_out) MUST_USE;
/* Of the message that was looked at last; they live until the next. */
enum err matcher_envelope(struct matcher *matcher,
			  const struct mime_envelope **envelope_out) MUST_USE;
enum err matcher_thread_fields(struct matcher *matcher, struct thread_fields *fields_out) MUST_USE;
void matcher_fini(struct matcher *matcher);
