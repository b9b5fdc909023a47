/* serve/front_priv.h - the front's role, and what its parts share. For this room alone. */
#pragma once

#include "runtime/descriptor.h"
#include "runtime/front.h"
#include "serve/child_priv.h"
#include "serve/connections_priv.h"
#include "smtpd/relay/relay.h"

extern const struct child_class front_class;

struct front_loop;

/* A listening socket of one loop. */
struct gate {
	struct front_loop *owner;
	enum config_service service;
	struct descriptor *descriptor; /* NULL: shut */
	struct timer *pause;	       /* after the kernel ran out of something */
	uint64_t told_ms;	       /* when a refusal was logged last */
	unsigned untold;	       /* refusals since, which were not */
};

struct front_loop {
	struct child_loop child_loop; /* first */
	struct front front;
	struct connections *connections; /* all loops' */
	struct relay_sender *sender;	 /* of mail that leaves */
	struct gate *gates;
	size_t gate_count;
	unsigned open;	   /* streams of clients, also those that only say goodbye still */
	uint64_t empty_ms; /* while stopping: when the last session had left; 0: not yet */
};

/* serve/gate.c: accepts clients and hands them to their protocol. */
void gate_open(struct gate *gate, struct front_loop *owner, enum config_service service, int fd);
void gate_shut(struct gate *gate);
/* Counts the client, and hands it to its protocol or refuses it. Takes `fd`. */
void gate_let_in(struct gate *gate, int fd, const struct peer *peer);
/* serve/proxied.c: reads the PROXY header that comes first, then gate_let_in(). Takes `fd`. */
void proxied_begin(struct gate *gate, int fd, const struct peer *balancer);
