/* admin/imap_list.h - the mailboxes of a user on an IMAP server: names, special uses (RFC 6154),
 * subscriptions, and which are others' (RFC 2342). One thread. */
#pragma once

#include "admin/imap_client.h"
#include "storage/mailbox.h"

struct imap_mailbox {
	struct imap_mailbox *next;
	struct slice name; /* as the server spells it */
	uint8_t delimiter; /* 0: none */
	enum special_use use;
	bool is_subscribed, is_no_mailbox;
};

struct imap_list;
/* Asks the server. NULL: it refused, or the connection broke (imap_client_problem()). */
struct imap_list *imap_list_ask(struct imap_client *client);
/* The first mailbox; the others by ->next. */
const struct imap_mailbox *imap_list_first(const struct imap_list *list);
/* Adds the mailbox's name as it is here. False: it is another user's or shared. */
bool imap_list_name_here(const struct imap_list *list, const struct imap_mailbox *mailbox,
			 struct buffer *out);
/* Accepts NULL, leaves NULL. */
void imap_list_free(struct imap_list **list);
