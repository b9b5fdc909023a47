/* admin/sendmail_dialog.c - sendmail -bs: a program speaks SMTP (RFC 5321 section 4.5.1, the least
 * that there is) on standard input and output. What it sends goes the ways of sendmail; whether a
 * recipient exists shows at the end of the data, where one that is refused refuses all. */
#include <string.h>
#include <sysexits.h>

#include "admin/sendmail_priv.h"
#include "base/cursor.h"

struct dialog {
	struct outgoing *outgoing;
	uint64_t size_max_octets;
	char *line;
	size_t line_cap;
	bool has_sender;
};

static void reply(const char *text)
{
	printf("%s\r\n", text);
	fflush(stdout);
}

static void reset(struct dialog *dialog)
{
	outgoing_reset(dialog->outgoing);
	dialog->has_sender = false;
}

/* A line without its end; false where there are no more. */
static bool read_line(struct dialog *dialog, struct slice *line_out)
{
	ssize_t len = getline(&dialog->line, &dialog->line_cap, stdin);
	if (len <= 0)
		return false;
	while (len > 0 && (dialog->line[len - 1] == '\n' || dialog->line[len - 1] == '\r'))
		len--;
	*line_out = slice_of(dialog->line, (size_t)len);
	return true;
}

static void take_mail(struct dialog *dialog, struct cursor *args)
{
	struct arena *arena = &dialog->outgoing->admin->arena;
	struct address address;

	skip_blanks(args);
	if (!take_reverse_path(args, arena, &address)) {
		reply("501 5.1.7 MAIL FROM:<name@domain>, please");
		return;
	}
	reset(dialog);
	dialog->outgoing->reverse_path = address_format(&address, arena);
	dialog->has_sender = true;
	reply("250 2.1.0 Sender OK");
}

static void take_rcpt(struct dialog *dialog, struct cursor *args)
{
	skip_blanks(args);
	if (!dialog->has_sender) {
		reply("503 5.5.1 MAIL comes first");
		return;
	}
	reply(outgoing_add_path(dialog->outgoing, args)
		      ? "250 2.1.5 Recipient OK"
		      : "501 5.1.3 RCPT TO:<name@domain>, please");
}

/* False: standard input ended within the message, so there is none. */
static bool take_data(struct dialog *dialog)
{
	struct buffer text = { 0 };
	struct slice line;
	bool has_end = false;

	if (dialog->outgoing->recipient_count == 0) {
		reply("503 5.5.1 RCPT comes first");
		return true;
	}
	reply("354 Start mail input; end with <CRLF>.<CRLF>");
	while (!has_end && read_line(dialog, &line)) {
		has_end = slice_eq(line, SLICE("."));
		if (has_end || text.len > dialog->size_max_octets)
			continue;
		buffer_add(&text, line.len > 0 && line.ptr[0] == '.' ? slice_sub(line, 1, line.len)
								     : line);
		buffer_add_cstr(&text, "\r\n");
	}
	if (has_end && text.len > dialog->size_max_octets) {
		reply("552 5.3.4 Message size exceeds fixed maximum message size");
	} else if (has_end) {
		int status = outgoing_send(dialog->outgoing, buffer_slice(&text));
		reply(status == EX_OK	      ? "250 2.0.0 Message accepted"
		      : status == EX_TEMPFAIL ? "451 4.3.0 Try again later"
					      : "550 5.1.1 Not accepted for all recipients");
	}
	reset(dialog);
	buffer_free(&text);
	return has_end;
}

/* False: the end. */
static bool take_command(struct dialog *dialog, struct slice line)
{
	struct cursor c = cursor_of(line);

	if (take_word_nocase(&c, SLICE("MAIL FROM:"))) {
		take_mail(dialog, &c);
	} else if (take_word_nocase(&c, SLICE("RCPT TO:"))) {
		take_rcpt(dialog, &c);
	} else if (slice_eq_nocase(line, SLICE("DATA"))) {
		return take_data(dialog);
	} else if (slice_eq_nocase(line, SLICE("QUIT"))) {
		reply("221 2.0.0 Goodbye");
		return false;
	} else if (slice_starts_nocase(line, SLICE("HELO")) ||
		   slice_starts_nocase(line, SLICE("EHLO"))) {
		reset(dialog);
		printf("250 %s\r\n", dialog->outgoing->admin->config->hostname);
		fflush(stdout);
	} else if (slice_eq_nocase(line, SLICE("RSET"))) {
		reset(dialog);
		reply("250 2.0.0 OK");
	} else if (slice_starts_nocase(line, SLICE("NOOP"))) {
		reply("250 2.0.0 OK");
	} else if (slice_starts_nocase(line, SLICE("VRFY"))) {
		reply("252 2.1.5 Send some mail, I will try my best");
	} else {
		reply("500 5.5.2 Command not recognized");
	}
	return true;
}

int sendmail_dialog(struct outgoing *outgoing, uint64_t size_max_octets)
{
	struct dialog dialog = { .outgoing = outgoing, .size_max_octets = size_max_octets };
	struct slice line;

	printf("220 %s ESMTP Bode\r\n", outgoing->admin->config->hostname);
	fflush(stdout);
	while (read_line(&dialog, &line) && take_command(&dialog, line))
		;
	free(dialog.line);
	return EX_OK;
}
