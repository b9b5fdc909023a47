/* runtime/https_get.h - one small document from a web server (RFC 9110, RFC 9112), over TLS that
 * proves the host's name. On the loop's thread. Bounded in size and time; redirects are not followed,
 * nothing is sent but the request. */
#pragma once

#include "runtime/resolver.h"
#include "runtime/tls.h"

struct https_get;

struct https_request {
	struct resolver *resolver;
	struct tls_context *tls; /* with authorities (runtime/tls_verify.h) */
	struct slice host;
	uint16_t port;
	const char *path;	/* with its first slash */
	const char *media_type; /* "text/plain": what the answer has to be */
	size_t body_max_octets;
	uint64_t timeout_ms; /* for all of it */
	bool may_loop;	     /* addresses of this machine are allowed */
};

struct https_answer {
	const char *why; /* NULL: `body` is there; else what went wrong, in words */
	bool is_tls;	 /* that was the server's certificate, or the encryption */
	struct slice body;
};

/* answered() is called once, in a later turn; the answer lives during the call, and the https_get
 * frees itself after it. What `request` points to is copied, or held. */
struct https_get *https_get_new(struct loop *loop, const struct https_request *request,
				void (*answered)(void *user, const struct https_answer *answer),
				void *user);
