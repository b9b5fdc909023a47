/* smtpd/verdict.c - may mail from this reverse-path go to that forward-path? (RFC 5321 section 3.3.) Runs
 * in the back.
 *
 * What the front says of a sign-in counts only with a token. The answer is for RCPT; when the message comes
 * its recipients are looked up again. */
#include "smtpd/verdict_priv.h"

#include "mda/recipient.h"
#include "storage/account.h"
#include "storage/submission.h"

static bool has_full_mailbox(struct read *read, const struct destinations *found,
			     struct arena *arena)
{
	struct account account;

	for (size_t i = 0; i < found->account_count; i++) {
		if (account_get(read, found->account_ids[i], arena, &account) != ERR_OK)
			continue;
		if ((account.quota_octets && account.used_octets >= account.quota_octets) ||
		    (account.quota_messages && account.used_messages >= account.quota_messages))
			return true;
	}
	return false;
}

enum err verdict_owner(struct token_table *tokens, const struct token *token,
		       struct token_owner *owner_out)
{
	*owner_out = (struct token_owner){ .account_id = 0 };
	if (!token_is_set(token))
		return ERR_OK;
	if (!token_find(tokens, token, owner_out) || owner_out->protocol != PROTOCOL_SMTP)
		return ERR_DENIED;
	return ERR_OK;
}

struct sender verdict_sender(const struct config *config, const struct token_owner *owner,
			     struct slice reverse_path)
{
	return (struct sender){
		.config = config,
		.reverse_path = reverse_path,
		.account_id = owner->account_id,
		.may_relay = owner->account_id != 0,
	};
}

static enum recipient_verdict judge(const struct config *config, struct token_table *tokens,
				    struct read *read, const struct recipient_message *message,
				    struct arena *arena)
{
	struct destinations found = { 0 };
	struct token_owner owner;
	struct address address;

	if (verdict_owner(tokens, &message->token, &owner) != ERR_OK)
		return RECIPIENT_TEMPORARY;
	const struct sender sender = verdict_sender(config, &owner, message->reverse_path);
	switch (sender_check_path(read, &sender, arena)) {
	case ERR_OK: break;
	case ERR_DENIED: return RECIPIENT_SENDER_DENIED;
	default: return RECIPIENT_TEMPORARY;
	}
	if (!recipient_parse(message->forward_path, arena, &address))
		return RECIPIENT_UNKNOWN;
	/* Only a hint for who asks in good faith: filing counts again. */
	struct sender_limits limits = sender_limits(&sender);
	limits.new_before = message->new_count;
	struct slice known = sender_recipient(message->forward_path, arena);
	switch (sender_check_today(read, &limits, &known, 1)) {
	case ERR_OK: break;
	case ERR_RATE: return RECIPIENT_DAILY_LIMIT;
	default: return RECIPIENT_TEMPORARY;
	}
	if (sender_is_suppressed(read, &sender, known))
		return RECIPIENT_SUPPRESSED;
	switch (recipient_resolve(read, &sender, &address, arena, &found)) {
	case ERR_OK:
		if (has_full_mailbox(read, &found, arena))
			return RECIPIENT_OVER_QUOTA;
		return owner.account_id == 0 || submission_knows(read, owner.account_id, known)
			       ? RECIPIENT_OK
			       : RECIPIENT_OK_NEW;
	case ERR_NOT_FOUND: return RECIPIENT_UNKNOWN;
	case ERR_DENIED: return RECIPIENT_RELAY_DENIED;
	case ERR_REFUSED: return RECIPIENT_POST_DENIED;
	default: return RECIPIENT_TEMPORARY;
	}
}

enum recipient_verdict verdict_judge(const struct back *back, struct token_table *tokens,
				     const struct recipient_message *message, struct arena *arena)
{
	struct read *read = read_begin(back->store);
	enum recipient_verdict verdict = judge(back->config, tokens, read, message, arena);
	read_end(&read);
	return verdict;
}
