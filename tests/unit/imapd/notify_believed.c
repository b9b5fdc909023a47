/* tests/unit/imapd/notify_believed.c - a client that believes what NOTIFY tells it of others' mailboxes, whatever
 * happens to names and rights meanwhile. */
#include "tests/unit/imapd/sharing.h"

enum { BELIEVED_MAX = 400, BELIEVED_OCTETS = 80 };

struct client {
	char names[BELIEVED_MAX][BELIEVED_OCTETS];
	size_t count;
};

static void forget(struct client *client, struct slice name)
{
	for (size_t i = 0; i < client->count; i++)
		if (slice_eq(slice_cstr(client->names[i]), name)) {
			memcpy(client->names[i], client->names[--client->count], BELIEVED_OCTETS);
			return;
		}
}

static void believe(struct client *client, struct slice name)
{
	forget(client, name);
	assert_true(client->count < BELIEVED_MAX && name.len < BELIEVED_OCTETS);
	snprintf(client->names[client->count++], BELIEVED_OCTETS, "%.*s", SLICE_ARG(name));
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* "\"Other Users/ida@example.org/i-0000\"", from `at` on; empty at the end. */
static struct slice name_from(struct slice line, size_t *at)
{
	struct slice prefix = SLICE("Other Users/ida@example.org/");
	size_t start = slice_find(line, *at, prefix);
	if (start == line.len)
		return SLICE_NONE;
	start += prefix.len;
	*at = slice_find_byte(line, start, '"');
	return slice_sub(line, start, *at - start);
}

static void hear(struct client *client, struct slice said)
{
	while (said.len > 0) {
		size_t end = slice_find_byte(said, 0, '\n'), at = 0;
		struct slice line = slice_sub(said, 0, end);
		struct slice name = name_from(line, &at), old_name = name_from(line, &at);
		said = slice_sub(said, end + 1, said.len);
		if (slice_find(line, 0, SLICE("* LIST (")) != 0 || name.len == 0)
			continue;
		forget(client, old_name);
		if (slice_find(line, 0, SLICE("\\NonExistent")) < line.len)
			forget(client, name);
		else
			believe(client, name);
	}
}

static void assert_same_names(struct client *told, struct client *true_ones)
{
	qsort(told->names, told->count, BELIEVED_OCTETS, compare_names);
	qsort(true_ones->names, true_ones->count, BELIEVED_OCTETS, compare_names);
	for (size_t i = 0; i < told->count && i < true_ones->count; i++)
		assert_string_equal(told->names[i], true_ones->names[i]);
	assert_int_equal(told->count, true_ones->count);
}

struct mishap {
	struct job job;
	enum { GRANT, REVOKE, RENAME, SWAP, DELETE, CREATE, MISHAPS } kind;
	unsigned a, b;
};

static struct slice name_of(unsigned i, char out[static 10])
{
	snprintf(out, 10, "i-%04u", i % 10000);
	return slice_cstr(out);
}

static enum err set_rights(struct write *write, uint32_t owner_id, struct slice name,
			   unsigned rights)
{
	const struct acl_entry entry = { ACL_ANYONE, false, rights };
	struct arena arena = { 0 };
	struct mailbox *mailbox = arena_alloc(&arena, sizeof(*mailbox));
	enum err err = mailbox_find(write_read(write), owner_id, name, &arena, mailbox);
	if (err == ERR_OK)
		err = acl_change(write, mailbox->mailbox_id, ACL_SET, &entry);
	arena_fini(&arena);
	return err;
}

static enum err run_mishap(struct write *write, struct job *job)
{
	const struct mishap *m = CONTAINER_OF(job, struct mishap, job);
	struct arena arena = { 0 };
	struct account ida;
	char a_text[10], b_text[10];
	struct slice a = name_of(m->a, a_text), b = name_of(m->b, b_text);
	uint64_t mailbox_id;
	enum err err = account_find(write_read(write), SLICE("ida@example.org"), &arena, &ida);
	uint32_t id = ida.account_id;
	if (err == ERR_OK)
		switch (m->kind) {
		case GRANT: err = set_rights(write, id, a, READABLE); break;
		case REVOKE: err = set_rights(write, id, a, 0); break;
		case RENAME: err = mailbox_rename(write, id, a, b); break;
		case SWAP:
			err = mailbox_rename(write, id, a, SLICE("between"));
			if (err == ERR_OK)
				err = mailbox_rename(write, id, b, a);
			if (err == ERR_OK)
				err = mailbox_rename(write, id, SLICE("between"), b);
			break;
		case DELETE: err = mailbox_delete(write, id, a); break;
		case CREATE:
			err = mailbox_create(write, id, a, USE_NONE, &mailbox_id);
			if (err == ERR_OK)
				err = set_rights(write, id, a, READABLE);
			break;
		case MISHAPS: break;
		}
	arena_fini(&arena);
	return err;
}

static unsigned dice(unsigned *seed, unsigned sides)
{
	*seed = *seed * 1103515245 + 12345;
	return (*seed >> 16) % sides;
}

static struct mishap any_mishap(unsigned *seed, unsigned names)
{
	return (struct mishap){
		{ .run = run_mishap }, dice(seed, MISHAPS), dice(seed, names), dice(seed, names)
	};
}

/* The loop hears of what is written between any two turns. */
static void turn_until_quiet(struct session *session, struct buffer *said)
{
	enum { QUIET_TURNS = 3 };
	struct cursor nothing = cursor_of(SLICE_NONE);
	for (unsigned quiet = 0; quiet < QUIET_TURNS;) {
		loop_run_once(world.loop, 0);
		enum step step = session_drive(session, &nothing);
		assert_int_not_equal(step, STEP_CLOSE);
		quiet = step == STEP_INPUT ? quiet + 1 : 0;
		core_drain(session, said);
	}
}

/* Rights and names change between any two turns of the list: when all is quiet again, the client knows what
 * there is. */
static void in_the_end_the_client_knows_all(void **state)
{
	enum { ROUNDS = 200, MAILBOXES = 150, NAMES = 200 };
	unsigned seed = 1;
	struct client *told = heap_alloc(sizeof(*told)),
		      *true_ones = heap_alloc(sizeof(*true_ones));
	struct buffer said = { 0 };
	const char *list = "l LIST \"\" \"Other Users/ida@example.org/*\"\r\n";
	share("ida", "i", MAILBOXES, READABLE);
	struct session *session = signed_in_and_said(
		"a NOTIFY SET (subtree \"Other Users/ida@example.org\" (MailboxName))\r\n");
	struct session *other = signed_in_and_said(list);
	assert_true(core_feed(&world, other, slice_cstr(list), &said));
	hear(told, buffer_slice(&said));
	assert_int_equal(told->count, MAILBOXES);
	take_the_clock();
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct mishap first = any_mishap(&seed, NAMES), second = any_mishap(&seed, NAMES);
		if (store_write_now(world.back.store, &first.job) != ERR_OK)
			continue;
		allows_refusal = true;
		write_behind_read(1 + dice(&seed, 16), &second.job);
		buffer_clear(&said);
		turn_until_quiet(session, &said);
		write_behind_read(0, NULL);
		turn_until_quiet(session, &said);
		allows_refusal = false;
		hear(told, buffer_slice(&said));
		buffer_clear(&said);
		true_ones->count = 0;
		assert_true(core_feed(&world, other, slice_cstr(list), &said));
		hear(true_ones, buffer_slice(&said));
		assert_same_names(told, true_ones);
	}
	give_the_clock_back();
	buffer_free(&said);
	free(told);
	free(true_ones);
	core_sign_out(&world, session);
	core_sign_out(&world, other);
}

