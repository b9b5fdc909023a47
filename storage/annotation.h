/* storage/annotation.h - what clients note about a mailbox or about their account (RFC 5464).
 *
 * A name is a path in small letters, "/private/comment". Annotations follow their mailbox when it
 * is renamed and go with it. Reads on any thread; writes in a job. */
#pragma once

#include "storage/store.h"

enum {
	ANNOTATION_NAME_MAX_OCTETS = 255,
	ANNOTATION_VALUE_MAX_OCTETS = 16 * 1024,
	ANNOTATIONS_MAX = 100,			  /* of one mailbox, or of the account itself */
	ANNOTATIONS_MAX_OCTETS = 2 * 1024 * 1024, /* of an account with all its mailboxes */
};

struct annotation {
	struct slice name, value; /* in the map */
};
/* In order of name, those after `after` (empty to start). `mailbox_id` 0: the account's own. False
 * at the end. */
bool annotation_next(struct read *read, uint32_t account_id, uint64_t mailbox_id,
		     struct slice after, struct annotation *annotation_out);
/* ERR_NOT_FOUND. */
enum err annotation_get(struct read *read, uint32_t account_id, uint64_t mailbox_id,
			struct slice name, struct slice *value_out) MUST_USE;
/* `value.ptr` NULL removes it. ERR_GONE: no such mailbox of that account. ERR_LIMIT: too many, or
 * too much in all. ERR_BAD_INPUT: the name or the value is too long. */
enum err annotation_set(struct write *write, uint32_t account_id, uint64_t mailbox_id,
			struct slice name, struct slice value) MUST_USE;
