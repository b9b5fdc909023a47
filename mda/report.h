/* mda/report.h - telling a sender what became of his message: delivery status notifications
 * (RFC 3461, 3462, 3464, 6522, 6533). Text only: who gets it and when is the caller's to say.
 * Runs in the back. */
#pragma once

#include "base/buffer.h"
#include "runtime/envelope.h"

enum report_action {
	REPORT_FAILED, /* the first is what is said in the subject, where there are several */
	REPORT_DELAYED,
	REPORT_DELIVERED,
	REPORT_EXPANDED, /* to all that an alias stands for, of whose success nobody tells */
	REPORT_RELAYED,	 /* to a server that tells nothing of what it does with it */
	REPORT_ACTIONS,
};

struct report_recipient {
	struct slice forward_path, orcpt; /* as in the envelope */
	enum report_action action;
	struct slice status; /* "5.1.1"; what is none becomes the action's own */
	struct slice remote; /* the other server: "mx.example.net [192.0.2.7]:25"; may be empty */
	struct slice words;  /* its reply, or what went wrong; may be empty */
	bool is_reply;	     /* the words are the remote's own */
};

struct report {
	struct slice hostname;		 /* ours */
	const struct envelope *envelope; /* of the message that is reported on */
	int64_t arrived_unix, now_unix;
	int64_t retry_until_unix; /* for what is delayed */
	const struct report_recipient *recipients;
	size_t recipient_count;
	struct slice content; /* of the message: its header at least */
	bool is_whole;	      /* the content is all of it */
};

/* How much of a message a report may carry in full; of a larger one only the header goes along. */
enum { REPORT_CONTENT_MAX_OCTETS = 128 * 1024 };

/* Whether the sender asked for the whole message, or left it open (RFC 3461 section 4.3). */
bool report_wants_whole(const struct envelope *envelope, const struct report_recipient *recipients,
			size_t recipient_count, uint64_t size_octets);
/* Whether a recipient wants to be told of that (RFC 3461 section 4.1). */
bool report_is_wanted(uint8_t notify, enum report_action action);
/* Appends the message, from its Return-Path on. */
void report_format(const struct report *report, struct buffer *out);
