/* runtime/report_message.h - a report that the front is to give to a web server for the back, and what
 * came of it: MESSAGE_REPORT and MESSAGE_REPORTED of runtime/messages.h. Slices point into the payload.
 * Decoding trusts nothing. */
#pragma once

#include "base/buffer.h"

enum {
	REPORT_HOST_MAX_OCTETS = 255,
	REPORT_PATH_MAX_OCTETS = 1024,
	REPORT_BODY_MAX_OCTETS = 512 * 1024,
	REPORT_WHY_MAX_OCTETS = 255,
};

struct report_message {
	struct slice host;
	uint16_t port;
	struct slice path; /* with its first slash */
	struct slice body;
};
void report_message_encode(const struct report_message *m, struct buffer *out);
bool report_message_decode(struct slice payload, struct report_message *m_out);

struct reported_message {
	bool is_taken;
	struct slice why; /* it was not, in words */
};
/* Words that are too long are cut. */
void reported_message_encode(const struct reported_message *m, struct buffer *out);
bool reported_message_decode(struct slice payload, struct reported_message *m_out);
