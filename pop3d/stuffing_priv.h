/* pop3d/stuffing_priv.h - a message as a multi-line response, in pieces of any size: dots are
 * stuffed (RFC 1939 section 3), and TOP ends where its lines do. In the back. */
#pragma once

#include "base/buffer.h"

struct stuffing {
	uint64_t lines_left; /* of the body that are still to be sent; UINT64_MAX: all */
	bool in_body;
	bool line_is_open;  /* the line under way has octets */
	bool line_is_blank; /* nothing but perhaps a CR in it */
	bool is_complete;   /* TOP has all it wants */
};

/* RETR: `body_lines` is UINT64_MAX. */
void stuffing_begin(struct stuffing *stuffing, uint64_t body_lines);
/* Appends what of the next octets is to be sent. False: no more is wanted. */
bool stuffing_add(struct stuffing *stuffing, struct slice octets, struct buffer *out);
/* The end of the response. Where the message's last line has no CRLF it is given one here:
 * without it the response could not end. LIST's size does not count it. */
void stuffing_end(struct stuffing *stuffing, struct buffer *out);
