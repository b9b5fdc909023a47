/* smtpd/arrival_priv.h - what is found out about a strange client before its mail is taken: does
 * it wait for the greeting, what is its name, which lists know it. Runs in the front. */
#pragma once

#include "base/buffer.h"
#include "base/cursor.h"
#include "runtime/session.h"

struct smtp_session;
struct smtp_arrival;

/* The state before the greeting: greets, at once or when a strange client has waited long enough;
 * who speaks before is sent away (RFC 5321 section 4.3.1). */
enum step smtp_arrive(struct smtp_session *s, struct cursor *in);
/* The wait may be over. */
enum step smtp_arrival_look(struct smtp_session *s);

/* All that was asked is answered, or the time for it is over. */
bool smtp_arrival_is_complete(const struct smtp_session *s);
/* Once it is: ends the session's job, which is out for it. */
void smtp_arrival_await(struct smtp_session *s);
/* Once it is: the text of a reply (without code) where lists are against the client, else the
 * empty slice. */
struct slice smtp_arrival_refusal(const struct smtp_session *s);
/* The client's name, if the reverse and the forward direction of DNS agree, as far as known now;
 * else the empty slice. */
struct slice smtp_arrival_host(const struct smtp_session *s);

/* Accepts NULL, leaves NULL. */
void smtp_arrival_free(struct smtp_arrival **arrival);
