/* tests/transcripts/dialog.c - says the client's lines, compares the server's. */
#include "tests/transcripts/dialog.h"

#include <stdio.h>
#include <stdlib.h>

#include "runtime/session.h"

enum { HISTORY_LINES = 14, SHOWN_OCTETS = 200 };

struct dialog {
	const struct transcript *transcript;
	struct world world;
	struct names names;
	enum cutting cutting;
	unsigned random;
	const struct line *line; /* where we are */
	unsigned sending;	 /* the connection that `unsent` belongs to; 0: none */
	struct buffer unsent;
	char *history[HISTORY_LINES];
	unsigned said;
};

/* Text with what is no character of it shown as \xNN. Ends in NUL. */
static struct buffer show(struct slice text, size_t max_octets)
{
	struct buffer shown = { 0 };
	struct cursor c = cursor_of(slice_sub(text, 0, max_octets));
	for (; !at_end(&c); c.at++)
		if (*c.at >= ' ' && *c.at != 0x7f)
			buffer_add_byte(&shown, *c.at);
		else
			buffer_add_format(&shown, "\\x%02x", *c.at);
	buffer_add_byte(&shown, '\0');
	return shown;
}

static void remember(struct dialog *dialog, char who, unsigned connection, struct slice text)
{
	struct buffer shown = show(text, SHOWN_OCTETS), line = { 0 };
	buffer_add_format(&line, "%c%u: %s", who, connection, (const char *)shown.data);
	buffer_add_byte(&line, '\0');
	buffer_free(&shown);
	char **place = &dialog->history[dialog->said++ % HISTORY_LINES];
	free(*place);
	*place = (char *)line.data;
}

static bool failed(const struct dialog *dialog, const char *what)
{
	printf("# %s:%u: %s\n", dialog->transcript->file_name, dialog->line->number, what);
	unsigned from = dialog->said > HISTORY_LINES ? dialog->said - HISTORY_LINES : 0;
	if (dialog->said > from)
		printf("#   the dialog so far:\n");
	for (unsigned i = from; i < dialog->said; i++)
		printf("#     %s\n", dialog->history[i % HISTORY_LINES]);
	return false;
}

static bool mismatch(const struct dialog *dialog, struct slice pattern, struct slice got)
{
	struct buffer shown = show(got, 4 * SHOWN_OCTETS);
	printf("# %s:%u: connection %u\n#   expected: %.*s\n#   received: %s\n",
	       dialog->transcript->file_name, dialog->line->number, dialog->line->connection,
	       SLICE_ARG(pattern), (const char *)shown.data);
	buffer_free(&shown);
	return failed(dialog, "not what was expected");
}

static struct connection *at_connection(struct dialog *dialog)
{
	return &dialog->world.connections[dialog->line->connection];
}

static size_t next_cut(struct dialog *dialog, size_t left)
{
	size_t len = left;
	if (dialog->cutting == CUT_OCTETS)
		len = 1;
	else if (dialog->cutting == CUT_RANDOM)
		len = 1 +
		      (size_t)rand_r(&dialog->random) % (rand_r(&dialog->random) % 4 ? 12 : 200);
	return len < left ? len : left;
}

/* A dialog that sends much says nothing new when each of its octets is a turn of its own. */
enum { CUT_MAX_OCTETS = 64 * 1024 };

static bool flush(struct dialog *dialog)
{
	unsigned number = dialog->sending;
	if (number == 0)
		return true;
	struct wire *wire = &dialog->world.connections[number].wire;
	struct slice octets = buffer_slice(&dialog->unsent);
	int64_t deadline_ms = world_deadline_ms();
	size_t at = 0, sent;
	while (at < octets.len) {
		size_t len =
			at < CUT_MAX_OCTETS ? next_cut(dialog, octets.len - at) : octets.len - at;
		sent = wire_write(wire, slice_sub(octets, at, len));
		at += sent;
		world_turn(&dialog->world, sent ? 0 : 5);
		if (dialog->cutting != CUT_NOT)
			for (unsigned i = 0; i < 8 && !wire_is_drained(wire); i++)
				world_turn(&dialog->world, 0);
		if (sent)
			deadline_ms = world_deadline_ms();
		else if (world_is_past(deadline_ms))
			return failed(dialog, "the server does not read");
	}
	buffer_free(&dialog->unsent);
	dialog->sending = 0;
	return true;
}

static bool ready(struct dialog *dialog)
{
	if (at_connection(dialog)->opened ||
	    world_connect(&dialog->world, dialog->line->connection))
		return true;
	return failed(dialog, "the connection could not be opened");
}

