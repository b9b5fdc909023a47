/* admin/imap_client_priv.h - a connection to an IMAP server inside: imap_client.c says what we say,
 * imap_response.c reads what comes. */
#pragma once

#include "admin/imap_client.h"
#include "runtime/stream.h"

enum { IMAP_TURN_MS = 1000 };

struct imap_client {
	struct loop *loop;
	struct stream *stream;
	struct tls_context *tls;
	char *host;
	struct buffer in; /* from in_at on */
	size_t in_at;
	struct buffer line;  /* the response being read */
	struct buffer piece; /* of a content, while it is taken */
	struct buffer capabilities, text;
	unsigned last_tag;
	bool is_paused, is_over, is_secured, went_on;
	char problem[256];
};

/* The connection is of no more use; what was said first stays. */
void imap_client_fail(struct imap_client *client, const char *what);

/* imap_response.c: the stream's input. */
void imap_response_feed(struct stream *stream, struct cursor *in);
/* Waits for a whole response, which is client->line then; its content goes to `events`, which may
 * be NULL. False: the connection is over. */
bool imap_response_read(struct imap_client *client, const struct imap_events *events, void *user);
/* Drops what has come and is not read. */
void imap_response_forget(struct imap_client *client);
