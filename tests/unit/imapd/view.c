/* tests/unit/imapd/view.c - several sessions of one mailbox do random things; each has a client
 * that believes what it is told and nothing else. After a NOOP it must believe what the store
 * holds. RFC 9051 sections 5.5, 7.4, 7.5; RFC 2180. */
#include "tests/unit/unit.h"

#include "tests/unit/imapd/core.h"

#include "base/cursor.h"
#include "storage/message.h"

enum { CLIENTS = 3, BELIEFS_MAX = 3000 };

struct belief {
	uint32_t uid;
	uint8_t flags;
};

struct client {
	struct session *session;
	unsigned tag;
	struct belief beliefs[BELIEFS_MAX];
	size_t count;
	size_t known; /* of these it has asked for UID and flags */
};

static struct core_world world;
static struct client clients[CLIENTS];
static const char *const flag_names[] = { "\\Seen", "\\Answered", "\\Flagged", "\\Deleted",
					  "\\Draft" };

static uint8_t read_flags(struct slice text)
{
	uint8_t flags = 0;
	for (size_t i = 0; i < ARRAY_LEN(flag_names); i++)
		if (slice_find(text, 0, slice_cstr(flag_names[i])) < text.len)
			flags |= (uint8_t)(1 << i);
	return flags;
}

/* A literal's octets never come here: nothing with a body is fetched. */
static void believe(struct client *client, struct slice line, bool may_expunge)
{
	struct cursor c = cursor_of(line);
	uint64_t number, uid;
	if (!take_byte(&c, '*') || !take_byte(&c, ' ') || !take_number(&c, UINT32_MAX, &number) ||
	    !take_byte(&c, ' '))
		return;
	if (take_word_nocase(&c, SLICE("EXISTS"))) {
		assert_true(number >= client->count && number <= BELIEFS_MAX);
		for (; client->count < number; client->count++)
			client->beliefs[client->count] = (struct belief){ 0 };
	} else if (take_word_nocase(&c, SLICE("EXPUNGE"))) {
		assert_true(may_expunge);
		assert_true(number >= 1 && number <= client->count);
		memmove(&client->beliefs[number - 1], &client->beliefs[number],
			(client->count - number) * sizeof(client->beliefs[0]));
		client->count--;
		if (client->known >= number)
			client->known--;
	} else if (take_word_nocase(&c, SLICE("FETCH (UID "))) {
		assert_true(number >= 1 && number <= client->count);
		assert_true(take_number(&c, UINT32_MAX, &uid));
		struct belief *belief = &client->beliefs[number - 1];
		assert_true(belief->uid == 0 || belief->uid == uid);
		belief->uid = (uint32_t)uid;
		belief->flags = read_flags(cursor_rest(&c));
	}
}

static void hear(struct client *client, struct buffer *said, bool may_expunge, const char *tagged)
{
	struct cursor c = cursor_of(buffer_slice(said));
	struct slice line = SLICE_NONE;
	while (take_crlf_line(&c, &line))
		believe(client, line, may_expunge);
	assert_true(at_end(&c));
	if (tagged && !slice_starts_nocase(line, slice_cstr(tagged)))
		fail_msg("\"%.*s\" for %s", SLICE_ARG(line), tagged);
	buffer_free(said);
}

static void command(struct client *client, bool may_expunge, const char *format, ...)
	PRINTF_LIKE(3, 4);
static void command(struct client *client, bool may_expunge, const char *format, ...)
{
	char text[400], line[500], tagged[20];
	struct buffer said = { 0 };
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	snprintf(tagged, sizeof(tagged), "t%u ", ++client->tag);
	snprintf(line, sizeof(line), "%s%s\r\n", tagged, text);
	assert_true(core_feed(&world, client->session, slice_cstr(line), &said));
	hear(client, &said, may_expunge, tagged);
}

/* A client asks about messages it has only been given the number of. */
static void ask_about_new(struct client *client)
{
	while (client->known < client->count) { /* more may come with the answer */
		size_t last = client->count;
		command(client, false, "FETCH %zu:%zu (UID FLAGS)", client->known + 1, last);
		client->known = last;
	}
}

static uint64_t inbox(void)
{
	struct arena arena = { 0 };
	struct mailbox *mailbox = arena_alloc(&arena, sizeof(*mailbox));
	struct read *read = read_begin(world.back.store);
	assert_int_equal(mailbox_find(read, world.account_id, SLICE("INBOX"), &arena, mailbox),
			 ERR_OK);
	uint64_t mailbox_id = mailbox->mailbox_id;
	read_end(&read);
	arena_fini(&arena);
	return mailbox_id;
}

static void believes_the_truth(struct client *client)
{
	struct read *read = read_begin(world.back.store);
	struct message_cursor *cursor = message_cursor_open(read, inbox(), 1);
	struct message_entry entry;
	size_t at = 0;
	while (message_cursor_next(cursor, &entry)) {
		assert_true(at < client->count);
		assert_int_equal(client->beliefs[at].uid, entry.uid);
		assert_int_equal(client->beliefs[at].flags, entry.flags);
		at++;
	}
	assert_int_equal(at, client->count);
	message_cursor_close(&cursor);
	read_end(&read);
}

static void catch_up(struct client *client)
{
	command(client, true, "NOOP");
	ask_about_new(client); /* which may bring news of others itself */
	command(client, true, "NOOP");
}

