/* imapd/session_priv.h - the session of a signed-in IMAP client, in the back.
 *
 * One command at a time. Framing (framing_priv.h) makes each command one contiguous slice,
 * the dispatcher (commands.c) finds its row and calls the handler with a cursor behind the
 * verb and its space. Argument slices, the tag and everything in `command_arena` live until
 * the command's tagged reply has been queued.
 *
 * A handler ends its command by returning imap_ok(), imap_no(), imap_bad() or imap_refuse(),
 * which first tell the client what changed in the selected mailbox, then send the tagged
 * reply. A command that cannot finish in one go (output is full, a job is out, it needs more
 * input) sets s->running to a function that is called again, with the input, until one of
 * those four has been returned:
 *
 *   static enum step go_on(struct imap_session *s, struct cursor *in)
 *   {
 *           while (more to say) {
 *                   if (session_out_is_full(&s->session))
 *                           return STEP_WAIT;       // called again when it has drained
 *                   say one thing;                  // on &s->session.out
 *           }
 *           return imap_ok(s, "FETCH completed");
 *   }
 *   ...
 *   s->work = arena_alloc(&s->command_arena, sizeof(struct my_work));
 *   s->work_fini = my_work_fini;                     // if it holds more than arena memory
 *   s->running = go_on;
 *   return STEP_AGAIN;
 *
 * No read transaction is held across a return. All calls on the session's loop. */
#pragma once

#include "base/arena.h"
#include "imapd/framing_priv.h"
#include "imapd/texts_priv.h"
#include "runtime/messages.h"
#include "runtime/session.h"
#include "storage/back.h"

struct imap_session;
struct imap_view; /* view_priv.h */
struct notify;
struct compression;
struct way_back;

/* RFC 9051 section 3; bits, so that a row of the table can name several. */
enum imap_state {
	IMAP_NOT_AUTHENTICATED = 1, /* only in the front, imapd/login.c */
	IMAP_AUTHENTICATED = 2,
	IMAP_SELECTED = 4,
	IMAP_CLOSED = 8, /* LOGOUT has been answered */
};

/* RFC 9051 section 6.3.1: what the client has ENABLEd. */
enum imap_enabled {
	IMAP_ENABLED_REV2 = 1,	    /* UTF-8 mailbox names, ESEARCH for SEARCH, no \Recent */
	IMAP_ENABLED_CONDSTORE = 2, /* every FETCH response on changes has UID and MODSEQ */
	IMAP_ENABLED_QRESYNC = 4,   /* VANISHED instead of EXPUNGE; never without CONDSTORE */
	IMAP_ENABLED_UIDONLY = 16,  /* no sequence numbers, in either direction (RFC 9586) */
	IMAP_ENABLED_UTF8 = 8, /* UTF8=ACCEPT: UTF-8 in names and quoted strings, no charsets */
};

/* What a command lets the client be told of the selected mailbox, before its tagged reply. */
enum imap_tell {
	TELL_ALL,
	TELL_NO_EXPUNGE, /* FETCH, STORE, SEARCH by sequence number: RFC 9051 section 7.5.1 */
	TELL_NOTHING,	 /* the mailbox is being left or entered */
};

/* A row of the one list of verbs (commands.c). */
struct imap_command {
	const char *verb;
	bool uid;	     /* the form behind "UID" */
	unsigned allowed_in; /* enum imap_state */
	enum imap_tell tell;
	/* `args` stands behind the verb's space, or at the end where there was none. */
	enum step (*run)(struct imap_session *s, struct cursor *args, bool uid);
	bool numbers; /* takes or tells sequence numbers: not after ENABLE UIDONLY */
};

#define IMAP_UID_REQUIRED_TEXT "[UIDREQUIRED] After ENABLE UIDONLY there are only UIDs"

struct imap_session {
	struct session session; /* first: runtime/session.h */
	struct back *back;
	uint32_t account_id;
	uint8_t state;		/* enum imap_state; imap_set_state() changes it */
	uint8_t enabled;	/* enum imap_enabled */
	uint8_t comparator;	/* enum comparator: comparator_priv.h */
	enum language language; /* of what is said to people */
	uint16_t errors;	/* commands in a row that made no sense */
	uint16_t wrong_names;	/* of users, of whom there are none: in the whole session */
	bool is_secure;		/* the client speaks TLS */
	uint64_t
		command_began_ms; /* since when the rest of a command is waited for; 0: it is not */
	uint64_t literal_octets;  /* of it: what may come in literals */

	struct framing framing; /* the command being received or run */

