/* smtpd/relay/relay.h - all that outsiders see of mail that leaves: the runner of the queue in the
 * back, and the sending client on a loop of the front. */
#pragma once

#include "runtime/channel.h"
#include "runtime/front.h"

/* ---- in the front ---- */

/* What sending needs and only the start of the process can fetch. Shared by all loops. */
struct relay_trust {
	struct tls_context *opportunistic;
	/* With the authorities that may vouch for a smarthost, and for all other servers; NULL: there
	 * are none. */
	struct tls_context *smarthost, *authorities;
};
struct relay_sender;
/* Takes the back's deliveries off front->link. `front` is read whenever something is needed. */
struct relay_sender *relay_sender_new(struct front *front, const struct relay_trust *trust);
/* The password for the smarthost; copied. Empty: none. */
void relay_sender_set_password(struct relay_sender *sender, struct slice password);
/* Deliveries that are under way. */
unsigned relay_sender_count(const struct relay_sender *sender);
/* Closes connections that are kept for more mail, and keeps none from now on. */
void relay_sender_stop(struct relay_sender *sender);

/* ---- in the back ---- */

struct back; /* storage/back.h; a front never sees inside */
struct relay_runner;
/* Runs the queue on back->loop, through the channels of that loop. */
struct relay_runner *relay_runner_new(struct back *back);
void relay_runner_add_channel(struct relay_runner *runner, struct channel *channel);
/* What was under way through it is tried again. */
void relay_runner_remove_channel(struct relay_runner *runner, struct channel *channel);
/* MESSAGE_DELIVERED, _DELIVERY_ANSWERED, _DELIVERY_CREDIT, _FORM_WANTED, MESSAGE_POLICY, _TLS_RESULT or
 * _REPORTED. False: it breaks the rules; the caller ends the channel. */
bool relay_runner_message(struct relay_runner *runner, struct channel *channel, uint16_t type,
			  uint32_t conversation, struct slice payload);
/* Another process has changed the queue: looks at all of it anew. */
void relay_runner_look(struct relay_runner *runner);
/* Begins nothing more; what is under way goes on. */
void relay_runner_stop(struct relay_runner *runner);
/* Whether nothing of it is on the worker pool, which reads the store. */
bool relay_runner_is_idle(const struct relay_runner *runner);
/* After the loop has ended, and idle. Accepts NULL, leaves NULL. */
void relay_runner_free(struct relay_runner **runner);
