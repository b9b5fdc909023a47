/* imapd/view_priv.h - the selected mailbox as this client knows it.
 *
 * `uids` is what the client has been told of, and behind that what it will be told by EXISTS: the
 * rank of a UID is its sequence number (ranges_rank(), ranges_at_rank()). What it has been told leaves
 * only while it is told so, in view_tell(), at the end of a command that allows it (RFC 9051 section
 * 7.5.1) or in IDLE. So throughout a command sequence numbers stand still; a message in `uids` may have
 * been expunged by another session: the store says ERR_NOT_FOUND for it (RFC 2180 section 4).
 * Owned by the session, on its loop; a job may read it, since the loop leaves it alone then. */
#pragma once

#include "imapd/grammar_priv.h"
#include "imapd/session_priv.h"
#include "storage/acl.h"
#include "storage/message.h"

struct imap_view {
	struct imap_session *s;
	uint64_t mailbox_id;
	uint32_t owner_id;
	uint32_t uidvalidity;
	unsigned rights;   /* enum acl_right: what this account may do with it */
	bool is_read_only; /* EXAMINE, or no right to change it: nothing changes, \Seen neither */
	bool is_gone;	   /* deleted by somebody; no message is left */
	struct ranges uids;
	uint32_t untold_uid; /* members of uids from here on wait for EXISTS; 0: none does */
	/* What the store has told us and the client does not know yet. */
	uint64_t modseq; /* everything up to here is in uids or in the two sets below */
	/* Where the change log reached back no more: members of uids below `end_uid` are still to be asked
	 * whether they changed after `since_modseq`. */
	struct {
		uint64_t since_modseq;
		uint32_t next_uid, end_uid; /* next_uid 0: nothing is left to ask */
	} comparison;
	struct ranges vanished; /* members of uids that the client has been told of */
	struct ranges changed;	/* members of uids whose flags are to be told */
	struct ranges touched;	/* members of uids whose MODSEQ is to be told, flags or not */
	struct ranges earlier;	/* UIDs to be told as VANISHED (EARLIER) */
	struct ranges withheld; /* members of uids whose flags changed and NOTIFY keeps back */
	struct ranges own;	/* UIDs that this session is putting here itself */
	struct ranges fresh;	/* members of uids that are to be told by FETCH, as new */
	uint64_t told_modseq;	/* everything up to here has been told, expunges too */
	uint64_t shown_modseq;	/* the highest in a MODSEQ item since view_tell() ended last */
	bool tell_exists;
	/* EXISTS or EXPUNGE went out with the answer to a command that did not ask for news. */
	bool told_in_passing;
	uint64_t keywords_hash;		 /* of the keyword names last told with FLAGS */
	uint32_t recent_from_uid;	 /* \Recent from here on (RFC 3501); UINT32_MAX: none */
	uint32_t uidnext;		 /* as of modseq */
	struct ranges saved_result;	 /* "$": UIDs; of SEARCH (SAVE), RFC 9051 section 6.4.4.1 */
	struct search_context *contexts; /* search_context_priv.h */
	struct arrival *arrival;	 /* arrivals_priv.h: the FETCH of a new message */
	struct ranges unsearched; /* members of uids that the contexts have not looked at again */
	struct watch watch;
	struct watch own_watch; /* of another's mailbox: this account may be removed, too */
};

static inline uint32_t view_count(const struct imap_view *view)
{
	return (uint32_t)ranges_total(&view->uids);
}
static inline bool view_is_recent(const struct imap_view *view, uint32_t uid)
{
	return !imap_is_rev2(view->s) && uid >= view->recent_from_uid;
}

/* The UIDs that a sequence-set names: members of the view. In `uid` form what is not there is
 * left out (RFC 9051 section 6.4.9); with sequence numbers false where one is beyond the
 * mailbox: BAD. "$" gives what is left of the saved result. `uids_out` starts empty. */
bool view_resolve(const struct imap_view *view, const struct sequence_set *set, bool uid,
		  struct ranges *uids_out);
/* Adds what "$" stands for, where the set has it. */
void view_join_saved(const struct imap_view *view, const struct sequence_set *set,
		     struct ranges *uids);

/* A new view of what the store holds now, watching it. `mailbox` is of the same read. */
struct imap_view *view_new(struct imap_session *s, struct read *read, const struct mailbox *mailbox,
			   bool is_read_only);
void view_free(struct imap_view **view);
/* Another's mailbox: asks for the rights anew, and tells what flags may be kept now, where that has
 * changed. ERR_DENIED: it may no longer be read. Where the store fails they are as they were before. */
enum err view_ask_rights(struct imap_view *view) MUST_USE;
/* Whether messages may be taken out of it: MOVE and REPLACE need what STORE of \Deleted and EXPUNGE
 * need (RFC 6851 section 4.2, RFC 8508 section 4.1). */
