/* smtpd/smtpd.h - all that outsiders see of receiving and submission. */
#pragma once

#include "auth/token.h"
#include "runtime/channel.h"
#include "runtime/front.h"

/* In the front: a connection to smtp, submission, submissions or lmtp (a front_start). */
void smtpd_start(struct front *front, struct stream *stream, enum config_service service);

/* In the back, on one loop: programs of this machine that have a message (runtime/program_message.h). */
struct back; /* storage/back.h; a front never sees inside */
struct program_desk;
struct program_desk *program_desk_new(struct back *back);
/* Takes `fd`, behind which is a program that runs as `uid`, whose name is `user`. */
void program_desk_take(struct program_desk *desk, int fd, uint32_t uid, struct slice user);
/* Whoever has not sent all of his message hears no more. */
void program_desk_stop(struct program_desk *desk);
bool program_desk_is_empty(const struct program_desk *desk);
/* After the loop has ended. Accepts NULL, leaves NULL. */
void program_desk_free(struct program_desk **desk);

/* In the back: the other half, per channel from a front's loop. Answers
 * MESSAGE_RECIPIENT, _TRANSACTION, _CONTENT, _COMMIT and _ABANDON over `channel`. */
struct smtpd_back;
struct smtpd_back *smtpd_back_new(struct back *back, struct channel *channel,
				  struct token_table *tokens);
/* To a front that has just begun: who has sent good mail before (MESSAGE_KNOWN_CLIENTS). */
void smtpd_tell_known(struct back *back, struct channel *channel);
/* False: the message breaks the rules of runtime/messages.h; the caller ends the channel. */
bool smtpd_back_message(struct smtpd_back *smtpd, uint16_t type, uint32_t conversation,
			struct slice payload);
/* The channel is gone: open transactions are abandoned; a commit under way finishes in
 * silence. Accepts NULL, leaves NULL. */
void smtpd_back_free(struct smtpd_back **smtpd);
