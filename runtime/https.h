/* runtime/https.h - one small document from a web server, or to one (RFC 9110, RFC 9112), over TLS that
 * proves the host's name. On the loop's thread. Bounded in size and time; redirects are not followed,
 * nothing is sent but the request. */
#pragma once

#include "runtime/resolver.h"
#include "runtime/tls.h"

struct https_call;

struct https_request {
	struct resolver *resolver;
	struct tls_context *tls; /* with authorities (runtime/tls_verify.h) */
	struct slice host;
	uint16_t port;
	const char *path; /* with its first slash */
	/* What is given to the server, by POST, and its media type. NULL: nothing is, by GET. */
	const char *body_type;
	struct slice body;
	const char
		*media_type; /* "text/plain": what the answer has to be; NULL: it does not matter */
	size_t answer_max_octets;
	uint64_t timeout_ms;  /* for all of it */
	bool may_stay_inside; /* private addresses and those of this machine are allowed */
};

struct https_answer {
	const char *
		why; /* NULL: the server has it, or `body` is there; else what went wrong, in words */
	bool is_tls;	   /* that was the server's certificate, or the encryption */
	struct slice body; /* empty where the answer does not matter */
};

/* answered() is called once, in a later turn; the answer lives during the call, and the https_call
 * frees itself after it. What `request` points to is copied, or held. */
struct https_call *https_call_new(struct loop *loop, const struct https_request *request,
				  void (*answered)(void *user, const struct https_answer *answer),
				  void *user);
