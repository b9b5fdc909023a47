/* pop3d/reply_priv.h - what front and back say alike. In both. */
#pragma once

#include "runtime/session.h"

/* RFC 1939 has 40 octets an argument, RFC 2449 section 4 255 a command, RFC 5034 section 4 lets
 * a SASL response be longer: this holds a login and a password of full length in base64. */
enum { POP3_LINE_MAX_OCTETS = 4096 };

enum capa_state {
	CAPA_FRESH,	  /* sign-in is not allowed yet: TLS first */
	CAPA_MAY_SIGN_IN, /* or is signed in: what is announced before is announced after, too */
};
/* The answer to CAPA (RFC 2449 section 5). `with_stls`: TLS can be started. */
void pop3_capabilities(struct session *session, enum capa_state state, bool with_stls);

/* "+OK text" and "-ERR text", one line each. `text` may begin with a response code (RFC 2449
 * section 8, RFC 3206); it is ours and shorter than 500 octets. */
void pop3_ok(struct session *session, const char *text);
void pop3_err(struct session *session, const char *text);
