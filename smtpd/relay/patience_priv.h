/* smtpd/relay/patience_priv.h - how long another server is waited for: for what it was told last, and for
 * a message as a whole. On the front's loop. */
#pragma once

#include "runtime/loop.h"
#include "smtpd/relay/client_priv.h"

struct patience {
	struct timer *timer; /* the connection's; goes off when one of both is over */
	/* The message's: for whatever comes before its content, then for that. */
	uint64_t message_ends_ms;
	/* What is waited for, and its end. */
	bool waits;
	enum client_state state;
	uint64_t steps;
	uint64_t step_ends_ms;
};

/* A message begins, or begins anew. */
void patience_begin(struct patience *patience, uint64_t now_ms);
/* After whatever has happened: the time of what is waited for goes on, or that of the next begins.
 * `has_message`: it is waited for because of one. */
void patience_wait(struct patience *patience, const struct client *client, bool has_message,
		   uint64_t now_ms);
/* The time of what is waited for begins anew. */
void patience_wait_anew(struct patience *patience, const struct client *client, uint64_t now_ms);
/* The timer has gone off. False: the server has had its time. True: there is none any more to ask it for
 * more recipients, but what it was asked has its own still. */
bool patience_goes_on(struct patience *patience, const struct client *client, uint64_t now_ms);
