/* tests/unit/imapd/view.c - several sessions of one mailbox do random things; each has a client
 * that believes what it is told and nothing else. After a NOOP it must believe what the store
 * holds. Some have enabled IMAP4rev2, CONDSTORE or QRESYNC; those of the last come back at
 * times, and know the truth from the answer to SELECT alone. Some do their things in the middle of
 * another's command: its job has been done, and what comes of it has not been said yet. RFC 9051 sections
 * 5.5, 7.4, 7.5; RFC 2180; RFC 7162. */
#include "tests/unit/unit.h"

#include "tests/unit/imapd/core.h"

#include "base/cursor.h"
#include "storage/message.h"

enum { CLIENTS_MAX = 8, BELIEFS_MAX = 3000 };

enum client_kind { PLAIN, REV2, CONDSTORE, QRESYNC, KINDS };

struct belief {
	uint32_t uid;
	uint8_t flags;
};

struct client {
	struct session *session;
	bool is_busy; /* in the middle of a command */
	unsigned tag;
	struct belief beliefs[BELIEFS_MAX];
	size_t count;
	size_t known; /* of these it has asked for UID and flags */
	enum client_kind kind;
	uint64_t uidvalidity;
	uint64_t modseq;	  /* what it believes is true as of then */
	uint64_t seen_modseq;	  /* the highest of a command */
	uint64_t declared_modseq; /* HIGHESTMODSEQ of a command; 0: none */
};

static struct core_world world;
static struct client clients[CLIENTS_MAX];
static unsigned client_count;
static bool others_interfere;
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

static uint64_t number_behind(struct slice line, struct slice word)
{
	uint64_t number;
	size_t at = slice_find(line, 0, word);
	if (at == line.len)
		return 0;
	struct cursor c = cursor_of(slice_sub(line, at + word.len, line.len));
	return take_number(&c, UINT64_MAX, &number) ? number : 0;
}

static void note_modseqs(struct client *client, struct slice line)
{
	uint64_t modseq = number_behind(line, SLICE("MODSEQ ("));
	uint64_t declared = number_behind(line, SLICE("[HIGHESTMODSEQ "));
	uint64_t uidvalidity = number_behind(line, SLICE("[UIDVALIDITY "));
	if (modseq > client->seen_modseq)
		client->seen_modseq = modseq;
	if (declared)
		client->declared_modseq = declared;
	if (uidvalidity)
		client->uidvalidity = uidvalidity;
}

/* RFC 7162 section 3.2: at a command's end the client has come as far as it was told. */
static void settle_modseq(struct client *client)
{
	if (client->declared_modseq)
		client->modseq = client->declared_modseq;
	else if (client->seen_modseq > client->modseq)
		client->modseq = client->seen_modseq;
	client->declared_modseq = client->seen_modseq = 0;
}

static void forget(struct client *client, size_t index)
{
	memmove(&client->beliefs[index], &client->beliefs[index + 1],
		(client->count - index - 1) * sizeof(client->beliefs[0]));
	client->count--;
	if (client->known > index)
		client->known--;
}

/* One UID has vanished. Of a message that went before its UID could be asked, the neighbours tell
 * which number it had. */
static bool vanish_one(struct client *client, uint64_t uid)
{
	size_t i = 0;
	while (i < client->count && (client->beliefs[i].uid == 0 || client->beliefs[i].uid < uid))
		i++;
	if (i < client->count && client->beliefs[i].uid == uid) {
		forget(client, i);
		return true;
	}
	if (i == 0 || client->beliefs[i - 1].uid != 0)
		return false;
	forget(client, i - 1);
	return true;
}

/* A set of UIDs; all_known: the client has been told of all of them. */
static void vanish(struct client *client, struct cursor *c, bool all_known)
{
	do {
		uint64_t first, last;
		assert_true(take_number(c, UINT32_MAX, &first));
		last = first;
		if (take_byte(c, ':'))
			assert_true(take_number(c, UINT32_MAX, &last));
		for (uint64_t uid = first; uid <= last; uid++)
			assert_true(vanish_one(client, uid) || !all_known);
	} while (take_byte(c, ','));
	assert_true(at_end(c));
}

