/* admin/sendmail_priv.h - a message that a program of this machine sends, and the two ways for it.
 * One thread; all waits. */
#pragma once

#include "admin/admin_priv.h"
#include "base/buffer.h"
#include "base/cursor.h"

/* One recipient, and what became of the message for it. */
struct outgoing_recipient {
	struct slice path;     /* "local@domain" as SMTP writes it */
	struct slice fallback; /* who gets it if nobody has that address; empty: nobody */
	int status;	       /* of sysexits.h; EX_OK: it is to be sent, and then: it is on disk */
};

struct outgoing {
	struct admin *admin;
	struct slice reverse_path; /* without angle brackets; empty: the null sender */
	struct outgoing_recipient *recipients;
	size_t recipient_count, recipient_cap;
};

/* Adds the one of a forward path of SMTP, "<name>" without a domain as well. False, and nothing taken:
 * it is none. */
bool outgoing_add_path(struct outgoing *outgoing, struct cursor *path);
/* Who stands in for a From that is missing. */
struct slice outgoing_author(const struct outgoing *outgoing);
/* Sends `text`, lines ended by LF or CRLF, on its way: what its header lacks is added. Sets each
 * recipient's status, says what went wrong, and returns the worst. */
int outgoing_send(struct outgoing *outgoing, struct slice text);
void outgoing_reset(struct outgoing *outgoing);

/* The ways, for each recipient whose status is EX_OK: `message` has CRLF; its header is completed on them,
 * as that of all submitted mail is. Right into the store, for who owns it: */
bool sendmail_may_store(struct admin *admin);
void sendmail_by_store(struct outgoing *outgoing, struct slice message);
/* Or to the running server, over the socket of [listen] sendmail. */
void sendmail_by_socket(struct outgoing *outgoing, struct slice message);
/* Says what the outcome of a recipient means, unless it is ERR_OK. */
void sendmail_tell(struct outgoing_recipient *recipient, enum err outcome);
/* "sendmail: ..." on standard error; sets the status. */
void sendmail_refused(struct outgoing_recipient *recipient, int status, const char *format, ...)
	PRINTF_LIKE(3, 4);
/* Likewise of all whose status is EX_OK. */
void sendmail_refuse_all(struct outgoing *outgoing, int status, const char *why);

/* -bs: SMTP on standard input and output (RFC 5321), without extensions. */
int sendmail_dialog(struct outgoing *outgoing, uint64_t size_max_octets);