	/* The command being run; all of it ends with its tagged reply. */
	const struct imap_command *command;
	struct slice tag;
	struct arena command_arena;
	enum step (*running)(struct imap_session *s, struct cursor *in); /* NULL: none */
	void *work;							 /* the command's own */
	void (*work_fini)(struct imap_session *s); /* frees what `work` holds; may be NULL */
	struct {
		const char *condition; /* "OK", "NO", "BAD" */
		const char *text;      /* with its response code; static or in command_arena */
		bool is_synced;	       /* the view has been brought up to date for it */
		bool tells_modseq;     /* HIGHESTMODSEQ goes with it, to a QRESYNC client */
		bool keeps_expunges;   /* set by the handler, whatever the command's row says */
		bool slows;	       /* many like this cost the client a pause: flood_priv.h */
	} reply;

	/* One feed(): when it began, and what it has done. */
	uint64_t turn_began_ms;
	unsigned turn_steps;
	bool waits_for_turn; /* there may be input that was not looked at yet */

	bool input_ended;	   /* the client has closed its side */
	uint64_t progress_told_ms; /* when it began, or was last told of: progress_priv.h */

	struct job job; /* the store write of this session that is out; imap_write() */
	enum step (*job_then)(struct imap_session *s, enum err outcome);

	void *job_data; /* what its run() works on */

	struct compression *compression; /* compression_priv.h; NULL: none */
	bool begins_compression;	 /* behind the tagged reply that is being made */
	size_t plain_octets;		 /* of session.out, when it has just begun */

	bool signs_out;		   /* behind the tagged reply, the client is the front's again */
	bool output_ended;	   /* of the compressed stream */
	uint32_t conversation;	   /* of the MESSAGE_SESSION that began it */
	struct way_back *way_back; /* held; NULL: none */

	struct notify *notify;	/* notify_priv.h; NULL until NOTIFY is used */
	struct imap_view *view; /* the selected mailbox; NULL in IMAP_AUTHENTICATED */
};

static inline bool imap_is_rev2(const struct imap_session *s)
{
	return s->enabled & IMAP_ENABLED_REV2;
}

static inline bool imap_has(const struct imap_session *s, enum imap_enabled what)
{
	return s->enabled & what;
}
/* UTF-8 in quoted strings and mailbox names (RFC 9051 section 5.1, RFC 6855 section 3). */
static inline bool imap_speaks_utf8(const struct imap_session *s)
{
	return s->enabled & (IMAP_ENABLED_REV2 | IMAP_ENABLED_UTF8);
}
/* A text without a response code, for a line that is not made by those below. */
static inline const char *imap_text(const struct imap_session *s, const char *english)
{
	return text_in(s->language, english);
}
/* A CONDSTORE enabling command has come (RFC 7162 section 3.1): the first one tells the
 * HIGHESTMODSEQ of the selected mailbox. enable.c. */
void imap_enable_condstore(struct imap_session *s);

/* The tagged reply. `text` begins with the response code, if any: "[READ-ONLY] done"; it is
 * static or in the command arena. All return what the handler is to return. */
enum step imap_ok(struct imap_session *s, const char *text);
enum step imap_no(struct imap_session *s, const char *text);
/* Messages have been expunged: with HIGHESTMODSEQ (RFC 7162 sections 3.2.7 and 3.2.9). */
enum step imap_ok_expunged(struct imap_session *s, const char *text);
/* Counts towards the limit of protocol errors. */
enum step imap_bad(struct imap_session *s, const char *text);
/* NO: no user has the name that the client gave. Names are not to be tried without end, so this
 * counts towards a limit that nothing in between resets. */
enum step imap_no_such_user(struct imap_session *s);
/* NO with the response code (RFC 5530, 9208) and words for this outcome of the store. */
enum step imap_refuse(struct imap_session *s, enum err err);

/* Hands a write to the writer: run() gets &s->job, from which imap_session_of_job() leads
 * back, and works on `data` (s->job_data) only. Then then() is called on the loop with the
 * outcome and goes on with the command. Returns what the handler is to return. */
enum step imap_write(struct imap_session *s, enum err (*run)(struct write *write, struct job *job),
		     void *data, enum step (*then)(struct imap_session *s, enum err outcome));
static inline struct imap_session *imap_session_of_job(struct job *job)
{
	return CONTAINER_OF(job, struct imap_session, job);
}

void imap_set_state(struct imap_session *s, enum imap_state state);

/* The core for a stream, a test or a fuzzer to drive: session->class->feed() and so on. The
 * first feed() answers the sign-in command of `message`. Slices of `message` are copied. */
struct session *imap_session_new(struct back *back, const struct session_message *message,
				 uint32_t account_id);
enum { IMAP_COMMAND_MAX_OCTETS = 64 * 1024 }; /* with its literals, APPEND's message excepted */

/* commands.c: finds the row for the framed command and runs its handler. */
enum step imap_dispatch(struct imap_session *s);
const struct imap_command *imap_command_of(struct slice verb, bool uid); /* NULL: none */
/* Of a signed-in session, without "CAPABILITY"; in the command arena. */
const char *imap_capabilities(struct imap_session *s);

