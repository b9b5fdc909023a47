/* runtime/sign_in_limits.h - how long what a client signs in with may be. What is longer the front
 * refuses by itself; to the back, a front that passes it on has broken the rules. */
#pragma once

enum {
	AUTHORIZE_AS_MAX_OCTETS = 255,
	LOGIN_MAX_OCTETS = 255, /* as many must be accepted (RFC 4616 section 2) */
	PASSWORD_MAX_OCTETS = 1024,
	TAG_MAX_OCTETS = 256, /* IMAP's, of the command that signs in */
};
