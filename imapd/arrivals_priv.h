/* imapd/arrivals_priv.h - new messages in the selected mailbox that a FETCH response tells of by
 * itself: what NOTIFY (RFC 5465 section 5.2) and searches that go on (section 7) asked for, in one
 * response a message. On the session's loop. */
#pragma once

#include "imapd/view_priv.h"

/* Of those that came, notes those that somebody wants told. */
void arrivals_note(struct imap_view *view, const struct ranges *arrived);
/* Tells them. False: the output is full, or this took long enough; call again. */
bool arrivals_tell(struct imap_view *view);
/* One has been told in part: what else were said now would be octets of its literal. */
bool arrival_is_answering(const struct imap_view *view);
/* The response that is under way, if any: nothing else may be said before its end. False: it is not
 * there yet. */
bool arrival_go_on(struct imap_view *view);
void arrival_free(struct imap_view *view);
