/* imapd/login_priv.h - the core of a login, for a test or a fuzzer to drive. In the front. */
#pragma once

#include "runtime/front.h"
#include "runtime/session.h"

/* `stream` may be NULL: a local peer without TLS. */
struct session *imap_login_new(struct front *front, struct stream *stream);
