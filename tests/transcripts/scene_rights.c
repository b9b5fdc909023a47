/* tests/transcripts/scene_rights.c - `given` of what accounts share, and of who administers. */
#include "tests/transcripts/scene.h"

#include <stdio.h>

#include "storage/account.h"
#include "storage/acl.h"

struct grant {
	struct slice local, domain;
	uint32_t account_id; /* the owner; or who becomes administrator */
	struct slice mailbox;
	enum acl_change change;
	struct acl_entry entry;
};

static enum err write_shared_account(struct write *write, void *user)
{
	struct grant *g = user;
	return account_add_shared(write, g->local, g->domain, &g->account_id);
}

static enum err write_administrator(struct write *write, void *user)
{
	return account_set_administrator(write, ((struct grant *)user)->account_id, true);
}

static enum err write_rights(struct write *write, void *user)
{
	struct grant *g = user;
	struct arena arena = { 0 };
	struct mailbox *mailbox = arena_alloc(&arena, sizeof(*mailbox));
	enum err err = mailbox_find(write_read(write), g->account_id, g->mailbox, &arena, mailbox);
	if (err == ERR_OK)
		err = acl_change(write, mailbox->mailbox_id, g->change, &g->entry);
	arena_fini(&arena);
	return err;
}

bool given_shared_account(struct world *world, struct cursor c)
{
	struct grant g = { 0 };
	struct slice word, login;
	if (!take_scene_word(&c, &word) || !take_scene_word(&c, &login) ||
	    world->account_count == WORLD_ACCOUNTS_MAX)
		return false;
	size_t at = slice_find_byte(login, 0, '@');
	g.local = slice_sub(login, 0, at);
	g.domain = slice_sub(login, at + 1, login.len);
	if (!scene_wrote(world_write(world, write_shared_account, &g)))
		return false;
	struct world_account *account = &world->accounts[world->account_count++];
	snprintf(account->login, sizeof(account->login), "%.*s", SLICE_ARG(login));
	account->account_id = g.account_id;
	return true;
}

bool given_administrator(struct world *world, struct cursor c)
{
	struct slice login;
	if (!take_scene_word(&c, &login) || !world_find_account(world, login))
		return false;
	struct grant g = { .account_id = world_find_account(world, login)->account_id };
	return scene_wrote(world_write(world, write_administrator, &g));
}

bool given_rights(struct world *world, struct cursor c)
{
	struct grant g = { 0 };
	struct slice login, who, rights;
	if (!take_scene_word(&c, &login) || !take_scene_word(&c, &g.mailbox) ||
	    !take_scene_word(&c, &who) || !take_scene_word(&c, &rights) ||
	    !world_find_account(world, login))
		return false;
	g.account_id = world_find_account(world, login)->account_id;
	g.entry.is_negative = who.ptr[0] == '-';
	if (g.entry.is_negative)
		who = slice_sub(who, 1, who.len);
	if (!slice_eq(who, SLICE("anyone"))) {
		if (!world_find_account(world, who))
			return false;
		g.entry.account_id = world_find_account(world, who)->account_id;
	}
	if (!slice_eq(rights, SLICE("none")) && !acl_text_parse(rights, &g.change, &g.entry.rights))
		return false;
	return scene_wrote(world_write(world, write_rights, &g));
}
