/* imapd/fetch_items_priv.h - what a FETCH asks for: the list of its data items. */
#pragma once

#include "imapd/grammar_priv.h"
#include "imapd/search_options_priv.h"

enum fetch_kind {
	FETCH_UID,
	FETCH_FLAGS,
	FETCH_INTERNALDATE,
	FETCH_SIZE,
	FETCH_MODSEQ,
	FETCH_SAVEDATE,
	FETCH_EMAILID,
	FETCH_THREADID,
	FETCH_PREVIEW,
	FETCH_ENVELOPE,
	FETCH_BODY,
	FETCH_BODYSTRUCTURE,
	FETCH_SECTION, /* BODY[...] and the RFC822 forms of RFC 3501 */
	FETCH_BINARY,
	FETCH_BINARY_SIZE,
};

struct fetch_item {
	enum fetch_kind kind;
	const char *name;   /* as the answer begins: "BODY", "RFC822.HEADER" */
	bool names_section; /* the answer goes on with the section */
	struct section section;
	bool is_partial;
	struct partial partial;
};

struct fetch_items {
	struct fetch_item *items;
	size_t count;
	bool has_flags, has_uid, has_modseq;
	bool needs_envelope; /* of the digest, only that */
	bool needs_structure;
	bool sets_seen;
	size_t body_count; /* items that read the blob itself */

	/* fetch-modifiers */
	bool has_changed_since, wants_vanished; /* RFC 7162 sections 3.1.4.1 and 3.2.6 */
	uint64_t changed_since;
	bool has_partial; /* RFC 9394 section 3.3 */
	struct partial_range partial;
};

/* "ALL" / "FULL" / "FAST" / fetch-att / "(" fetch-att *(SP fetch-att) ")" and the modifiers
 * behind it (RFC 4466 section 2.4), up to the end of the command. In the `uid` form UID is always among the items (RFC 9051 section 6.4.9). An
 * item without an argument that is asked for twice is answered once. */
bool take_fetch_items(struct cursor *c, struct arena *arena, bool uid,
		      struct fetch_items *items_out);
/* "(" fetch-att *(SP fetch-att) ")", for messages that come by themselves (RFC 5465): with UID, and
 * no \Seen is set. */
bool take_fetch_list(struct cursor *c, struct arena *arena, struct fetch_items *items_out);
/* Adds those of `more` that are not there yet. Both live on; what is new is in `arena`. */
void fetch_items_join(struct fetch_items *items, const struct fetch_items *more,
		      struct arena *arena);
/* Likewise MODSEQ. */
void fetch_items_add_modseq(struct fetch_items *items, struct arena *arena);
