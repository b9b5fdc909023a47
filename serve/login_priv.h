/* serve/login_priv.h - signing in: who is it, and what may he do with it. For this room alone. */
#pragma once

#include "auth/token.h"
#include "runtime/channel.h"
#include "storage/back.h"

/* One for the process: failures, successes and tokens that all loops share. */
struct login;
struct login *login_new(const struct config *config);
/* Another [limits] exempt. */
void login_set_config(struct login *login, const struct config *config);
struct token_table *login_tokens(struct login *login);
/* When no check is under way any more. Accepts NULL, leaves NULL. */
void login_free(struct login **login);

/* One for each channel from a front's loop, on the loop that serves it. */
struct login_desk;
struct login_desk *login_desk_new(struct login *login, struct back *back, struct channel *channel);
/* Handles MESSAGE_AUTHENTICATE, _SESSION and _FORGET_TOKEN; takes `fd`. False: it breaks the
 * rules of runtime/messages.h; the caller ends the channel. */
bool login_desk_message(struct login_desk *desk, uint16_t type, uint32_t conversation,
			struct slice payload, int fd);
/* The channel is gone: checks under way end in silence. Accepts NULL, leaves NULL. */
void login_desk_free(struct login_desk **desk);
