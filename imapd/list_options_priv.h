/* imapd/list_options_priv.h - the arguments of LIST. */
#pragma once

#include "imapd/metadata_priv.h"
#include "imapd/session_priv.h"

enum { LIST_PATTERNS_MAX = 32 /* what is beyond is ignored, as RFC 9051 section 6.3.9 allows */ };

struct list_options {
	bool is_extended;
	struct slice patterns[LIST_PATTERNS_MAX];
	size_t pattern_count;
	bool has_percent; /* LSUB: a pattern with "%" shows superiors */
	/* selection options */
	bool only_subscribed, only_special_use, recursive;
	/* return options */
	bool tells_subscribed, tells_rights;
	unsigned status_items;
	struct entry_list metadata; /* RFC 9590 */
};

/* "(" list-select-opts ")" */
bool take_selection_options(struct cursor *at, struct list_options *options);
/* "RETURN" SP "(" [return-option *(SP return-option)] ")" */
bool take_return_options(struct cursor *at, struct arena *arena, struct list_options *options);
/* list-mailbox / patterns. `*is_empty_out`: one without a letter, which asks for the separator. */
bool take_list_patterns(struct imap_session *s, struct cursor *c, struct slice reference,
			struct list_options *options, bool *is_empty_out);
/* The reference and the pattern make the canonical pattern, in the store's form. What cannot
 * be a name of ours matches nothing. */
void list_options_add_pattern(struct imap_session *s, struct list_options *options,
			      struct slice reference, struct slice pattern);
