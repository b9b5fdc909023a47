/* imapd/commands.c - the one list of verbs, and the dispatcher that alone judges whether a
 * verb is known and in its place. In the back.
 *
 * RFC 9051 section 6, RFC 3501 section 6 (CHECK, LSUB), RFC 2971 (ID), RFC 9586 (UIDONLY). */
#include "imapd/grammar_priv.h"
#include "imapd/id_priv.h"
#include "imapd/progress_priv.h"
#include "imapd/respond_priv.h"
#include "imapd/view_priv.h"
#include "storage/account.h"

#define IMAP_ANY (IMAP_AUTHENTICATED | IMAP_SELECTED)

static const struct imap_command commands[] = {
	/* verb		UID?   allowed in		tells		 handler, numbers? */
	{ "CAPABILITY", false, IMAP_ANY, TELL_ALL, imap_capability },
	{ "NOOP", false, IMAP_ANY, TELL_ALL, imap_noop },
	{ "LOGOUT", false, IMAP_ANY, TELL_NOTHING, imap_logout },
	{ "ID", false, IMAP_ANY, TELL_ALL, imap_id },
	{ "STARTTLS", false, IMAP_NOT_AUTHENTICATED, TELL_NOTHING, NULL },
	{ "AUTHENTICATE", false, IMAP_NOT_AUTHENTICATED, TELL_NOTHING, NULL },
	{ "LOGIN", false, IMAP_NOT_AUTHENTICATED, TELL_NOTHING, NULL },
	{ "ENABLE", false, IMAP_AUTHENTICATED, TELL_ALL, imap_enable },
	{ "SELECT", false, IMAP_ANY, TELL_NOTHING, imap_select },
	{ "EXAMINE", false, IMAP_ANY, TELL_NOTHING, imap_examine },
	{ "CREATE", false, IMAP_ANY, TELL_ALL, imap_create },
	{ "DELETE", false, IMAP_ANY, TELL_ALL, imap_delete },
	{ "RENAME", false, IMAP_ANY, TELL_ALL, imap_rename },
	{ "SUBSCRIBE", false, IMAP_ANY, TELL_ALL, imap_subscribe },
	{ "UNSUBSCRIBE", false, IMAP_ANY, TELL_ALL, imap_unsubscribe },
	{ "LIST", false, IMAP_ANY, TELL_ALL, imap_list },
	{ "LSUB", false, IMAP_ANY, TELL_ALL, imap_lsub },
	{ "NAMESPACE", false, IMAP_ANY, TELL_ALL, imap_namespace },
	{ "STATUS", false, IMAP_ANY, TELL_ALL, imap_status },
	{ "APPEND", false, IMAP_ANY, TELL_ALL, imap_append },
	{ "GETQUOTA", false, IMAP_ANY, TELL_ALL, imap_getquota },
	{ "GETQUOTAROOT", false, IMAP_ANY, TELL_ALL, imap_getquotaroot },
	{ "SETQUOTA", false, IMAP_ANY, TELL_ALL, imap_setquota },
	{ "SETACL", false, IMAP_ANY, TELL_ALL, imap_setacl },
	{ "DELETEACL", false, IMAP_ANY, TELL_ALL, imap_deleteacl },
	{ "GETACL", false, IMAP_ANY, TELL_ALL, imap_getacl },
	{ "LISTRIGHTS", false, IMAP_ANY, TELL_ALL, imap_listrights },
	{ "MYRIGHTS", false, IMAP_ANY, TELL_ALL, imap_myrights },
	{ "GETMETADATA", false, IMAP_ANY, TELL_ALL, imap_getmetadata },
	{ "SETMETADATA", false, IMAP_ANY, TELL_ALL, imap_setmetadata },
	{ "COMPARATOR", false, IMAP_ANY, TELL_ALL, imap_comparator },
	{ "COMPRESS", false, IMAP_ANY, TELL_ALL, imap_compress },
	{ "NOTIFY", false, IMAP_ANY, TELL_ALL, imap_notify },
	{ "LANGUAGE", false, IMAP_ANY, TELL_ALL, imap_language },
	{ "UNAUTHENTICATE", false, IMAP_ANY, TELL_NOTHING, imap_unauthenticate },
	{ "IDLE", false, IMAP_ANY, TELL_ALL, imap_idle },
	{ "ESEARCH", false, IMAP_ANY, TELL_ALL, imap_esearch },
	{ "CHECK", false, IMAP_SELECTED, TELL_ALL, imap_noop },
	{ "CANCELUPDATE", false, IMAP_SELECTED, TELL_ALL, imap_cancelupdate },
	{ "CLOSE", false, IMAP_SELECTED, TELL_NOTHING, imap_close },
	{ "UNSELECT", false, IMAP_SELECTED, TELL_NOTHING, imap_unselect },
	{ "EXPUNGE", false, IMAP_SELECTED, TELL_ALL, imap_expunge },
	{ "SEARCH", false, IMAP_SELECTED, TELL_NO_EXPUNGE, imap_search, true },
	{ "SORT", false, IMAP_SELECTED, TELL_NO_EXPUNGE, imap_sort, true },
	{ "THREAD", false, IMAP_SELECTED, TELL_NO_EXPUNGE, imap_thread, true },
	{ "FETCH", false, IMAP_SELECTED, TELL_NO_EXPUNGE, imap_fetch, true },
	{ "STORE", false, IMAP_SELECTED, TELL_NO_EXPUNGE, imap_store, true },
	{ "COPY", false, IMAP_SELECTED, TELL_ALL, imap_copy, true },
	{ "MOVE", false, IMAP_SELECTED, TELL_ALL, imap_move, true },
	{ "REPLACE", false, IMAP_SELECTED, TELL_ALL, imap_replace, true },
	{ "EXPUNGE", true, IMAP_SELECTED, TELL_ALL, imap_expunge },
	{ "SEARCH", true, IMAP_SELECTED, TELL_ALL, imap_search },
	{ "SORT", true, IMAP_SELECTED, TELL_ALL, imap_sort },
	{ "THREAD", true, IMAP_SELECTED, TELL_ALL, imap_thread },
	{ "FETCH", true, IMAP_SELECTED, TELL_ALL, imap_fetch },
	{ "STORE", true, IMAP_SELECTED, TELL_ALL, imap_store },
	{ "COPY", true, IMAP_SELECTED, TELL_ALL, imap_copy },
	{ "MOVE", true, IMAP_SELECTED, TELL_ALL, imap_move },
	{ "REPLACE", true, IMAP_SELECTED, TELL_ALL, imap_replace },
};

