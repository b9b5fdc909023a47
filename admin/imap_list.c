/* admin/imap_list.c - what LIST, LSUB and NAMESPACE of a server say, and names as they are here.
 * Runs in the admin's process. */
#include "admin/imap_list.h"

#include <stdlib.h>

#include "admin/imap_word.h"
#include "base/heap.h"
#include "base/octets.h"
#include "mail/text.h"

enum { MAILBOXES_MAX = 10000 };

struct imap_list {
	struct arena arena, words; /* of one response */
	struct imap_mailbox *mailboxes, **end;
	unsigned mailbox_count;
	struct slice prefix;	 /* of the user's own mailboxes */
	struct slice foreign[8]; /* prefixes of others' */
	unsigned foreign_count;
};

/* Attributes of LIST, and words by which servers without RFC 6154 name such mailboxes. */
static enum special_use use_of(struct slice attribute)
{
	static const struct {
		const char *attribute;
		enum special_use use;
	} uses[] = {
		{ "\\Archive", USE_ARCHIVE }, { "\\Drafts", USE_DRAFTS }, { "\\Junk", USE_JUNK },
		{ "\\Sent", USE_SENT },	      { "\\Trash", USE_TRASH },
	};
	for (size_t i = 0; i < ARRAY_LEN(uses); i++)
		if (slice_eq_nocase(attribute, slice_cstr(uses[i].attribute)))
			return uses[i].use;
	return USE_NONE;
}

static struct imap_mailbox *find_mailbox(struct imap_list *list, struct slice name)
{
	for (struct imap_mailbox *mailbox = list->mailboxes; mailbox; mailbox = mailbox->next)
		if (slice_eq(mailbox->name, name))
			return mailbox;
	return NULL;
}

/* LIST (attributes) "delimiter" name, and LSUB likewise. */
static void note_list(struct imap_list *list, struct cursor c, bool is_lsub)
{
	struct arena *arena = &list->words;
	struct imap_mailbox found = { .is_subscribed = is_lsub };
	struct slice word;
	skip_blanks(&c);
	if (!take_byte(&c, '('))
		return;
	while (imap_take_word(&c, arena, &word)) {
		if (slice_eq_nocase(word, SLICE("\\Noselect")) ||
		    slice_eq_nocase(word, SLICE("\\NonExistent")))
			found.is_no_mailbox = true;
		else if (slice_eq_nocase(word, SLICE("\\Subscribed")))
			found.is_subscribed = true;
		else if (use_of(word) != USE_NONE)
			found.use = use_of(word);
	}
	if (!take_byte(&c, ')') || !imap_take_word(&c, arena, &word))
		return;
	if (word.len == 1)
		found.delimiter = word.ptr[0];
	if (!imap_take_word(&c, arena, &found.name) || found.name.len == 0)
		return;
	struct imap_mailbox *mailbox = find_mailbox(list, found.name);
	if (mailbox) {
		mailbox->is_subscribed |= found.is_subscribed;
		return;
	}
	if (list->mailbox_count++ >= MAILBOXES_MAX)
		return;
	found.is_no_mailbox |= is_lsub; /* subscribed, and not in the list */
	found.name = arena_copy(&list->arena, found.name);
	mailbox = arena_alloc(&list->arena, sizeof(*mailbox));
	*mailbox = found;
	*list->end = mailbox;
	list->end = &mailbox->next;
}

