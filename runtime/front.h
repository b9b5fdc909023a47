/* runtime/front.h - what a front-end protocol needs on one loop of the front. */
#pragma once

#include "base/config.h"
#include "runtime/limits.h"
#include "runtime/link.h"
#include "runtime/resolver.h"
#include "runtime/stream.h"

struct front {
	struct loop *loop;
	struct link *link;
	struct tls_context *tls;     /* for STARTTLS; replaced at a reload: read it when needed */
	const struct config *config; /* likewise */
	struct limits *limits;	     /* all loops'; NULL: there are none */
	struct resolver *resolver;   /* all loops'; NULL: DNS knows nothing */
};

/* A front-end starts so, on a fresh connection, from serve/front.c. For the services with
 * implicit TLS the handshake is complete already. */
typedef void (*front_start)(struct front *front, struct stream *stream,
			    enum config_service service);