/* session.c, for the verbs that meet the loop itself */
/* Asks for the octets of a synchronizing literal. */
void imap_ask_for_literal(struct imap_session *s);
/* refusal.c: FRAMED_LITERAL is not wanted; the tagged reply comes now, or after its octets. */
enum step imap_refuse_literal(struct imap_session *s, const char *condition, const char *text);
/* The untagged goodbye; nothing more is said. */
enum step imap_bye(struct imap_session *s, const char *text);

/* quota.c: whether this account administers those of its domain. */
struct account;
bool imap_is_administrator(struct imap_session *s, struct read *read, struct account *account_out);

/* Brings the selected mailbox up to date with the store. One that cannot be read says so to the next
 * command that needs it. */
void imap_sync_view(struct imap_session *s);
/* Somebody has removed the account: the session ends. */
bool imap_account_is_gone(struct imap_session *s);
#define IMAP_ACCESS_GONE_TEXT "[NOPERM] You may no longer read the selected mailbox"
#define IMAP_ACCOUNT_GONE_TEXT "[UNAVAILABLE] The account has been removed"

/* append.c: true when the framed literal is the message of an APPEND or REPLACE, whose handler has then
 * decided what becomes of it: *step_out. */
bool imap_append_meets_literal(struct imap_session *s, enum step *step_out);
/* The rest of one is on its way; nothing else is being said. */
bool imap_append_is_receiving(const struct imap_session *s);
/* unauthenticate.c: takes `fd`, the session's socket. */
void imap_signed_out(struct imap_session *s, int fd, struct slice unread);
/* idle.c: something changed while IDLE runs. */
bool imap_is_idle(const struct imap_session *s);
enum step imap_idle_news(struct imap_session *s);

/* The handlers, one file a family; imap_fetch() and imap_search() are in view_priv.h. */
enum step imap_capability(struct imap_session *s, struct cursor *args, bool uid);
enum step imap_noop(struct imap_session *s, struct cursor *args, bool uid);
enum step imap_logout(struct imap_session *s, struct cursor *args, bool uid);
enum step imap_id(struct imap_session *s, struct cursor *args, bool uid);
enum step imap_enable(struct imap_session *s, struct cursor *args, bool uid);
enum step imap_select(struct imap_session *s, struct cursor *args, bool uid);
enum step imap_examine(struct imap_session *s, struct cursor *args, bool uid);
enum step imap_close(struct imap_session *s, struct cursor *args, bool uid);
enum step imap_unselect(struct imap_session *s, struct cursor *args, bool uid);
enum step imap_create(struct imap_session *s, struct cursor *args, bool uid);
enum step imap_delete(struct imap_session *s, struct cursor *args, bool uid);
enum step imap_rename(struct imap_session *s, struct cursor *args, bool uid);
enum step imap_subscribe(struct imap_session *s, struct cursor *args, bool uid);
enum step imap_unsubscribe(struct imap_session *s, struct cursor *args, bool uid);
enum step imap_list(struct imap_session *s, struct cursor *args, bool uid);
enum step imap_lsub(struct imap_session *s, struct cursor *args, bool uid);
enum step imap_namespace(struct imap_session *s, struct cursor *args, bool uid);
enum step imap_status(struct imap_session *s, struct cursor *args, bool uid);
enum step imap_append(struct imap_session *s, struct cursor *args, bool uid);
enum step imap_replace(struct imap_session *s, struct cursor *args, bool uid);
enum step imap_getquota(struct imap_session *s, struct cursor *args, bool uid);
enum step imap_getquotaroot(struct imap_session *s, struct cursor *args, bool uid);
enum step imap_setquota(struct imap_session *s, struct cursor *args, bool uid);
enum step imap_setacl(struct imap_session *s, struct cursor *args, bool uid);
enum step imap_deleteacl(struct imap_session *s, struct cursor *args, bool uid);
enum step imap_getacl(struct imap_session *s, struct cursor *args, bool uid);
enum step imap_listrights(struct imap_session *s, struct cursor *args, bool uid);
enum step imap_myrights(struct imap_session *s, struct cursor *args, bool uid);
enum step imap_getmetadata(struct imap_session *s, struct cursor *args, bool uid);
enum step imap_setmetadata(struct imap_session *s, struct cursor *args, bool uid);
enum step imap_comparator(struct imap_session *s, struct cursor *args, bool uid);
enum step imap_compress(struct imap_session *s, struct cursor *args, bool uid);
enum step imap_notify(struct imap_session *s, struct cursor *args, bool uid);
enum step imap_unauthenticate(struct imap_session *s, struct cursor *args, bool uid);
enum step imap_language(struct imap_session *s, struct cursor *args, bool uid);
enum step imap_idle(struct imap_session *s, struct cursor *args, bool uid);
enum step imap_expunge(struct imap_session *s, struct cursor *args, bool uid);
enum step imap_store(struct imap_session *s, struct cursor *args, bool uid);
enum step imap_copy(struct imap_session *s, struct cursor *args, bool uid);
enum step imap_move(struct imap_session *s, struct cursor *args, bool uid);