static inline bool view_may_remove(const struct imap_view *view)
{
	const unsigned both = RIGHT_DELETE_MESSAGES | RIGHT_EXPUNGE;
	return (view->rights & both) == both;
}
/* "* OK [PERMANENTFLAGS (...)]"; select.c */
void view_tell_permanent_flags(struct imap_view *view, const struct mailbox *mailbox);

/* Reads the change log: moves `modseq`, collects in `vanished`, `changed` and `tell_exists`. Where the
 * log does not reach back so far, what changed is left to view_tell(), which looks in turns.
 * ERR_OK also where the mailbox is gone (is_gone is set then). */
enum err view_sync(struct imap_view *view, struct read *read);
/* Looks at the next entries from *next_uid on, for about a millisecond: which have a MODSEQ above. After
 * the last *next_uid is 0. */
enum err view_look_for_newer(const struct imap_view *view, uint64_t since_modseq,
			     uint32_t *next_uid, struct ranges *newer_out) MUST_USE;
/* Some of what view_sync() has left. False: there is more, or there was just now. */
bool view_compare_on(struct imap_view *view);
/* What a change log said (message_changes()) since view->modseq. The caller moves modseq. */
void view_note(struct imap_view *view, const struct ranges *changed, const struct ranges *vanished);
/* These UIDs come from this session: no FETCH tells of them as new (RFC 5465 section 5.2). */
void view_note_own(struct imap_view *view, uint32_t first_uid, uint32_t last_uid);
/* The flags of these members are to be told, whether or not they changed. */
void view_note_flags(struct imap_view *view, const struct ranges *uids);
/* Their flags changed, told or not: searches that go on look at them again. */
void view_note_unsearched(struct imap_view *view, const struct ranges *uids);
/* To a CONDSTORE client their MODSEQ is to be told, flags only where they are news. */
void view_note_modseqs(struct imap_view *view, const struct ranges *uids);
/* A MODSEQ item of a FETCH response goes out. */
static inline void view_note_shown(struct imap_view *view, uint64_t modseq)
{
	if (modseq > view->shown_modseq)
		view->shown_modseq = modseq;
}
/* "* OK [HIGHESTMODSEQ n]": up to which the client has been told everything. */
void view_tell_highest_modseq(struct imap_view *view);
uint32_t view_recent_count(const struct imap_view *view);
/* Tells the client, on s->session.out: FLAGS, EXPUNGE or VANISHED (where allowed), EXISTS,
 * RECENT, FETCH.
 * False: the output is full, or a turn is over; call again when it has drained. In between nothing
 * may be said as long as arrival_is_answering(). Without expunges it keeps them. */
bool view_tell(struct imap_view *view, bool with_expunges);
/* Of that only VANISHED (EARLIER), which goes before all FETCH responses of a command. */
bool view_tell_earlier(struct imap_view *view);
/* FETCH tells the flags of a message itself: not to be told once more. */
static inline void view_flags_told(struct imap_view *view, uint32_t uid)
{
	ranges_remove(&view->changed, uid, uid);
	ranges_remove(&view->touched, uid, uid);
}
static inline bool view_flags_are_news(const struct imap_view *view, uint32_t uid)
{
	return ranges_contains(&view->changed, uid);
}

/* Sets \Seen on `uids` (which stays the caller's and lives until then()), by one job; what
 * changed by that is in view->changed afterwards, so that FETCH can tell it with the rest.
 * Not for a read-only view. Returns what the handler is to return. */
enum step imap_mark_seen(struct imap_session *s, const struct ranges *uids,
			 enum step (*then)(struct imap_session *s, enum err outcome));

/* "(\Seen \Recent $Label)". `mailbox` gives the keywords' names. */
void respond_flags(struct buffer *out, const struct mailbox *mailbox,
		   const struct message_entry *entry, bool is_recent);
/* Every flag that the mailbox knows, as FLAGS and PERMANENTFLAGS name them; `more` ("\\*") or
 * NULL comes last. */
void respond_known_flags(struct buffer *out, const struct mailbox *mailbox);
/* What the client may keep, with "\\*" where it may make keywords. */
void respond_permanent_flags(struct buffer *out, const struct mailbox *mailbox,
			     struct flags_withheld withheld);
uint64_t keywords_hash(const struct mailbox *mailbox);
/* ERR_LIMIT where there are more keywords, or longer ones, than a mailbox can hold. */
enum err flag_list_check(const struct flag_list *list);
/* The bit of a keyword in this mailbox, in any case; -1: it has none, no message carries it. */
int keyword_bit(const struct mailbox *mailbox, struct slice keyword);

/* The two big families, in fetch.c and search.c. */
enum step imap_fetch(struct imap_session *s, struct cursor *args, bool uid);
enum step imap_search(struct imap_session *s, struct cursor *args, bool uid);
enum step imap_esearch(struct imap_session *s, struct cursor *args, bool uid);
enum step imap_cancelupdate(struct imap_session *s, struct cursor *args, bool uid);
enum step imap_sort(struct imap_session *s, struct cursor *args, bool uid);
enum step imap_thread(struct imap_session *s, struct cursor *args, bool uid);