static void rename_in(unsigned a, unsigned b)
{
	struct mishap m = { { .run = run_mishap }, RENAME, a, b };
	assert_int_equal(store_write_now(world.back.store, &m.job), ERR_OK);
}

/* A name that changes while NOTIFY begins: what is told later says where it comes from. */
static void what_changes_as_it_begins_is_known(void **state)
{
	enum { READS = 12, A = 500 };
	const char *want = "* LIST (\\HasNoChildren) \"/\" \"Other Users/ida@example.org/i-0502\" "
			   "(\"OLDNAME\" (\"Other Users/ida@example.org/i-0501\"))\r\n";
	const char *line =
		"a NOTIFY SET (subtree \"Other Users/ida@example.org\" (MailboxName))\r\n";
	struct mishap create = { { .run = run_mishap }, CREATE, A, 0 };
	assert_int_equal(store_write_now(world.back.store, &create.job), ERR_OK);
	for (unsigned nth = 1; nth <= READS; nth++) {
		struct mishap rename = { { .run = run_mishap }, RENAME, A, A + 1 };
		struct buffer said = { 0 };
		struct session *session = signed_in();
		write_behind_read(nth, &rename.job);
		assert_true(core_feed(&world, session, slice_cstr(line), &said));
		turn_until_quiet(session, &said);
		write_behind_read(0, NULL);
		turn_until_quiet(session, &said);
		buffer_clear(&said);
		rename_in(A + 1, A + 2);
		turn_until_quiet(session, &said);
		assert_slice(buffer_slice(&said), want);
		buffer_free(&said);
		core_sign_out(&world, session);
		rename_in(A + 2, A);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_the_end_the_client_knows_all),
		cmocka_unit_test(what_changes_as_it_begins_is_known),
	};
	return cmocka_run_group_tests(tests, world_setup, world_teardown);
}