/* NAMESPACE (("prefix" "delimiter" ...)) others shared (RFC 2342): each NIL or a list. */
static void note_namespace(struct imap_list *list, struct cursor c)
{
	struct slice word;
	for (int kind = 0; kind < 3; kind++) {
		skip_blanks(&c);
		if (take_word_nocase(&c, SLICE("NIL")))
			continue;
		int depth = 0, words = 0;
		bool is_first = true;
		do {
			skip_blanks(&c);
			if (take_byte(&c, '(')) {
				depth++;
				words = 0;
			} else if (take_byte(&c, ')')) {
				depth--;
			} else if (imap_take_word(&c, &list->words, &word)) {
				word = arena_copy(&list->arena, word);
				if (words++ > 0 || depth != 2)
					continue;
				if (kind == 0 && is_first)
					list->prefix = word;
				else if (kind > 0 && word.len > 0 &&
					 list->foreign_count < ARRAY_LEN(list->foreign))
					list->foreign[list->foreign_count++] = word;
				is_first = false;
			} else {
				return;
			}
		} while (depth > 0);
	}
}

static void on_list(void *user, struct slice line)
{
	struct imap_list *list = user;
	struct cursor c = cursor_of(line);
	arena_reset(&list->words);
	if (take_word_nocase(&c, SLICE("LIST ")))
		note_list(list, c, false);
	else if (take_word_nocase(&c, SLICE("LSUB ")))
		note_list(list, c, true);
	else if (take_word_nocase(&c, SLICE("NAMESPACE ")))
		note_namespace(list, c);
}

static bool ask(struct imap_list *list, struct imap_client *client)
{
	static const struct imap_events events = { .untagged = on_list };
	unsigned tag;
	if (imap_client_can(client, "NAMESPACE")) {
		tag = imap_client_send(client, "NAMESPACE");
		if (imap_client_wait(client, tag, &events, list) == IMAP_BROKEN)
			return false;
	}
	tag = imap_client_can(client, "LIST-EXTENDED") && imap_client_can(client, "SPECIAL-USE")
		      ? imap_client_send(client, "LIST \"\" \"*\" RETURN (SPECIAL-USE)")
		      : imap_client_send(client, "LIST \"\" \"*\"");
	if (imap_client_wait(client, tag, &events, list) != IMAP_OK)
		return false;
	tag = imap_client_send(client, "LSUB \"\" \"*\"");
	return imap_client_wait(client, tag, &events, list) != IMAP_BROKEN;
}

struct imap_list *imap_list_ask(struct imap_client *client)
{
	struct imap_list *list = heap_alloc(sizeof(*list));
	list->end = &list->mailboxes;
	if (!ask(list, client))
		imap_list_free(&list);
	return list;
}

void imap_list_free(struct imap_list **list_at)
{
	struct imap_list *list = *list_at;
	*list_at = NULL;
	if (!list)
		return;
	arena_fini(&list->arena);
	arena_fini(&list->words);
	free(list);
}

const struct imap_mailbox *imap_list_first(const struct imap_list *list)
{
	return list->mailboxes;
}

bool imap_list_name_here(const struct imap_list *list, const struct imap_mailbox *mailbox,
			 struct buffer *out)
{
	struct slice name = mailbox->name;
	for (unsigned i = 0; i < list->foreign_count; i++)
		if (name.len >= list->foreign[i].len &&
		    slice_eq(slice_sub(name, 0, list->foreign[i].len), list->foreign[i]))
			return false;
	if (list->prefix.len > 0 && name.len > list->prefix.len &&
	    slice_eq(slice_sub(name, 0, list->prefix.len), list->prefix))
		name = slice_sub(name, list->prefix.len, name.len);
	if (slice_eq_nocase(name, SLICE("INBOX"))) {
		buffer_add_cstr(out, "INBOX");
		return true;
	}
	for (size_t at = 0; at <= name.len;) {
		size_t end = mailbox->delimiter ? slice_find_byte(name, at, mailbox->delimiter)
						: name.len;
		struct slice level = slice_sub(name, at, end - at);
		size_t start = out->len + (at > 0);
		if (at > 0)
			buffer_add_byte(out, '/');
		if (!mutf7_decode(level, out))
			buffer_add(out, level); /* UTF-8 perhaps; else no name, which is said */
		for (size_t i = start; i < out->len; i++)
			if (out->data[i] == '/')
				out->data[i] = '_';
		at = end + 1;
	}
	return true;
}
