/* admin/delivery.h - a message filed from the admin's process, right into the store. One thread; each
 * call waits until it is done. */
#pragma once

#include "admin/admin_priv.h"
#include "base/err.h"

struct delivery;

/* Starts the store's writer. `service` is the journal's word for where the message came from. `author`
 * is who stands in for a From that is missing: a program of this machine sends it, so it may go
 * anywhere, and its header is completed; empty: it is for recipients here, and stays as it is. */
struct delivery *delivery_new(struct admin *admin, struct slice service, struct slice reverse_path,
			      struct slice author);
/* A recipient, or who gets it if nobody has that address (empty: nobody). Errors as
 * filing_add_recipient(). */
enum err delivery_add(struct delivery *delivery, struct slice forward_path,
		      struct slice fallback) MUST_USE;
/* With CRLF; what is wrong with it the commit says. */
void delivery_feed(struct delivery *delivery, struct slice octets);
/* ERR_OK: on disk; a server that runs has been told. Errors as local_message_feed() and the filing's. */
enum err delivery_commit(struct delivery *delivery) MUST_USE;
/* Closes the store as well. Accepts NULL, leaves NULL. */
void delivery_free(struct delivery **delivery);
