/* smtpd/relay/sender_priv.h - deliveries and connections of one loop of the front. */
#pragma once

#include "runtime/race.h"
#include "smtpd/relay/client_priv.h"
#include "smtpd/relay/demand_priv.h"
#include "smtpd/relay/exchangers_priv.h"
#include "smtpd/relay/families_priv.h"
#include "smtpd/relay/patience_priv.h"
#include "smtpd/relay/relay.h"
#include "smtpd/relay/results_priv.h"
#include "smtpd/relay/sts_priv.h"

enum {
	CONNECT_MS = 30 * 1000,
	CONTENT_PIECE_OCTETS = 64 * 1024,
	SESSIONS_MAX = 512, /* of TLS, to be resumed; a few KiB each */
};

struct connection;
struct posting;

/* A message on its way, from the back's word until the answer to it. */
struct outgoing {
	struct relay_sender *sender;
	struct outgoing *next, *previous;
	uint32_t conversation;
	struct arena arena;
	struct delivery_message message;
	struct route route;
	struct buffer content; /* that came and was not sent yet */
	uint64_t content_came;
	uint32_t uncredited_octets;
	bool waits_for_form; /* the back was asked for another: */
	enum envelope_body wanted_form;
	/* It cannot be had in this one, nor in a lesser one: why. No status: nothing is known. */
	enum envelope_body lacking_form;
	const char *lacking_status, *lacking_words;
	struct exchangers *exchangers;
	struct sts_lookup sts; /* the destination's policy */
	bool waits_for_policy; /* it is being looked up, */
	bool has_found;	       /* and an exchanger is there already: `found_end` */
	enum exchangers_end found_end;
	struct race *race; /* to its addresses */
	struct connection *connection;
	struct exchanger exchanger; /* that is tried */
	struct demand demand;	    /* of the way to it */
	/* How many were tried, and how many of them cannot be given it for good: with which status,
	 * and why. */
	unsigned tried, unfit;
	const char *unfit_status, *unfit_words;
	char remote[DELIVERY_REMOTE_MAX_OCTETS];
	struct buffer trouble; /* with the exchanger before */
	bool in_the_clear;     /* TLS failed there: once more without */
};

struct connection {
	struct relay_sender *sender;
	struct connection *next, *previous;
	struct stream *stream;
	struct client client;
	struct patience patience;
	struct log log;
	char *key;	/* of its route */
	char *host;	/* for its certificate */
	char *password; /* the smarthost's; NULL: nobody signs in */
	char remote[DELIVERY_REMOTE_MAX_OCTETS];
	struct exchanger exchanger;
	struct outgoing *outgoing; /* NULL: idle */
	struct demand demand;
	bool is_noted; /* how it was secured was told */
	bool is_fresh; /* no message was sent over it yet */
	uint64_t began_ms;
	unsigned message_count; /* that have an end */
	bool is_handshaking;
};

struct relay_sender {
	struct link_worker worker;
	struct front *front;
	struct relay_trust trust;
	struct families families;
	struct buffer password;
	struct tls_sessions *sessions;
	struct sts_fetches fetches;
	struct outgoing *outgoings;
	struct connection *connections;
	struct posting *postings;
	unsigned count;
	uint32_t last_conn_id;
	bool is_stopping;
};

/* outgoing.c */
void outgoing_start(struct outgoing *outgoing);
/* A server has taken the first of its recipients: the back is told, where it wants to know. */
void outgoing_note_answer(struct outgoing *outgoing);
/* The connection has an end for this message. */
void outgoing_report(struct outgoing *outgoing, const struct client *client, const char *remote);
/* This exchanger is of no use: `why` in words; the next one, please. */
void outgoing_try_next(struct outgoing *outgoing, struct slice why);
/* As above, since it cannot be given this message, today and tomorrow; with a status of the class 4, today.
 * `status` and `why` stay as long as the message. */
void outgoing_try_fitter(struct outgoing *outgoing, const char *status, const char *why);
/* From the beginning: the connection that was kept had ended meanwhile. */
void outgoing_retry(struct outgoing *outgoing);
/* Octets of its content that may go now, at most CONTENT_PIECE_OCTETS; taken. */
struct slice outgoing_content(struct outgoing *outgoing);
void outgoing_content_done(struct outgoing *outgoing, size_t octets);
/* The server takes no more than this: connection_formed() when the back has said what can be had. */
void outgoing_want_form(struct outgoing *outgoing, enum envelope_body form);
/* The back has said that it cannot be had. */
bool outgoing_lacks_form(const struct outgoing *outgoing, enum envelope_body form);

/* posting.c: a report for a web server. */
void posting_begin(struct relay_sender *sender, uint32_t conversation, struct slice payload);
/* Nobody wants to know what comes of them. */
void postings_lose(struct relay_sender *sender);

/* connection.c */
void connection_begin(struct relay_sender *sender, int fd, struct outgoing *outgoing);
void connection_assign(struct connection *connection, struct outgoing *outgoing);
/* More content has come. */
void connection_go_on(struct connection *connection);
/* The message has the form that was asked for, or has not. */
void connection_formed(struct connection *connection);
/* Without a word: nobody wants to know any more. */
void connection_abort(struct connection *connection);
void connection_quit(struct connection *connection);

/* securing.c */
/* The handshake, as connection->demand has it. NULL: it is under way; else why there can be none. */
const char *connection_secure(struct connection *connection);
/* It has come to a good end. */
void connection_note_secured(struct connection *connection);

/* kept.c */
/* One that is kept for the same way and good enough for the message; NULL: none. */
struct connection *connection_find(const struct outgoing *outgoing);
/* It is not to be kept any longer. */
bool connection_is_worn(const struct connection *connection);
/* How well it is secured, by what the destination demands. */
enum tls_level connection_level(const struct connection *connection);