const struct imap_command *imap_command_of(struct slice verb, bool uid)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (commands[i].uid == uid && slice_eq_nocase(verb, slice_cstr(commands[i].verb)))
			return &commands[i];
	return NULL;
}

/* The row of a verb, to be run with `c` behind it. NULL: *why_out says what is wrong. */
static const struct imap_command *take_verb(struct imap_session *s, struct cursor *c,
					    const char **why_out)
{
	struct slice verb;
	bool uid = false;
	if (!take_atom(c, &verb)) {
		*why_out = "A command is missing";
		return NULL;
	}
	if (slice_eq_nocase(verb, SLICE("UID"))) {
		uid = true;
		if (!take_space(c) || !take_atom(c, &verb)) {
			*why_out = "UID needs a command";
			return NULL;
		}
	}
	const struct imap_command *command = imap_command_of(verb, uid);
	if (!command)
		*why_out = "Unknown command";
	else if (command->allowed_in & s->state)
		return command;
	else if (command->allowed_in == IMAP_NOT_AUTHENTICATED)
		*why_out = "Already signed in";
	else if (command->allowed_in == IMAP_SELECTED)
		*why_out = "No mailbox is selected";
	else
		*why_out = "Not while a mailbox is selected";
	return NULL;
}

enum step imap_dispatch(struct imap_session *s)
{
	struct cursor c = cursor_of(framing_command(&s->framing));
	const char *why;
	if (!take_tag(&c, &s->tag)) {
		s->tag = SLICE("*");
		return imap_bad(s, "A command begins with a tag");
	}
	if (!take_space(&c))
		return imap_bad(s, "A command is missing");
	s->command = take_verb(s, &c, &why);
	if (!s->command)
		return imap_bad(s, why);
	if (s->command->numbers && imap_has(s, IMAP_ENABLED_UIDONLY))
		return imap_bad(s, IMAP_UID_REQUIRED_TEXT);
	/* What leaves the mailbox, or enters another, needs no right to read it. */
	enum err err = s->view ? view_ask_rights(s->view) : ERR_OK;
	if (err != ERR_OK && s->command->tell != TELL_NOTHING)
		return err == ERR_DENIED ? imap_bye(s, IMAP_ACCESS_GONE_TEXT) : imap_refuse(s, err);
	if (!at_end(&c) && !take_space(&c)) {
		s->command = NULL;
		return imap_bad(s, "Unknown command");
	}
	progress_begin(s);
	return s->command->run(s, &c, s->command->uid);
}

/* APPENDLIMIT is the configuration's to say (RFC 7889 section 2); QUOTASET is for who administers. */
const char *imap_capabilities(struct imap_session *s)
{
	struct account own;
	struct read *read = read_begin(s->back->store);
	bool may_set_quotas = imap_is_administrator(s, read, &own);
	read_end(&read);
	return arena_format(&s->command_arena, "%s%s%s APPENDLIMIT=%llu",
			    capability_text(CAPABILITY_SIGNED_IN),
			    may_set_quotas ? " QUOTASET" : "",
			    s->back->config->unauthenticate ? " UNAUTHENTICATE" : "",
			    (unsigned long long)s->back->config->message_size_octets);
}

enum step imap_capability(struct imap_session *s, struct cursor *args, bool uid)
{
	if (!at_end(args))
		return imap_bad(s, "CAPABILITY has no arguments");
	buffer_add_format(&s->session.out, "* CAPABILITY %s\r\n", imap_capabilities(s));
	return imap_ok(s, "CAPABILITY completed");
}

/* Also CHECK: every change is on disk before it is acknowledged. */
enum step imap_noop(struct imap_session *s, struct cursor *args, bool uid)
{
	if (!at_end(args))
		return imap_bad(s, "No arguments, please");
	return imap_ok(s, "Completed");
}

enum step imap_id(struct imap_session *s, struct cursor *args, bool uid)
{
	if (!take_id_parameters(args, &s->command_arena) || !at_end(args))
		return imap_bad(s, "ID needs NIL or a list of names and values");
	buffer_add_cstr(&s->session.out, IMAP_ID_LINE);
	return imap_ok(s, "ID completed");
}

enum step imap_logout(struct imap_session *s, struct cursor *args, bool uid)
{
	if (!at_end(args))
		return imap_bad(s, "LOGOUT has no arguments");
	respond_line(&s->session.out, s->language, SLICE("*"), "BYE", "Goodbye");
	respond_line(&s->session.out, s->language, s->tag, "OK", "LOGOUT completed");
	imap_set_state(s, IMAP_CLOSED);
	return STEP_CLOSE;
}
