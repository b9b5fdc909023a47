/* admin/imap_client.h - a connection to an IMAP server (RFC 9051, RFC 3501), for copying mail out
 * of it: commands go out, responses come in one by one.
 *
 * It waits: every call runs the loop until it has what it is for. When the connection breaks,
 * every call returns false and imap_client_problem() says why. One thread. */
#pragma once

#include "base/attributes.h"
#include "runtime/loop.h"
#include "runtime/tls.h"

struct imap_client;

struct imap_client_options {
	const char *host;
	uint16_t port;
	struct tls_context *tls; /* held */
	bool tls_at_once;	 /* else by STARTTLS */
};
/* NULL: `why_out` says so. The greeting was read, and the connection is under TLS unless the
 * server is this machine and offers none. */
struct imap_client *imap_client_open(struct loop *loop, const struct imap_client_options *options,
				     const char **why_out);
/* The loop has to run once more afterwards. Accepts NULL, leaves NULL. */
void imap_client_close(struct imap_client **client);
const char *imap_client_problem(const struct imap_client *client);
/* Of the server's last CAPABILITY. */
bool imap_client_can(const struct imap_client *client, const char *capability);
bool imap_client_login(struct imap_client *client, struct slice user, struct slice password);

/* Queues a command, without tag and line end; returns its tag's number. */
unsigned imap_client_send(struct imap_client *client, const char *format, ...) PRINTF_LIKE(2, 3);

/* A response's line, literals as quoted strings in their place. The content of a message
 * (BODY[] of FETCH) is not in it, but given in pieces while it comes. */
struct imap_events {
	/* `prefix` is the line up to the content, which has so many octets. */
	void (*content_begin)(void *user, struct slice prefix, uint64_t octets);
	void (*content)(void *user, struct slice octets);
	/* A whole untagged response, without "* ". */
	void (*untagged)(void *user, struct slice line);
};
enum imap_outcome { IMAP_OK, IMAP_NO, IMAP_BAD, IMAP_BROKEN };
/* Reads until the command of that tag has its answer. `events` may be NULL. What the server said
 * with it is imap_client_text(). */
enum imap_outcome imap_client_wait(struct imap_client *client, unsigned tag,
				   const struct imap_events *events, void *user);
struct slice imap_client_text(const struct imap_client *client);
