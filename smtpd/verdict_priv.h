/* smtpd/verdict_priv.h - who sends, as far as the back knows, and whether his mail may go to a recipient.
 * In the back; values only. */
#pragma once

#include "auth/token.h"
#include "mda/sender.h"
#include "runtime/messages.h"
#include "storage/back.h"

/* ERR_OK with the owner, or with no account where no token was given; ERR_DENIED: a token
 * that is not, or no longer, one of a submission. */
enum err verdict_owner(struct token_table *tokens, const struct token *token,
		       struct token_owner *owner_out) MUST_USE;
/* He and his reverse-path, for what mda/ wants to know of a sender. */
struct sender verdict_sender(const struct config *config, const struct token_owner *owner,
			     struct slice reverse_path);
/* The answer to MESSAGE_RECIPIENT. `arena` of this question. */
enum recipient_verdict verdict_judge(const struct back *back, struct token_table *tokens,
				     const struct recipient_message *message, struct arena *arena);
