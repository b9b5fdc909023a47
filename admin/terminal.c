/* admin/terminal.c - asking the person at the terminal. */
#include "admin/terminal.h"

#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "auth/password.h"
#include "base/heap.h"

/* Without stdio, whose buffer would keep the password. False at the end of input. */
static bool read_line(struct buffer *line_out, size_t most)
{
	char c;
	ssize_t got;
	buffer_clear(line_out);
	while ((got = read(STDIN_FILENO, &c, 1)) == 1 && c != '\n') {
		if (line_out->len > most)
			break;
		/* Room from the start: growing would leave copies behind. */
		if (line_out->cap == 0)
			buffer_reserve(line_out, most + 2);
		buffer_add_byte(line_out, (uint8_t)c);
	}
	if (line_out->len > 0 && line_out->data[line_out->len - 1] == '\r')
		line_out->len--;
	return got == 1 || line_out->len > 0;
}

static bool read_hidden(const char *question, struct buffer *line_out)
{
	struct termios before, quiet;
	bool have = tcgetattr(STDIN_FILENO, &before) == 0;
	fputs(question, stderr);
	if (have) {
		quiet = before;
		quiet.c_lflag &= ~(tcflag_t)ECHO;
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
	}
	bool got = read_line(line_out, PASSWORD_MAX_OCTETS);
	if (have)
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
	fputc('\n', stderr);
	return got;
}

/* False: said. */
static bool password_can_come(bool from_stdin)
{
	if (from_stdin || isatty(STDIN_FILENO))
		return true;
	fputs("bode: standard input is no terminal to ask for a password; use --password-stdin\n",
	      stderr);
	return false;
}

bool terminal_ask_password(const char *question, bool from_stdin, struct buffer *password_out)
{
	if (!password_can_come(from_stdin))
		return false;
	bool got = from_stdin ? read_line(password_out, PASSWORD_MAX_OCTETS)
			      : read_hidden(question, password_out);
	if (got && password_out->len > 0)
		return true;
	fputs("bode: the password is empty; nothing was changed\n", stderr);
	return false;
}

bool terminal_read_password(bool from_stdin, struct buffer *password_out)
{
	struct buffer again = { 0 };
	bool good = false;

	if (!password_can_come(from_stdin))
		return false;
	if (from_stdin) {
		good = read_line(password_out, PASSWORD_MAX_OCTETS) && password_out->len > 0;
		if (!good)
			fputs("bode: no password came on standard input; write it there as one "
			      "line\n",
			      stderr);
	} else if (!read_hidden("Password: ", password_out) || password_out->len == 0) {
		fputs("bode: the password is empty; nothing was changed\n", stderr);
	} else if (!read_hidden("Once more: ", &again) ||
		   !slice_eq(buffer_slice(password_out), buffer_slice(&again))) {
		fputs("bode: the two passwords differ; nothing was changed, try again\n", stderr);
	} else {
		good = true;
	}
	buffer_wipe(&again);
	return good;
}

bool terminal_ask(const char *question, const char *fallback, struct buffer *answer_out)
{
	if (!isatty(STDIN_FILENO))
		return false;
	if (fallback)
		fprintf(stderr, "%s [%s]: ", question, fallback);
	else
		fprintf(stderr, "%s: ", question);
	if (!read_line(answer_out, 1024))
		return false;
	if (answer_out->len == 0 && fallback)
		buffer_add_cstr(answer_out, fallback);
	return answer_out->len > 0;
}

bool terminal_confirm(const char *question)
{
	struct buffer answer = { 0 };
	bool yes = false;
	if (isatty(STDIN_FILENO)) {
		fprintf(stderr, "%s Type yes to go on: ", question);
		yes = read_line(&answer, 16) && slice_eq(buffer_slice(&answer), SLICE("yes"));
	}
	buffer_free(&answer);
	return yes;
}
