/* imapd/acl_priv.h - rights on the wire. */
#pragma once

#include "imapd/session_priv.h"

/* "* MYRIGHTS name lrs" CRLF */
void respond_myrights(struct imap_session *s, struct slice name, unsigned rights);
