/* tests/transcripts/scene.c - the vocabulary of `given` and `then`; README.md lists it. */
#include "tests/transcripts/scene.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/heap.h"
#include "storage/account.h"
#include "storage/blob.h"
#include "storage/message.h"

static bool is_not_blank(uint8_t c)
{
	return c != ' ' && c != '\t';
}

bool take_scene_word(struct cursor *c, struct slice *word_out)
{
	skip_blanks(c);
	if (!take_while(c, is_not_blank, word_out))
		return false;
	skip_blanks(c);
	return true;
}

bool take_this_word(struct cursor *c, const char *want)
{
	struct cursor copy = *c;
	struct slice word;
	if (!take_scene_word(&copy, &word) || !slice_eq(word, slice_cstr(want)))
		return false;
	*c = copy;
	return true;
}

/* A mailbox name may hold blanks: "Sent Items" in quotes, or one word. */
static bool take_name(struct cursor *c, struct slice *name_out)
{
	struct cursor copy = *c;
	if (!take_byte(&copy, '"'))
		return take_scene_word(c, name_out);
	if (!take_until_byte(&copy, '"', name_out))
		return false;
	copy.at++;
	skip_blanks(&copy);
	*c = copy;
	return true;
}

static bool complain(const char *what)
{
	printf("#   %s\n", what);
	return false;
}

static bool split_address(struct slice text, struct slice *local_out, struct slice *domain_out)
{
	size_t at = slice_find_byte(text, 0, '@');
	*local_out = slice_sub(text, 0, at);
	*domain_out = slice_sub(text, at + 1, text.len);
	return domain_out->len > 0;
}

bool scene_wrote(enum err err)
{
	if (err != ERR_OK)
		printf("#   the store said: %s\n", err_word(err));
	return err == ERR_OK;
}

bool scene_set_time(struct slice text)
{
	char copy[32];
	struct tm tm = { 0 };
	uint64_t unix_seconds;
	if (!slice_to_u64(text, INT64_MAX / 1000, &unix_seconds)) {
		snprintf(copy, sizeof(copy), "%.*s", SLICE_ARG(text));
		const char *end = strptime(copy, "%Y-%m-%dT%H:%M:%SZ", &tm);
		if (!end || *end)
			return complain("a time is Unix seconds or 2026-01-02T03:04:05Z");
		unix_seconds = (uint64_t)timegm(&tm);
	}
	clock_set_fake_unix_ms((int64_t)unix_seconds * 1000);
	return true;
}

/* Accounts, domains, aliases: what a given line writes. */
struct addition {
	struct slice local, domain;
	struct slice targets[16];
	size_t target_count;
	enum list_post post;
	struct domain_record record;
	struct slice mailbox;
	uint32_t account_id;
	uint64_t quota_octets, quota_messages;
};

static enum err write_domain(struct write *write, void *user)
{
	return domain_add(write, ((struct addition *)user)->domain);
}

static enum err write_account(struct write *write, void *user)
{
	struct addition *a = user;
	/* The world compares passwords itself: no hash is ever looked at. */
	return account_add(write, a->local, a->domain, SLICE("-"), &a->account_id);
}

static enum err write_alias(struct write *write, void *user)
{
	struct addition *a = user;
	return alias_set(write, a->local, a->domain, a->targets, a->target_count);
}

static enum err write_other_name(struct write *write, void *user)
{
	struct addition *a = user;
	return domain_set_alias(write, a->domain, a->targets[0]);
}

static enum err write_post(struct write *write, void *user)
{
	struct addition *a = user;
	return alias_set_post(write, a->local, a->domain, a->post, a->targets, a->target_count);
}

static enum err write_domain_record(struct write *write, void *user)
{
	struct addition *a = user;
	return domain_set(write, a->domain, &a->record);
}

static enum err write_mailbox(struct write *write, void *user)
{
	struct addition *a = user;
	uint64_t mailbox_id;
	return mailbox_create(write, a->account_id, a->mailbox, USE_NONE, &mailbox_id);
}

static enum err write_quota(struct write *write, void *user)
{
	struct addition *a = user;
	return account_set_quota(write, a->account_id, a->quota_octets, a->quota_messages);
}

static enum err write_removal(struct write *write, void *user)
{
	return account_remove(write, ((struct addition *)user)->account_id);
}