/* A literal's octets never come here: nothing with a body is fetched. */
static void believe(struct client *client, struct slice line, bool may_expunge)
{
	struct cursor c = cursor_of(line);
	uint64_t number, uid;
	note_modseqs(client, line);
	if (!take_byte(&c, '*') || !take_byte(&c, ' '))
		return;
	if (take_word_nocase(&c, SLICE("VANISHED "))) {
		assert_true(may_expunge && client->kind == QRESYNC);
		vanish(client, &c, true);
		return;
	}
	if (!take_number(&c, UINT32_MAX, &number) || !take_byte(&c, ' '))
		return;
	if (take_word_nocase(&c, SLICE("EXISTS"))) {
		assert_true(number >= client->count && number <= BELIEFS_MAX);
		for (; client->count < number; client->count++)
			client->beliefs[client->count] = (struct belief){ 0 };
	} else if (take_word_nocase(&c, SLICE("EXPUNGE"))) {
		assert_true(may_expunge && client->kind != QRESYNC);
		assert_true(number >= 1 && number <= client->count);
		forget(client, (size_t)number - 1);
	} else if (take_word_nocase(&c, SLICE("FETCH (UID "))) {
		assert_true(number >= 1 && number <= client->count);
		assert_true(take_number(&c, UINT32_MAX, &uid));
		struct belief *belief = &client->beliefs[number - 1];
		assert_true(belief->uid == 0 || belief->uid == uid);
		belief->uid = (uint32_t)uid;
		if (slice_find(line, 0, SLICE("FLAGS")) < line.len)
			belief->flags = read_flags(cursor_rest(&c));
		assert_true(client->kind != REV2 ||
			    slice_find(line, 0, SLICE("Recent")) == line.len);
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
	settle_modseq(client);
	buffer_free(said);
}

static void interfere(void);

static void say(struct client *client, const char *line, struct buffer *said)
{
	struct cursor in = cursor_of(slice_cstr(line));
	struct session *session = client->session;
	enum step step;
	client->is_busy = true;
	while ((step = session_drive(session, &in)) != STEP_INPUT) {
		core_drain(session, said);
		assert_int_not_equal(step, STEP_CLOSE);
		if (!session->job_out)
			continue;
		while (session->job_out)
			loop_run_once(world.loop, 1000);
		if (others_interfere && random() % 4 == 0)
			interfere();
	}
	client->is_busy = false;
	core_drain(session, said);
	assert_true(at_end(&in));
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
	say(client, line, &said);
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
	/* A condition may fail, so what became of it is always asked for. */
	char condition[60] = "";
	if (client->kind >= CONDSTORE && random() % 3 == 0) {
		is_silent = false;
		snprintf(condition, sizeof(condition), "(UNCHANGEDSINCE %llu) ",
			 (unsigned long long)client->modseq - (unsigned long long)random() % 3);
	}
	if (is_silent)
		for (size_t i = first; i <= last; i++)
			expect_flags(&client->beliefs[i - 1], how, (uint8_t)(1 << flag));
	size_t from = uid ? client->beliefs[first - 1].uid : first;
	size_t to = uid ? client->beliefs[last - 1].uid : last;
	char text[200];
	snprintf(text, sizeof(text), "%sSTORE %zu:%zu %s%sFLAGS%s (%s)", uid ? "UID " : "", from,
		 to, condition, changes[how], is_silent ? ".SILENT" : "", flag_names[flag]);
	command(client, uid, "%s", text);
}

static void random_idle(struct client *client)
{
	struct buffer said = { 0 };
	char line[40];
	snprintf(line, sizeof(line), "t%u IDLE\r\n", ++client->tag);
	assert_true(core_feed(&world, client->session, slice_cstr(line), &said));
	/* Another one does something meanwhile. */
	struct client *other = &clients[(unsigned long)random() % client_count];
	client->is_busy = true;
	if (!other->is_busy && other->session) {
		ask_about_new(other);
		command(other, true, "APPEND INBOX {7+}\r\nA: b\r\n\r");
		assert_true(core_turn(&world, client->session, &said));
	}
	assert_true(core_feed(&world, client->session, SLICE("DONE\r\n"), &said));
	client->is_busy = false;
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

static void interfere(void)
{
	struct client *other = &clients[(unsigned long)random() % client_count];
	if (other->is_busy || !other->session)
		return;
	others_interfere = false;
	ask_about_new(other);
	if (other->count > 0 && other->count < 60 && random() % 2)
		command(other, true, "MOVE %zu INBOX", other->count);
	else
		random_step(other);
	others_interfere = true;
}

static void sign_in(struct client *client, unsigned conn_id)
{
	static const char *const enables[KINDS] = { NULL, "ENABLE IMAP4rev2", "ENABLE CONDSTORE",
						    "ENABLE QRESYNC" };
	struct buffer said = { 0 };
	client->session = core_sign_in(&world, conn_id);
	assert_true(core_feed(&world, client->session, SLICE_NONE, &said));
	buffer_free(&said);
	if (enables[client->kind])
		command(client, true, "%s", enables[client->kind]);
}

static void start(unsigned count)
{
	core_world_start(&world);
	client_count = count;
	for (unsigned i = 0; i < count; i++) {
		clients[i] = (struct client){ .kind = (enum client_kind)(i % KINDS) };
		sign_in(&clients[i], i + 1);
		command(&clients[i], true, "SELECT INBOX");
	}
}

/* One line of the answer to SELECT with QRESYNC; UIDs tell what is meant. */
static void believe_by_uid(struct client *client, struct slice line, uint64_t *exists)
{
	struct cursor c = cursor_of(line);
	uint64_t number, uid;
	note_modseqs(client, line);
	if (!take_byte(&c, '*') || !take_byte(&c, ' '))
		return;
	if (take_word_nocase(&c, SLICE("VANISHED (EARLIER) "))) {
		vanish(client, &c, false);
	} else if (take_number(&c, UINT32_MAX, &number) && take_byte(&c, ' ')) {
		if (take_word_nocase(&c, SLICE("EXISTS")))
			*exists = number;
		if (!take_word_nocase(&c, SLICE("FETCH (UID ")))
			return;
		assert_true(take_number(&c, UINT32_MAX, &uid));
		size_t i = 0;
		while (i < client->count && client->beliefs[i].uid < uid)
			i++;
		if (i == client->count || client->beliefs[i].uid != uid) {
			memmove(&client->beliefs[i + 1], &client->beliefs[i],
				(client->count - i) * sizeof(client->beliefs[0]));
			client->count++;
		}
		client->beliefs[i].uid = (uint32_t)uid;
		client->beliefs[i].flags = read_flags(cursor_rest(&c));
		assert_int_equal(number, i + 1);
	}
}

static void believes_the_truth(struct client *client);

/* The connection breaks; others do something; the client comes back. */
static void come_back(struct client *client)
{
	char line[100];
	struct buffer said = { 0 };
	uint64_t exists = 0;
	assert_int_equal(client->known, client->count);
	core_sign_out(&world, client->session);
	client->session = NULL;
	struct client *other = &clients[(unsigned long)random() % client_count];
	if (other != client) {
		ask_about_new(other);
		for (unsigned i = 0; i < 3; i++)
			random_step(other);
	}
	uint64_t modseq = client->modseq;
	sign_in(client, 100 + (unsigned)random() % 1000);
	snprintf(line, sizeof(line), "t%u SELECT INBOX (QRESYNC (%llu %llu))\r\n", ++client->tag,
		 (unsigned long long)client->uidvalidity, (unsigned long long)modseq);
	assert_true(core_feed(&world, client->session, slice_cstr(line), &said));
	struct cursor c = cursor_of(buffer_slice(&said));
	struct slice text = SLICE_NONE;
	while (take_crlf_line(&c, &text))
		believe_by_uid(client, text, &exists);
	settle_modseq(client);
	buffer_free(&said);
	assert_int_equal(exists, client->count);
	client->known = client->count;
	believes_the_truth(client);
}

static void stop(unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		core_sign_out(&world, clients[i].session);
	core_world_stop(&world);
}

static void random_dialog(unsigned count, unsigned steps)
{
	start(count);
	for (unsigned step = 0; step < steps; step++) {
		struct client *client = &clients[(unsigned long)random() % count];
		ask_about_new(client);
		others_interfere = true;
		if (client->kind == QRESYNC && random() % 20 == 0)
			come_back(client);
		else
			random_step(client);
		others_interfere = false;
		if (step % 10 == 0) {
			catch_up(client);
			believes_the_truth(client);
		}
	}
	for (unsigned i = 0; i < count; i++) {
		catch_up(&clients[i]);
		believes_the_truth(&clients[i]);
	}
	stop(count);
}

static void clients_believe_the_truth(void **state)
{
	srandom(5);
	random_dialog(2, 1000);
	random_dialog(4, 3000);
	random_dialog(8, 3000);
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
