/* imapd/url_priv.h - IMAP URLs that name a message, or a part of one, of this server (RFC 5092),
 * as CATENATE takes them: relative ones. */
#pragma once

#include "imapd/grammar_priv.h"

struct imap_url {
	struct slice mailbox; /* the store's form, in the arena */
	uint32_t uidvalidity; /* 0: any */
	uint32_t uid;
	struct section section; /* SECTION_WHOLE without parts where it names none */
	bool has_partial;
	struct partial partial; /* count: UINT64_MAX where it goes to the end */
};
/* `selected` is the selected mailbox, which the URL may be relative to; ptr NULL: none. False: not
 * such a URL. */
bool imap_url_parse(struct slice text, struct slice selected, struct arena *arena,
		    struct imap_url *url_out);