static bool given_domain(struct world *world, struct cursor c)
{
	struct addition a = { 0 };
	if (!take_scene_word(&c, &a.domain))
		return complain("which domain?");
	if (take_this_word(&c, "is"))
		return scene_wrote(take_scene_word(&c, &a.targets[0])
					   ? world_write(world, write_other_name, &a)
					   : ERR_BAD_INPUT);
	if (take_this_word(&c, "senders")) {
		static const char *const words[SENDERS_COUNT] = { "own", "domain", "any" };
		for (unsigned i = 0; i < SENDERS_COUNT; i++)
			if (take_this_word(&c, words[i]))
				a.record.senders = (enum domain_senders)i;
		a.record.hides_clients = take_this_word(&c, "hides-clients");
		return scene_wrote(world_write(world, write_domain_record, &a));
	}
	return scene_wrote(world_write(world, write_domain, &a));
}

static bool given_account(struct world *world, struct cursor c)
{
	struct addition a = { 0 };
	struct slice login, password = SLICE("secret");
	if (!take_scene_word(&c, &login) || !split_address(login, &a.local, &a.domain) ||
	    world->account_count == WORLD_ACCOUNTS_MAX)
		return complain("which account?");
	if (take_this_word(&c, "password"))
		password = cursor_rest(&c);
	if (!scene_wrote(world_write(world, write_account, &a)))
		return false;
	struct world_account *account = &world->accounts[world->account_count++];
	snprintf(account->login, sizeof(account->login), "%.*s", SLICE_ARG(login));
	snprintf(account->password, sizeof(account->password), "%.*s", SLICE_ARG(password));
	account->account_id = a.account_id;
	return true;
}

static bool given_alias(struct world *world, struct cursor c)
{
	struct addition a = { 0 };
	struct slice address, target;
	if (!take_scene_word(&c, &address) || !split_address(address, &a.local, &a.domain) ||
	    !take_this_word(&c, "->"))
		return complain("given alias ADDRESS -> TARGET ...");
	while (a.target_count < ARRAY_LEN(a.targets) && take_scene_word(&c, &target))
		a.targets[a.target_count++] = target;
	return scene_wrote(world_write(world, write_alias, &a));
}

static bool given_post(struct world *world, struct cursor c)
{
	static const char *const words[POST_COUNT] = { "anybody", "users", "members", "nobody" };
	struct addition a = { 0 };
	struct slice address, poster;
	if (!take_scene_word(&c, &address) || !split_address(address, &a.local, &a.domain))
		return complain("given post ADDRESS WHO [ADDRESS ...]");
	for (unsigned i = 0; i < POST_COUNT; i++)
		if (take_this_word(&c, words[i]))
			a.post = (enum list_post)i;
	while (a.target_count < ARRAY_LEN(a.targets) && take_scene_word(&c, &poster))
		a.targets[a.target_count++] = poster;
	return scene_wrote(world_write(world, write_post, &a));
}

static const struct world_account *take_account(const struct world *world, struct cursor *c)
{
	struct slice login;
	const struct world_account *account =
		take_scene_word(c, &login) ? world_find_account(world, login) : NULL;
	if (!account)
		complain("no such account");
	return account;
}

static bool given_mailbox(struct world *world, struct cursor c)
{
	struct addition a = { 0 };
	const struct world_account *account = take_account(world, &c);
	if (!account || !take_name(&c, &a.mailbox))
		return complain("given mailbox ACCOUNT NAME");
	a.account_id = account->account_id;
	return scene_wrote(world_write(world, write_mailbox, &a));
}

static bool given_quota(struct world *world, struct cursor c)
{
	struct addition a = { 0 };
	const struct world_account *account = take_account(world, &c);
	if (!account || !take_number(&c, UINT64_MAX, &a.quota_octets))
		return complain("given quota ACCOUNT OCTETS [MESSAGES]");
	skip_blanks(&c);
	(void)take_number(&c, UINT64_MAX, &a.quota_messages);
	a.account_id = account->account_id;
	return scene_wrote(world_write(world, write_quota, &a));
}

static bool given_removal(struct world *world, struct cursor c)
{
	struct addition a = { 0 };
	const struct world_account *account = take_account(world, &c);
	if (!account)
		return false;
	a.account_id = account->account_id;
	if (!scene_wrote(world_write(world, write_removal, &a)))
		return false;
	*(struct world_account *)(uintptr_t)account = (struct world_account){ 0 };
	return true;
}

struct arrival_of_mail {
	struct intake *intake;
	uint64_t mailbox_id;
	struct message_entry entry;
	struct slice keywords[16];
	size_t keyword_count;
	bool room;
};