static bool play_send(struct dialog *dialog)
{
	struct slice text = dialog->line->text;
	if (dialog->sending && dialog->sending != dialog->line->connection && !flush(dialog))
		return false;
	remember(dialog, 'C', dialog->line->connection, text);
	if (slice_eq(text, SLICE("(closed)")) || slice_eq(text, SLICE("(ended)"))) {
		if (!flush(dialog))
			return false;
		if (text.ptr[1] == 'c')
			wire_close(&at_connection(dialog)->wire);
		else
			wire_end(&at_connection(dialog)->wire);
		return true;
	}
	dialog->sending = dialog->line->connection;
	if (!expectation_expand(text, &dialog->names, &dialog->unsent))
		return failed(dialog, "an unknown name, or a repeat that makes no sense");
	if (dialog->line->kind == LINE_SEND)
		buffer_add(&dialog->unsent, SLICE("\r\n"));
	return true;
}

enum coming { COMING_LINE, COMING_END, COMING_NOTHING };

/* Waits for the next line, or the end. The line stays in the wire's buffer. */
static enum coming wait_line(struct dialog *dialog, struct slice *line_out)
{
	struct wire *wire = &at_connection(dialog)->wire;
	int64_t deadline_ms = world_deadline_ms();
	for (;;) {
		struct cursor c = cursor_of(wire_unread(wire));
		if (take_crlf_line(&c, line_out))
			return COMING_LINE;
		if (wire->ended || wire->fd < 0)
			return COMING_END;
		if (world_turn(&dialog->world, 5))
			deadline_ms = world_deadline_ms();
		else if (world_is_past(deadline_ms))
			return COMING_NOTHING;
	}
}

static bool get_line(struct dialog *dialog, struct slice wanted, struct slice *line_out)
{
	switch (wait_line(dialog, line_out)) {
	case COMING_LINE: return true;
	case COMING_END: return mismatch(dialog, wanted, SLICE("(closed)"));
	case COMING_NOTHING: return mismatch(dialog, wanted, SLICE("(nothing)"));
	}
	return false;
}

static void drop_line(struct dialog *dialog, struct slice line)
{
	remember(dialog, 'S', dialog->line->connection, line);
	wire_take(&at_connection(dialog)->wire, line.len + 2);
}

static bool expect_end(struct dialog *dialog)
{
	struct slice line;
	const struct wire *wire = &at_connection(dialog)->wire;
	enum coming coming = wait_line(dialog, &line);
	if (coming == COMING_END && wire_unread(wire).len > 0)
		return mismatch(dialog, SLICE("(closed)"), wire_unread(wire));
	if (coming == COMING_END)
		return true;
	return mismatch(dialog, SLICE("(closed)"),
			coming == COMING_LINE ? line : SLICE("(nothing)"));
}

/* Nothing may be there now. What comes late is caught by the next expectation. */
static bool expect_nothing(struct dialog *dialog)
{
	const struct wire *wire = &at_connection(dialog)->wire;
	for (unsigned quiet = 0; quiet < 5; quiet++)
		if (world_turn(&dialog->world, 2))
			quiet = 0;
	if (wire_unread(wire).len > 0)
		return mismatch(dialog, SLICE("(nothing)"), wire_unread(wire));
	return !wire->ended || mismatch(dialog, SLICE("(nothing)"), SLICE("(closed)"));
}

static bool play_expect(struct dialog *dialog)
{
	struct slice pattern = dialog->line->text, line;
	if (slice_eq(pattern, SLICE("(closed)")))
		return expect_end(dialog);
	if (slice_eq(pattern, SLICE("(nothing)")))
		return expect_nothing(dialog);
	do {
		if (!get_line(dialog, pattern, &line))
			return false;
		bool matches = expectation_matches(pattern, line, &dialog->names);
		if (!matches && dialog->line->kind != LINE_EXPECT_UNTIL)
			return mismatch(dialog, pattern, line);
		drop_line(dialog, line);
		if (matches)
			return true;
	} while (true);
}

/* The run of S-any lines that starts here: each line that comes must fit one that is left. */
static bool play_expect_any(struct dialog *dialog, size_t *index)
{
	enum { RUN_MAX = 64 };
	const struct line *lines = dialog->transcript->lines;
	bool fitted[RUN_MAX] = { false };
	size_t first = *index, count = 0;
	while (first + count < dialog->transcript->count && count < RUN_MAX &&
	       lines[first + count].kind == LINE_EXPECT_ANY &&
	       lines[first + count].connection == dialog->line->connection)
		count++;
	for (size_t n = 0; n < count; n++) {
		struct slice line;
		size_t i = 0;
		if (!get_line(dialog, SLICE("one of the S-any lines"), &line))
			return false;
		while (i < count && (fitted[i] || !expectation_matches(lines[first + i].text, line,
								       &dialog->names)))
			i++;
		if (i == count)
			return mismatch(dialog, SLICE("one of the S-any lines"), line);
		fitted[i] = true;
		drop_line(dialog, line);
	}
	*index = first + count - 1;
	return true;
}

