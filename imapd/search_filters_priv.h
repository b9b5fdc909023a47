/* imapd/search_filters_priv.h - the named searches of a session's account (RFC 5466). */
#pragma once

#include "imapd/search_keys_priv.h"
#include "imapd/session_priv.h"

struct account_filters {
	struct search_filters filters;
	struct imap_session *s;
};
struct account_filters account_filters_of(struct imap_session *s);
