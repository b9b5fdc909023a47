/* auth/scram_client.h - the client's side of SCRAM-SHA-256 (RFC 5802, RFC 7677), without channel
 * binding: signing in at another server without showing it the password, and having it prove that
 * it knows it. Values only: base64 and the protocol's framing are the caller's. One thread. */
#pragma once

#include "base/buffer.h"
#include "base/err.h"

enum { SCRAM_ITERATIONS_MAX = 200000 };

struct scram_client;
/* `nonce` empty: a random one. Copies; what it holds is wiped when it goes. */
struct scram_client *scram_client_new(struct slice user, struct slice password, struct slice nonce);
/* Appends the first message. */
void scram_client_first(struct scram_client *scram, struct buffer *out);
/* The server's challenge; appends the answer. ERR_BAD_INPUT: it makes no sense; ERR_LIMIT: more
 * iterations than there is time for. */
enum err scram_client_answer(struct scram_client *scram, struct slice challenge,
			     struct buffer *out) MUST_USE;
/* The server's last message: ERR_OK when it has proven that it knows the password. */
enum err scram_client_verify(struct scram_client *scram, struct slice message) MUST_USE;
/* Accepts NULL, leaves NULL. */
void scram_client_free(struct scram_client **scram);
