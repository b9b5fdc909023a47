/* runtime/link.h - the front's way to ask the back: questions out, answers back, per loop.
 *
 * When the back dies every open question is answered with no payload (ERR_UNAVAILABLE), and
 * so is every new one until the supervisor has brought a new channel. */
#pragma once

#include "base/err.h"
#include "runtime/channel.h"
#include "runtime/journal_event.h"
#include "runtime/limits.h"
#include "runtime/messages.h"

struct link;

/* Embedded in what asks; untouched by the asker until answered() was called. */
struct question {
	/* `err` is ERR_OK with a payload, or ERR_UNAVAILABLE. */
	void (*answered)(struct question *question, enum err err, struct slice payload);
	/* Only for transactions: octets that the back has dealt with. May be NULL. */
	void (*credit)(struct question *question, uint32_t octets);
	/* Only for MESSAGE_SESSION: MESSAGE_SIGNED_OUT came, in place of answered(). `fd` is the
	 * callee's, or CHANNEL_FD_LOST. NULL elsewhere. */
	void (*signed_out)(struct question *question, struct slice unread, int fd);
	uint32_t conversation;	      /* link's */
	struct question *next, *prev; /* link's */
};

/* Who takes what the back asks of the front on its own account (runtime/delivery.h). */
struct link_worker {
	void (*message)(struct link_worker *worker, enum message_type type, uint32_t conversation,
			struct slice payload);
	/* The back is gone, and with it all it had asked. */
	void (*lost)(struct link_worker *worker);
};
/* NULL: nobody does, and it is dropped. */
void link_set_worker(struct link *link, struct link_worker *worker);
/* Something that belongs to a conversation of the back's. Dropped where the back is away. */
void link_say(struct link *link, enum message_type type, uint32_t conversation,
	      struct slice payload);

/* Where MESSAGE_KNOWN_CLIENTS is noted; NULL: nowhere. */
void link_set_limits(struct link *link, struct limits *limits);

struct link *link_new(struct loop *loop);
void link_free(struct link **link);
/* A new channel from the supervisor; replaces one that died. */
void link_connect(struct link *link, int fd);
bool link_is_up(const struct link *link);

/* Sends `type` and calls question->answered() once, in a later turn of the loop. */
void link_ask(struct link *link, struct question *question, enum message_type type,
	      struct slice payload);
/* The same with a descriptor, as in channel_send(); it is closed where the back is away. */
void link_ask_with(struct link *link, struct question *question, enum message_type type,
		   struct slice payload, int fd);
/* Nobody waits for the answer any more; nothing is called. */
void link_forget(struct question *question);
/* Says something that has no answer; `fd` as in channel_send(). False: the back is away (fd is closed). */
bool link_tell(struct link *link, enum message_type type, struct slice payload, int fd);

/* For the journal. What is told while the back is away, or has fallen far behind, is lost. */
void link_note(struct link *link, const struct journal_event *event);

/* A transaction is one long conversation: open, content, then commit or abandon. After open,
 * answered() comes at the latest with MESSAGE_FILED; earlier if the back dies. */
void link_transaction_open(struct link *link, struct question *question, struct slice payload);
void link_transaction_content(struct link *link, struct question *question, struct slice octets);
void link_transaction_commit(struct link *link, struct question *question);
/* answered() will not be called any more. */
void link_transaction_abandon(struct link *link, struct question *question);