static enum err write_message(struct write *write, void *user)
{
	struct arrival_of_mail *mail = user;
	uint32_t uid;
	enum err err = intake_commit(write, mail->intake, &mail->entry.blob_id);
	return err == ERR_OK ? message_append(write, mail->mailbox_id, &mail->entry, mail->keywords,
					      mail->keyword_count, &uid)
			     : err;
}

static void intake_has_room(void *user)
{
	((struct arrival_of_mail *)user)->room = true;
}

/* "(\Seen $Work)" */
static bool take_flags(struct cursor *c, struct arrival_of_mail *mail)
{
	static const struct {
		const char *name;
		enum message_flag flag;
	} rows[] = { { "\\Seen", FLAG_SEEN },
		     { "\\Answered", FLAG_ANSWERED },
		     { "\\Flagged", FLAG_FLAGGED },
		     { "\\Deleted", FLAG_DELETED },
		     { "\\Draft", FLAG_DRAFT } };
	struct slice inside, word;
	if (!take_byte(c, '('))
		return true;
	if (!take_until_byte(c, ')', &inside))
		return complain("the flags have no end");
	c->at++;
	skip_blanks(c);
	struct cursor in = cursor_of(inside);
	while (take_scene_word(&in, &word)) {
		bool system = false;
		for (size_t i = 0; i < ARRAY_LEN(rows); i++)
			if (slice_eq_nocase(word, slice_cstr(rows[i].name))) {
				mail->entry.flags |= rows[i].flag;
				system = true;
			}
		if (!system && mail->keyword_count < ARRAY_LEN(mail->keywords))
			mail->keywords[mail->keyword_count++] = word;
	}
	return true;
}

static bool find_mailbox(struct world *world, uint32_t account_id, struct slice name,
			 struct mailbox *mailbox_out)
{
	struct arena arena = { 0 };
	struct read *read = read_begin(world->store);
	enum err err = mailbox_find(read, account_id, name, &arena, mailbox_out);
	read_end(&read);
	arena_fini(&arena);
	if (err != ERR_OK)
		printf("#   mailbox %.*s: %s\n", SLICE_ARG(name), err_word(err));
	return err == ERR_OK;
}

/* Octets of a file, every line end made CRLF. */
static bool read_message_file(struct slice name, struct buffer *octets)
{
	char *file_name = heap_string(name);
	FILE *file = fopen(file_name, "rb");
	free(file_name);
	if (!file)
		return complain("the message file cannot be read");
	for (int c, before = 0; (c = getc(file)) != EOF; before = c) {
		if (c == '\n' && before != '\r')
			buffer_add_byte(octets, '\r');
		buffer_add_byte(octets, (uint8_t)c);
	}
	fclose(file);
	return true;
}

/* given message ACCOUNT MAILBOX [(FLAGS)] <<END | open <<END | of SIZE octets | from FILE */
static bool given_message(struct world *world, struct cursor c, const struct line *line)
{
	struct arrival_of_mail mail = { .entry.internal_unix = clock_unix() };
	const struct world_account *account = take_account(world, &c);
	struct buffer octets = { 0 };
	struct slice name, word;
	struct mailbox mailbox;
	uint64_t size;
	bool good = false;
	if (!account || !take_name(&c, &name) || !take_flags(&c, &mail) ||
	    !find_mailbox(world, account->account_id, name, &mailbox))
		return complain("given message ACCOUNT MAILBOX [(FLAGS)] <<END");
	mail.mailbox_id = mailbox.mailbox_id;
	if (line->has_block) {
		for (size_t i = 0; i < line->block_count; i++) {
			buffer_add(&octets, line->block[i]);
			buffer_add(&octets, SLICE("\r\n"));
		}
		/* "open": the last line has no end. */
		if (take_this_word(&c, "open") && octets.len >= 2)
			octets.len -= 2;
	} else if (take_this_word(&c, "of") && take_number(&c, 1 << 30, &size)) {
		buffer_add_cstr(&octets, "Subject: big\r\n\r\n");
		while (octets.len + 2 < size) {
			size_t room = size - octets.len - 2;
			/* A dot now and then, which must be stuffed. */
			for (size_t i = 0; i < (room < 70 ? room : 70); i++)
				buffer_add_byte(&octets, i ? (uint8_t)('a' + i % 26) : '.');
			buffer_add(&octets, SLICE("\r\n"));
		}
	} else if (!take_this_word(&c, "from") || !take_scene_word(&c, &word) ||
		   !read_message_file(word, &octets)) {
		buffer_free(&octets);
		return complain("a message has a block, a size or a file");
	}
	mail.intake = intake_new(world->store, world->loop, intake_has_room, &mail);
	for (size_t at = 0; at < octets.len; at += 60000) {
		mail.room = intake_feed(mail.intake, slice_sub(buffer_slice(&octets), at, 60000));
		while (!mail.room)
			world_turn(world, 5);
	}
	mail.entry.size_octets = octets.len;
	enum err err = intake_finish(mail.intake);
	if (err == ERR_OK)
		err = world_write(world, write_message, &mail);
	good = scene_wrote(err);
	intake_free(&mail.intake);
	buffer_free(&octets);
	return good;
}

