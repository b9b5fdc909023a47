/* admin/imap_server.h - which IMAP server an import comes from, and whose mail, as its URL says:
 *
 *     imaps://alice@mail.example.org/   TLS from the start, port 993
 *     imap://alice@mail.example.org/    STARTTLS, port 143; without TLS only on this machine
 *
 * A user's name with an '@' in it may stand as it is or as %40. */
#pragma once

#include "base/arena.h"

struct imap_server {
	const char *host, *user; /* neither is empty */
	uint16_t port;
	bool tls_at_once;
};

/* Whether it begins as such a URL does. */
bool imap_server_is_url(const char *text);
/* Of one that does; strings live in `arena`. False: the rest is none. */
bool imap_server_parse(const char *url, struct arena *arena, struct imap_server *server_out);
