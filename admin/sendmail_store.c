/* admin/sendmail_store.c - a program's message right into the store, by who may write there. */
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "admin/delivery.h"
#include "admin/sendmail_priv.h"

bool sendmail_may_store(struct admin *admin)
{
	const char *path = arena_format(&admin->arena, "%s/store", admin->config->state_dir);
	return access(path, R_OK | W_OK | X_OK) == 0;
}

void sendmail_tell(struct outgoing_recipient *recipient, enum err outcome)
{
	switch (outcome) {
	case ERR_OK: break;
	case ERR_NOT_FOUND:
		sendmail_refused(recipient, EX_NOUSER, "there is no such address here");
		break;
	case ERR_REFUSED:
		sendmail_refused(recipient, EX_NOPERM, "not everybody may post to this list");
		break;
	case ERR_DENIED:
		sendmail_refused(recipient, EX_DATAERR, "this is no address that mail can go to");
		break;
	case ERR_BAD_INPUT:
		sendmail_refused(recipient, EX_NOPERM,
				 "you may not send as that; leave -f out, or see bode user allow");
		break;
	case ERR_LINE_END:
		sendmail_refused(recipient, EX_DATAERR,
				 "a line of the message ends with CR or LF alone");
		break;
	case ERR_LOOP:
		sendmail_refused(recipient, EX_UNAVAILABLE, "the message goes round in circles");
		break;
	case ERR_LIMIT:
		sendmail_refused(recipient, EX_DATAERR,
				 "too much for one message: octets, octets of its header, "
				 "recipients, or those whom an alias stands for");
		break;
	case ERR_QUOTA: sendmail_refused(recipient, EX_TEMPFAIL, "the mailbox is full"); break;
	case ERR_RATE:
		sendmail_refused(recipient, EX_TEMPFAIL, "no more today; tomorrow it may work");
		break;
	default: sendmail_refused(recipient, EX_TEMPFAIL, "%s", err_word(outcome)); break;
	}
}

void sendmail_by_store(struct outgoing *outgoing, struct slice message)
{
	size_t count = 0;

	if (!admin_open_existing_store(outgoing->admin)) {
		sendmail_refuse_all(outgoing, EX_TEMPFAIL, "the store cannot be opened");
		return;
	}
	struct delivery *delivery = delivery_new(outgoing->admin, SLICE("sendmail"),
						 outgoing->reverse_path, outgoing_author(outgoing));
	for (size_t i = 0; i < outgoing->recipient_count; i++) {
		struct outgoing_recipient *recipient = &outgoing->recipients[i];
		if (recipient->status != EX_OK)
			continue;
		enum err err = delivery_add(delivery, recipient->path, recipient->fallback);
		sendmail_tell(recipient, err);
		count += err == ERR_OK;
	}
	if (count > 0) {
		delivery_feed(delivery, message);
		enum err err = delivery_commit(delivery);
		for (size_t i = 0; i < outgoing->recipient_count; i++)
			if (outgoing->recipients[i].status == EX_OK)
				sendmail_tell(&outgoing->recipients[i], err);
	}
	delivery_free(&delivery);
}
