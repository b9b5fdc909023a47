/* mda/destination.h - where a message goes in the end: accounts here and addresses elsewhere, each
 * once. Runs in the back and in the admin's process. */
#pragma once

#include "base/arena.h"

struct remote_destination {
	/* "local@domain" as SMTP writes it (mail/address.h, address_format()): the domain in its
	 * normal form, the local part as it was given, since its case is the other host's affair. */
	struct slice address;
	/* Which of the message's recipients led there first: the number of the call of
	 * recipient_resolve() that found it, from 0. */
	size_t recipient;
	/* The recipient that stands for it, an address of ours, as it was asked for: who sends the
	 * message on notes it as "Delivered-To:", so that a loop is seen when it comes back. Empty:
	 * the address is the recipient itself. */
	struct slice via;
	/* The owner of the list that it leaves by: the reverse-path from there on (RFC 5321 section
	 * 3.9.2). Empty: the sender's stays. */
	struct slice owner;
};

/* Zero-initialise. All of it lives in the arena that it was given. */
struct destinations {
	uint32_t *account_ids; /* ascending */
	/* Of each account, which of the message's recipients led there first, as below. */
	size_t *account_recipients;
	size_t account_count, account_cap;
	struct remote_destination *remotes; /* as they were found */
	size_t remote_count, remote_cap;
	size_t recipient_count; /* that were added */
	/* One of them leads to somebody who is no member of a list that has an owner. */
	bool leads_past_lists;
};

void destinations_add_account(struct destinations *found, struct arena *arena, uint32_t account_id);
/* Copies the address; its number in `remotes`. Two are the same where their local parts are, octet
 * for octet. */
size_t destinations_add_remote(struct destinations *found, struct arena *arena,
			       const struct remote_destination *remote);
/* Its number in `account_ids`, or SIZE_MAX. */
size_t destinations_find_account(const struct destinations *found, uint32_t account_id);
bool destinations_have_account(const struct destinations *found, uint32_t account_id);
