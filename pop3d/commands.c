/* pop3d/commands.c - the verbs of the TRANSACTION state and their arguments: RFC 1939 sections 3
 * and 9, RFC 2449 section 5. Runs in the back. */
#include "pop3d/session_priv.h"

enum argument_kind {
	ARGUMENT_NONE,
	ARGUMENT_MESSAGE,
	ARGUMENT_MAYBE_MESSAGE,
	ARGUMENT_MESSAGE_AND_LINES,
	ARGUMENT_WHATEVER, /* not looked at */
};

struct pop3_command {
	const char *verb;
	enum argument_kind arguments;
	const char *usage; /* said where the arguments are not these */
	enum step (*run)(struct pop3_session *s, const struct pop3_arguments *args);
};

static enum step pop3_noop(struct pop3_session *s, const struct pop3_arguments *args)
{
	pop3_ok(&s->session, "still here");
	return STEP_AGAIN;
}

/* What was announced before sign-in is announced here, too; STLS is of that state alone. */
static enum step pop3_capa(struct pop3_session *s, const struct pop3_arguments *args)
{
	pop3_capabilities(&s->session, CAPA_MAY_SIGN_IN, false);
	return STEP_AGAIN;
}

/* clang-format off */
static const struct pop3_command commands[] = {
	/* verb   arguments                   usage                                      handler   */
	{ "STAT", ARGUMENT_NONE,              "STAT takes no arguments",                 pop3_stat },
	{ "LIST", ARGUMENT_MAYBE_MESSAGE,     "LIST takes a message-number or nothing",  pop3_list },
	{ "RETR", ARGUMENT_MESSAGE,           "RETR takes a message-number",             pop3_retr },
	{ "DELE", ARGUMENT_MESSAGE,           "DELE takes a message-number",             pop3_dele },
	{ "NOOP", ARGUMENT_NONE,              "NOOP takes no arguments",                 pop3_noop },
	{ "RSET", ARGUMENT_NONE,              "RSET takes no arguments",                 pop3_rset },
	{ "TOP",  ARGUMENT_MESSAGE_AND_LINES, "TOP takes a message-number and a number of lines", pop3_top },
	{ "UIDL", ARGUMENT_MAYBE_MESSAGE,     "UIDL takes a message-number or nothing",  pop3_uidl },
	{ "CAPA", ARGUMENT_NONE,              "CAPA takes no arguments",                 pop3_capa },
	{ "QUIT", ARGUMENT_WHATEVER,          "",                                        pop3_quit },
};
/* clang-format on */

static bool is_verb_octet(uint8_t c)
{
	return c > ' ' && c < 0x7f;
}

/* SP number. Further blanks do no harm. A number beyond all message-numbers is none of them. */
static bool take_argument(struct cursor *c, uint64_t *number_out)
{
	struct cursor copy = *c;
	struct slice digits;
	if (!take_byte(&copy, ' '))
		return false;
	skip_blanks(&copy);
	if (!take_while(&copy, ascii_is_digit, &digits))
		return false;
	if (!slice_to_u64(digits, UINT64_MAX, number_out))
		*number_out = UINT64_MAX;
	*c = copy;
	return true;
}

static bool take_arguments(struct cursor *c, enum argument_kind kind, uint64_t *number_out,
			   uint64_t *lines_out, bool *has_number_out)
{
	*has_number_out = false;
	if (kind == ARGUMENT_WHATEVER)
		return true;
	if (kind != ARGUMENT_NONE)
		*has_number_out = take_argument(c, number_out);
	if (!*has_number_out && kind != ARGUMENT_NONE && kind != ARGUMENT_MAYBE_MESSAGE)
		return false;
	if (kind == ARGUMENT_MESSAGE_AND_LINES && !take_argument(c, lines_out))
		return false;
	skip_blanks(c);
	return at_end(c);
}

enum step pop3_dispatch(struct pop3_session *s, struct slice line)
{
	struct cursor c = cursor_of(line);
	struct pop3_arguments args = { 0 };
	const struct pop3_command *command = NULL;
	struct slice verb = SLICE_NONE;
	uint64_t number = 0;
	bool has_number;

	(void)take_while(&c, is_verb_octet, &verb);
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (slice_eq_nocase(verb, slice_cstr(commands[i].verb)))
			command = &commands[i];
	if (!command)
		return pop3_refuse(s, "no such command, or not after sign-in");
	if (!take_arguments(&c, command->arguments, &number, &args.lines, &has_number))
		return pop3_refuse(s, command->usage);
	if (has_number) {
		if (number == 0 || number > s->drop.count) {
			pop3_err(&s->session, "no such message");
			return STEP_AGAIN;
		}
		args.number = (uint32_t)number;
		if (maildrop_message(&s->drop, args.number)->is_deleted) {
			pop3_err(&s->session, "that message is marked as deleted");
			return STEP_AGAIN;
		}
	}
	return command->run(s, &args);
}