static void expect_flags(struct belief *belief, unsigned how, uint8_t flags)
{
	if (how == 0)
		belief->flags = flags;
	else if (how == 1)
		belief->flags |= flags;
	else
		belief->flags &= (uint8_t)~flags;
}

static void random_store(struct client *client)
{
	static const char *const changes[] = { "", "+", "-" };
	if (client->count == 0)
		return;
	size_t first = 1 + (size_t)random() % client->count;
	size_t last = first + (size_t)random() % 4;
	unsigned how = (unsigned)random() % 3, flag = (unsigned)random() % 5;
	bool is_silent = random() % 2, uid = random() % 2;
	if (last > client->known)
		last = client->known;
	if (last < first)
		return;
	if (is_silent)
		for (size_t i = first; i <= last; i++)
			expect_flags(&client->beliefs[i - 1], how, (uint8_t)(1 << flag));
	size_t from = uid ? client->beliefs[first - 1].uid : first;
	size_t to = uid ? client->beliefs[last - 1].uid : last;
	char text[100];
	snprintf(text, sizeof(text), "%sSTORE %zu:%zu %sFLAGS%s (%s)", uid ? "UID " : "", from, to,
		 changes[how], is_silent ? ".SILENT" : "", flag_names[flag]);
	command(client, uid, "%s", text);
}

static void random_idle(struct client *client)
{
	struct buffer said = { 0 };
	char line[40];
	snprintf(line, sizeof(line), "t%u IDLE\r\n", ++client->tag);
	assert_true(core_feed(&world, client->session, slice_cstr(line), &said));
	/* Another one does something meanwhile. */
	struct client *other = &clients[random() % CLIENTS];
	if (other != client) {
		command(other, true, "APPEND INBOX {7+}\r\nA: b\r\n\r");
		assert_true(core_turn(&world, client->session, &said));
	}
	assert_true(core_feed(&world, client->session, SLICE("DONE\r\n"), &said));
	hear(client, &said, true, NULL);
}

static void random_step(struct client *client)
{
	size_t n = client->count ? 1 + (size_t)random() % client->count : 0;
	switch (random() % 12) {
	case 0:
	case 1:
	case 2:
	case 3: random_store(client); break;
	case 4:
	case 5: command(client, true, "APPEND INBOX (\\Flagged) {7+}\r\nA: b\r\n\r"); break;
	case 6:
		if (random() % 3 == 0)
			command(client, true, "EXPUNGE");
		break;
	case 7:
		if (n && client->beliefs[n - 1].uid)
			command(client, true, "UID EXPUNGE %u", client->beliefs[n - 1].uid);
		break;
	case 8:
		if (n && client->count < 60)
			command(client, true, random() % 2 ? "COPY %zu INBOX" : "MOVE %zu INBOX",
				n);
		break;
	case 9:
		if (n)
			command(client, false, "FETCH %zu (UID FLAGS)", n);
		break;
	case 10: command(client, false, "SEARCH ALL"); break;
	case 11: random_idle(client); break;
	}
}

static void start(unsigned count)
{
	core_world_start(&world);
	for (unsigned i = 0; i < count; i++) {
		struct buffer said = { 0 };
		clients[i] = (struct client){ .session = core_sign_in(&world, i + 1) };
		assert_true(core_feed(&world, clients[i].session, SLICE_NONE, &said));
		buffer_free(&said);
		command(&clients[i], true, "SELECT INBOX");
	}
}

static void stop(unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		core_sign_out(&world, clients[i].session);
	core_world_stop(&world);
}

static void clients_believe_the_truth(void **state)
{
	srandom(5);
	start(CLIENTS);
	for (unsigned step = 0; step < 3000; step++) {
		struct client *client = &clients[random() % CLIENTS];
		ask_about_new(client);
		random_step(client);
		if (step % 10 == 0) {
			catch_up(client);
			believes_the_truth(client);
		}
	}
	for (unsigned i = 0; i < CLIENTS; i++) {
		catch_up(&clients[i]);
		believes_the_truth(&clients[i]);
	}
	stop(CLIENTS);
}

/* More news than fit into the output at once: told in several goes, numbers right all along. */
static void much_news_is_told_in_goes(void **state)
{
	enum { MESSAGES = 3000 };
	start(2);
	command(&clients[0], true, "APPEND INBOX {7+}\r\nA: b\r\n\r");
	while (clients[0].count < MESSAGES) {
		size_t more = MESSAGES - clients[0].count;
		command(&clients[0], true, "COPY 1:%zu INBOX",
			more < clients[0].count ? more : clients[0].count);
	}
	ask_about_new(&clients[0]);
	catch_up(&clients[1]);
	believes_the_truth(&clients[1]);
	command(&clients[0], true, "STORE 1:* +FLAGS (\\Flagged $Label)");
	catch_up(&clients[1]);
	believes_the_truth(&clients[1]);
	for (unsigned i = 0; i < MESSAGES; i += 100)
		command(&clients[0], false, "STORE %u:%u +FLAGS.SILENT (\\Deleted)", i + 1, i + 98);
	command(&clients[0], true, "EXPUNGE");
	catch_up(&clients[0]);
	assert_int_equal(clients[0].count, MESSAGES / 100 * 2);
	catch_up(&clients[1]);
	believes_the_truth(&clients[1]);
	stop(2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(clients_believe_the_truth),
		cmocka_unit_test(much_news_is_told_in_goes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