static bool take_service(struct cursor *c, enum config_service *service_out)
{
	struct slice word;
	if (!take_scene_word(c, &word))
		return false;
	for (unsigned i = 0; i < SERVICE_COUNT; i++)
		if (slice_eq(word, slice_cstr(config_service_name((enum config_service)i)))) {
			*service_out = (enum config_service)i;
			return true;
		}
	return complain("no such service");
}

static bool take_peer(struct cursor *c, struct peer *peer_out)
{
	struct slice word;
	char text[64];
	struct peer peer = { .port = 40000 };
	if (!take_scene_word(c, &word))
		return false;
	snprintf(text, sizeof(text), "%.*s", SLICE_ARG(word));
	if (inet_pton(AF_INET, text, peer.address) == 1)
		peer.family = 4;
	else if (inet_pton(AF_INET6, text, peer.address) == 1)
		peer.family = 6;
	else
		return complain("not an address");
	*peer_out = peer;
	return true;
}

/* How connections start: [connection N] service NAME | secure | from ADDRESS | signed in as
 * ACCOUNT. Without a number: all of them. False with *mine_out unset: not one of these. */
static bool given_connection(struct world *world, struct cursor c, bool *mine_out)
{
	uint64_t first = 1, last = TRANSCRIPT_CONNECTIONS_MAX;
	struct connection like = { 0 };
	enum { SERVICE, SECURE, FROM, SIGNED_IN } what;
	*mine_out = true;
	if (take_this_word(&c, "connection")) {
		if (!take_number(&c, last, &first) || first == 0)
			return complain("which connection?");
		last = first;
	}
	if (take_this_word(&c, "service")) {
		what = SERVICE;
		if (!take_service(&c, &like.service))
			return false;
	} else if (take_this_word(&c, "secure")) {
		what = SECURE;
	} else if (take_this_word(&c, "from")) {
		what = FROM;
		if (!take_peer(&c, &like.peer))
			return false;
	} else if (take_this_word(&c, "signed") && take_this_word(&c, "in") &&
		   take_this_word(&c, "as")) {
		what = SIGNED_IN;
		like.signed_in = take_account(world, &c);
		if (!like.signed_in)
			return false;
	} else {
		*mine_out = false;
		return false;
	}
	for (uint64_t i = first; i <= last; i++) {
		struct connection *connection = &world->connections[i];
		if (what == SERVICE)
			connection->service = like.service;
		else if (what == SECURE)
			connection->secure = true;
		else if (what == FROM)
			connection->peer = like.peer;
		else
			connection->signed_in = like.signed_in;
	}
	return true;
}

bool scene_given(struct world *world, const struct line *line)
{
	struct cursor c = cursor_of(line->text);
	struct slice word;
	bool mine;
	bool good = given_connection(world, c, &mine);
	if (mine)
		return good;
	if (take_this_word(&c, "account"))
		return given_account(world, c);
	if (take_this_word(&c, "domain"))
		return given_domain(world, c);
	if (take_this_word(&c, "alias"))
		return given_alias(world, c);
	if (take_this_word(&c, "post"))
		return given_post(world, c);
	if (take_this_word(&c, "mailbox"))
		return given_mailbox(world, c);
	if (take_this_word(&c, "quota"))
		return given_quota(world, c);
	if (take_this_word(&c, "shared"))
		return given_shared_account(world, c) || complain("given shared account ADDRESS");
	if (take_this_word(&c, "administrator"))
		return given_administrator(world, c) || complain("given administrator ADDRESS");
	if (take_this_word(&c, "rights"))
		return given_rights(world, c) ||
		       complain("given rights ACCOUNT MAILBOX IDENTIFIER RIGHTS");
	if (take_this_word(&c, "message"))
		return given_message(world, c, line);
	if (take_this_word(&c, "time") && take_scene_word(&c, &word))
		return scene_set_time(word);
	if (take_this_word(&c, "no") && take_this_word(&c, "account"))
		return given_removal(world, c);
	if (slice_eq(line->text, SLICE("the back is away"))) {
		world_back_leaves(world);
		return true;
	}
	return complain("an unknown given");
}
