/* serve/orders_priv.h - what the supervisor says to its children, over a channel each, and
 * what they answer. For this room alone. */
#pragma once

#include "base/buffer.h"
#include "base/config.h"
#include "runtime/sandbox.h"

enum order_type {
	/* supervisor -> child */
	ORDER_TEXT = 1, /* u8 enum order_text, then a piece of it */
	ORDER_LISTENER, /* front: be16 loop, u8 service; with a listening socket */
	ORDER_CONTROL,	/* back: with the control socket */
	ORDER_LINK,	/* be16 loop; with one end of the channel between front and back */
	ORDER_PROGRAM,	/* back: be32 uid, the user's name; with a socket of [listen] sendmail */
	ORDER_START,	/* struct start_order */
	ORDER_RELOAD,	/* the texts that came since are the new ones */
	ORDER_STOP,	/* goodbye to every session, then exit with 0 */
	/* child -> supervisor */
	REPORT_READY = 100,
	REPORT_BAD_FRONT, /* back: the front has broken the rules of runtime/messages.h */
};

enum order_text {
	TEXT_CONFIG_NAME, /* absolute: relative paths inside start from its folder */
	TEXT_CONFIG,
	TEXT_STATE_DIR,	  /* as it was when the server started, whatever a new configuration says */
	TEXT_CERTIFICATE, /* front only, like the key */
	TEXT_KEY,
	TEXT_TRUST_ANCHOR,	 /* front only: the file's, if the configuration names one */
	TEXT_SMARTHOST_PASSWORD, /* front only: empty where there is none */
	TEXT_COUNT,
};
enum { TEXT_PIECE_OCTETS = 32 * 1024 };

struct start_order {
	struct sandbox_user user;
	unsigned loops;
	bool kill_violators;
};
void start_order_encode(const struct start_order *order, struct buffer *out);
bool start_order_decode(struct slice payload, struct start_order *order_out);

void listener_order_encode(unsigned loop, enum config_service service, struct buffer *out);
bool listener_order_decode(struct slice payload, unsigned *loop_out,
			   enum config_service *service_out);
void program_order_encode(uint32_t uid, struct slice user, struct buffer *out);
bool program_order_decode(struct slice payload, uint32_t *uid_out, struct slice *user_out);
void link_order_encode(unsigned loop, struct buffer *out);
bool link_order_decode(struct slice payload, unsigned *loop_out);

enum {
	CONTROL_FD = 3,	       /* the child's end of the channel */
	EXIT_CANNOT_START = 1, /* the child has said why */
	STOP_CHILD_MS = 4000,  /* a child says goodbye for at most so long */
	STOP_ALL_MS = 4700,    /* then the supervisor ends it */
};