static bool play_tls(struct dialog *dialog)
{
	struct wire *wire = &at_connection(dialog)->wire;
	remember(dialog, 'C', dialog->line->connection, SLICE("(starts TLS)"));
	if (wire_unread(wire).len > 0)
		return mismatch(dialog, SLICE("nothing before TLS"), wire_unread(wire));
	return world_handshake(&dialog->world, dialog->line->connection) ||
	       failed(dialog, "no TLS");
}

static bool play_line(struct dialog *dialog, size_t *index)
{
	const struct line *line = dialog->line;
	bool client = line->kind == LINE_SEND || line->kind == LINE_SEND_OPEN;
	bool about_world = line->kind == LINE_GIVEN || line->kind == LINE_THEN;
	if (!client && !flush(dialog))
		return false;
	if (!about_world && line->kind != LINE_SHUTDOWN && !ready(dialog))
		return false;
	switch (line->kind) {
	case LINE_GIVEN: return scene_given(&dialog->world, line) || failed(dialog, "given");
	case LINE_THEN:
		return scene_then(&dialog->world, line, &dialog->names) || failed(dialog, "then");
	case LINE_SEND:
	case LINE_SEND_OPEN: return play_send(dialog);
	case LINE_EXPECT:
	case LINE_EXPECT_UNTIL: return play_expect(dialog);
	case LINE_EXPECT_ANY: return play_expect_any(dialog, index);
	case LINE_TLS: return play_tls(dialog);
	case LINE_SHUTDOWN: session_shutdown_all(dialog->world.loop); return true;
	}
	return false;
}

/* A server that says more than it was expected to is wrong, too. */
static bool play_end(struct dialog *dialog)
{
	if (!flush(dialog))
		return false;
	for (unsigned i = 0; i < 3; i++)
		world_turn(&dialog->world, 1);
	for (unsigned i = 1; i <= TRANSCRIPT_CONNECTIONS_MAX; i++) {
		struct slice unread = wire_unread(&dialog->world.connections[i].wire);
		if (unread.len > 0)
			return mismatch(dialog, SLICE("nothing more"), unread);
	}
	return world_stop(&dialog->world) || failed(dialog, "the world does not end");
}

/* "config section.key value" and a first "time" are needed before there is a world. */
static size_t read_settings(const struct transcript *transcript, struct slice *settings, size_t max)
{
	size_t count = 0;
	for (size_t i = 0; i < transcript->count; i++) {
		struct cursor c = cursor_of(transcript->lines[i].text);
		if (transcript->lines[i].kind != LINE_GIVEN)
			continue;
		if (take_word_nocase(&c, SLICE("config ")) && count < max)
			settings[count++] = slice_trim(cursor_rest(&c));
	}
	return count;
}

static bool is_setting(const struct line *line)
{
	return line->kind == LINE_GIVEN && (slice_starts_nocase(line->text, SLICE("config ")) ||
					    slice_eq(line->text, SLICE("one piece")));
}

bool dialog_play(const struct transcript *transcript, enum cutting cutting, unsigned seed,
		 const struct world_identity *identity, const char *dir,
		 enum config_service service)
{
	static struct dialog dialog;
	static const struct line example_org = {
		.kind = LINE_GIVEN, .text = { (const uint8_t *)"domain example.org", 18 }
	};
	struct slice settings[32];
	size_t setting_count = read_settings(transcript, settings, ARRAY_LEN(settings));
	dialog = (struct dialog){ .transcript = transcript,
				  .cutting = cutting,
				  .random = seed,
				  .line = &transcript->lines[0] };
	if (!world_start(&dialog.world, identity, dir, service, settings, setting_count) ||
	    !scene_given(&dialog.world, &example_org))
		return failed(&dialog, "the world does not start");
	for (size_t i = 0; i < transcript->count; i++) {
		dialog.line = &transcript->lines[i];
		if (!is_setting(dialog.line) && !play_line(&dialog, &i))
			return false;
	}
	bool good = play_end(&dialog);
	names_free(&dialog.names);
	for (unsigned i = 0; i < HISTORY_LINES; i++)
		free(dialog.history[i]);
	return good;
}
