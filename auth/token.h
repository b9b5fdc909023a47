/* auth/token.h - what the back remembers of who signed in: a token for each, so that the front
 * can prove, without being believed, that it was told the password. Bounded; any thread. */
#pragma once

#include "base/err.h"
#include "runtime/messages.h"

struct token_table;

struct token_owner {
	uint32_t account_id;
	enum mail_protocol protocol;
	char login[256];
};

struct token_table *token_table_new(size_t entries_max);
void token_table_free(struct token_table **table);
/* Random, never all zero. When the table is full the oldest token is forgotten. */
void token_issue(struct token_table *table, const struct token_owner *owner,
		 struct token *token_out);
/* False: never issued, or forgotten. Compares in constant time. */
bool token_find(struct token_table *table, const struct token *token,
		struct token_owner *owner_out);
void token_forget(struct token_table *table, const struct token *token);
