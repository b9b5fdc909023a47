/* admin/delivery.h - a message filed from the admin's process, right into the store. One thread; each
 * call waits until it is done. */
#pragma once

#include "admin/admin_priv.h"
#include "mda/filing.h"

struct delivery;

/* Starts the store's writer. `service` is the journal's word for where the message came from. */
struct delivery *delivery_new(struct admin *admin, struct slice service, struct slice reverse_path);
/* Errors as filing_add_recipient(). */
enum err delivery_add(struct delivery *delivery, struct slice forward_path) MUST_USE;
/* Return-Path and Received (RFC 5321 section 4.4); before the message. */
void delivery_feed_trace(struct delivery *delivery, struct slice forward_path);
void delivery_feed(struct delivery *delivery, struct slice octets);
/* ERR_OK: on disk; a server that runs has been told. */
enum err delivery_commit(struct delivery *delivery) MUST_USE;
/* Closes the store as well. Accepts NULL, leaves NULL. */
void delivery_free(struct delivery **delivery);
