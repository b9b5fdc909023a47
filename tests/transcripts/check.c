/* tests/transcripts/check.c - `then`: looks into the store for what must be true. */
#include <stdio.h>

#include "storage/message.h"
#include "tests/transcripts/scene.h"

struct found {
	struct mailbox mailbox;
	struct message_entry entry;
	struct buffer octets;
	struct arena arena;
	struct read *read;
};

static void found_close(struct found *found)
{
	read_end(&found->read);
	arena_fini(&found->arena);
	buffer_free(&found->octets);
}

static bool complain(const char *what)
{
	printf("#   %s\n", what);
	return false;
}

static bool take_account_and_mailbox(struct world *world, struct cursor *c,
				     const struct world_account **account_out,
				     struct slice *name_out)
{
	struct slice login;
	if (!take_scene_word(c, &login))
		return complain("which account?");
	*account_out = world_find_account(world, login);
	if (!*account_out)
		return complain("no such account");
	if (take_byte(c, '"')) {
		if (!take_until_byte(c, '"', name_out))
			return complain("the name has no end");
		c->at++;
		skip_blanks(c);
		return true;
	}
	return take_scene_word(c, name_out) || complain("which mailbox?");
}

static enum err open_mailbox(struct world *world, const struct world_account *account,
			     struct slice name, struct found *found)
{
	*found = (struct found){ .read = read_begin(world->store) };
	return mailbox_find(found->read, account->account_id, name, &found->arena, &found->mailbox);
}

/* mailbox ACCOUNT NAME has COUNT */
static bool then_mailbox(struct world *world, struct cursor c)
{
	const struct world_account *account;
	struct found found;
	struct slice name;
	uint64_t count;
	bool good = false;
	if (!take_account_and_mailbox(world, &c, &account, &name) || !take_this_word(&c, "has") ||
	    !take_number(&c, UINT32_MAX, &count))
		return complain("then mailbox ACCOUNT NAME has COUNT");
	enum err err = open_mailbox(world, account, name, &found);
	if (err != ERR_OK) {
		printf("#   mailbox: %s\n", err_word(err));
	} else {
		struct ranges uids = { 0 };
		message_uids(found.read, found.mailbox.mailbox_id, 1, &uids);
		good = ranges_total(&uids) == count && found.mailbox.messages == count;
		if (!good)
			printf("#   it has %llu messages (its record says %u), expected %llu\n",
			       (unsigned long long)ranges_total(&uids), found.mailbox.messages,
			       (unsigned long long)count);
		ranges_free(&uids);
	}
	found_close(&found);
	return good;
}

/* no mailbox ACCOUNT NAME */
static bool then_no_mailbox(struct world *world, struct cursor c)
{
	const struct world_account *account;
	struct found found;
	struct slice name;
	if (!take_account_and_mailbox(world, &c, &account, &name))
		return false;
	enum err err = open_mailbox(world, account, name, &found);
	found_close(&found);
	return err == ERR_NOT_FOUND || complain("the mailbox is there");
}

static bool read_message(struct found *found, uint64_t rank)
{
	struct ranges uids = { 0 };
	message_uids(found->read, found->mailbox.mailbox_id, 1, &uids);
	uint32_t uid = rank <= UINT32_MAX ? ranges_at_rank(&uids, (uint32_t)rank) : 0;
	ranges_free(&uids);
	if (uid == 0)
		return complain("there are not so many messages");
	enum err err = message_get(found->read, found->mailbox.mailbox_id, uid, &found->entry);
	if (err == ERR_OK)
		err = blob_read(found->read, found->entry.blob_id, 0, UINT64_MAX, &found->octets);
	if (err != ERR_OK)
		printf("#   message: %s\n", err_word(err));
	return err == ERR_OK;
}

static bool is_block(const struct found *found, const struct line *line, struct names *names)
{
	struct cursor c = cursor_of(buffer_slice(&found->octets));
	struct slice text;
	for (size_t i = 0; i < line->block_count; i++) {
		if (!take_crlf_line(&c, &text)) {
			printf("#   the message ends before line %zu: %.*s\n", i + 1,
			       SLICE_ARG(line->block[i]));
			return false;
		}
		if (!expectation_matches(line->block[i], text, names)) {
			printf("#   line %zu\n#     expected: %.*s\n#     received: %.*s\n", i + 1,
			       SLICE_ARG(line->block[i]), SLICE_ARG(text));
			return false;
		}
	}
	if (!at_end(&c)) {
		text = slice_sub(cursor_rest(&c), 0, 80);
		printf("#   the message goes on: %.*s\n", SLICE_ARG(text));
	}
	return at_end(&c);
}

static bool has_line(const struct found *found, struct slice pattern, struct names *names)
{
	struct cursor c = cursor_of(buffer_slice(&found->octets));
	struct slice text;
	while (take_crlf_line(&c, &text))
		if (expectation_matches(pattern, text, names))
			return true;
	return complain("the message has no such line");
}

static bool has_flags(const struct found *found, struct cursor c)
{
	static const char *const words[] = { "\\Seen", "\\Answered", "\\Flagged", "\\Deleted",
					     "\\Draft" };
	unsigned flags = 0;
	struct slice word;
	while (take_scene_word(&c, &word)) {
		unsigned before = flags;
		for (size_t i = 0; i < ARRAY_LEN(words); i++)
			if (slice_eq_nocase(word, slice_cstr(words[i])))
				flags |= 1u << i;
		if (flags == before && !slice_eq(word, SLICE("none")))
			return complain("only system flags can be checked here");
	}
	if (flags != found->entry.flags)
		printf("#   flags are %u, expected %u\n", found->entry.flags, flags);
	return flags == found->entry.flags;
}

/* message ACCOUNT MAILBOX NUMBER is <<END | has line PATTERN | has no line PATTERN |
 * has flags ... | has size OCTETS */
static bool then_message(struct world *world, struct cursor c, const struct line *line,
			 struct names *names)
{
	const struct world_account *account;
	struct found found;
	struct slice name;
	uint64_t number;
	bool good = false;
	if (!take_account_and_mailbox(world, &c, &account, &name) ||
	    !take_number(&c, UINT32_MAX, &number))
		return complain("then message ACCOUNT MAILBOX NUMBER ...");
	skip_blanks(&c);
	enum err err = open_mailbox(world, account, name, &found);
	if (err != ERR_OK)
		printf("#   mailbox: %s\n", err_word(err));
	else if (!read_message(&found, number))
		good = false;
	else if (take_this_word(&c, "is"))
		good = is_block(&found, line, names);
	else if (!take_this_word(&c, "has"))
		good = complain("is or has?");
	else if (take_this_word(&c, "line"))
		good = has_line(&found, cursor_rest(&c), names);
	else if (take_this_word(&c, "flags"))
		good = has_flags(&found, c);
	else if (take_this_word(&c, "size"))
		good = take_number(&c, UINT64_MAX, &number) &&
		       (number == found.entry.size_octets || complain("it has another size"));
	else
		good = complain("has what?");
	found_close(&found);
	return good;
}

bool scene_then(struct world *world, const struct line *line, struct names *names)
{
	struct cursor c = cursor_of(line->text);
	if (take_this_word(&c, "mailbox"))
		return then_mailbox(world, c);
	if (take_this_word(&c, "message"))
		return then_message(world, c, line, names);
	if (take_this_word(&c, "no") && take_this_word(&c, "mailbox"))
		return then_no_mailbox(world, c);
	return complain("an unknown then");
}
