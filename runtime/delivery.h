/* runtime/delivery.h - how a message of the queue is given to the front to be sent, and what comes
 * back: MESSAGE_DELIVER, _DELIVERY_CONTENT, _DELIVERY_CREDIT, _FORM_WANTED, _DELIVERY_FORM,
 * _DELIVERY_ANSWERED and _DELIVERED of runtime/messages.h.
 *
 * The back numbers its deliveries, and each message of one has its number as conversation. Content
 * follows at once, at most DELIVERY_WINDOW_OCTETS without a credit. When the channel ends, so do its
 * deliveries: nobody says what came of them. Decoding trusts nothing. */
#pragma once

#include "runtime/messages.h"
#include "runtime/tls_result.h"

enum {
	DELIVERY_WINDOW_OCTETS = 128 * 1024,
	DELIVERY_FRAME_OCTETS = 64 * 1024,
	DELIVERY_RECIPIENTS_MAX = 100,
	DELIVERY_WORDS_MAX_OCTETS = 512,
	DELIVERY_REMOTE_MAX_OCTETS = 320,
};

/* A domain's policy of MTA-STS as it was fetched (trust/sts.h), kept by the back. MESSAGE_POLICY, and
 * with each message for that domain. */
struct policy_message {
	struct slice domain;
	struct slice id, text; /* empty: there is none */
	int64_t fetched_unix, expires_unix;
};
void policy_encode(const struct policy_message *m, struct buffer *out);
bool policy_decode(struct slice payload, struct policy_message *m_out);
enum {
	POLICY_ID_MAX_OCTETS = 32,
	POLICY_TEXT_MAX_OCTETS = 64 * 1024,
	POLICY_KEPT_MAX_SECONDS = 31557600, /* RFC 8461 section 3.2 */
};

struct delivery_message {
	uint64_t queue_id, message_id; /* for the log */
	struct slice destination;      /* domain or address literal */
	uint64_t size_octets;	       /* of the content that will come */
	enum envelope_body form; /* what a server has to take for it to be sent there as it is */
	struct policy_message policy; /* the destination's, if one is known */
	enum tls_level known_level;   /* what the way there has to be at least, as it has been */
	enum tls_policy_kind
		known_by;  /* what proved it, where it was proven; TLS_POLICY_NONE: either */
	bool tls_optional; /* the sender wants it there in any case (RFC 8689 section 3) */
	/* Nothing is known of the place it goes to: MESSAGE_DELIVERY_ANSWERED, which says nothing more,
	 * tells when a server there has taken the first recipient. */
	bool is_probe;
	struct envelope envelope;
};
void delivery_encode(const struct delivery_message *m, struct buffer *out);
bool delivery_decode(struct slice payload, struct delivery_message *m_out);

/* MESSAGE_FORM_WANTED: a server that is to have the message takes this at most, which is less than the
 * form that it has. One such question at a time. */
void form_wanted_encode(enum envelope_body form, struct buffer *out);
bool form_wanted_decode(struct slice payload, enum envelope_body *form_out);
/* MESSAGE_DELIVERY_FORM answers it. Whatever the answer, the content begins anew behind it, with all of
 * its window; what came before counts for nothing. No credit was given yet: nobody asks once a server
 * has agreed to take the content. */
struct delivery_form_message {
	enum envelope_body form; /* what it has now */
	uint64_t size_octets;	 /* of the content that will come */
	/* "5.6.2" and why, where it cannot be had in the form that was asked for; "4.6.2" while a server may
	 * still turn out to take more than it says. Empty: it can. */
	struct slice status, words;
};
void delivery_form_encode(const struct delivery_form_message *m, struct buffer *out);
bool delivery_form_decode(struct slice payload, struct delivery_form_message *m_out);

enum delivery_verdict {
	DELIVERY_TAKEN, /* the other side has it now */
	DELIVERY_LATER,
	DELIVERY_REFUSED, /* for good */
	DELIVERY_VERDICT_COUNT,
};
struct delivered_recipient {
	enum delivery_verdict verdict;
	uint16_t code;	     /* of the remote's reply; 0: there was none */
	struct slice status; /* "5.1.1" */
	struct slice words;  /* the remote's own, or what went wrong */
};
struct delivered_message {
	bool is_down;		  /* the trouble is the destination's, not this message's */
	bool is_uncertain;	  /* the connection ended after the content, before the reply */
	bool passed_dsn;	  /* the remote takes care of what the sender wants to hear */
	bool passed_deliver_by;	  /* the remote keeps to BY (RFC 2852) */
	bool is_final;		  /* LMTP: it lies in the recipient's mailbox */
	struct slice remote;	  /* "mx.example.net [192.0.2.7]:25"; empty: none was reached */
	uint32_t recipient_count; /* as many as the envelope had, in its order */
	struct slice recipients;  /* encoded */
};
void delivered_encode(const struct delivered_message *m, struct buffer *out);
void delivered_encode_recipient(const struct delivered_recipient *recipient, struct buffer *out);
bool delivered_decode(struct slice payload, struct delivered_message *m_out);
bool delivered_next_recipient(struct slice *recipients, struct delivered_recipient *recipient_out);
