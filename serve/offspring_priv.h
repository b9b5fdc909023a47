/* serve/offspring_priv.h - a child as the supervisor sees it: a process and the channel to it.
 * For this room alone. */
#pragma once

#include <sys/types.h>

#include "runtime/channel.h"
#include "runtime/loop.h"
#include "serve/orders_priv.h"

struct offspring {
	const char *name; /* "front", "back" */
	struct loop *loop;
	pid_t pid;		 /* 0: not running */
	struct channel *channel; /* NULL: not running, or it has closed its end */
	bool ready;
	uint64_t born_ms;
	uint64_t delay_ms;     /* before the next birth, if this one dies young */
	struct timer *rebirth; /* the supervisor's */
	void (*reported)(struct offspring *offspring, enum order_type report);
};

/* Warns where children would keep what is open here (Linux before 5.9, or a filter around us). Once, at the
 * start. */
void offspring_check_kernel(void);
/* Starts /proc/self/exe as `serve --role NAME`. False: logged. */
bool offspring_spawn(struct offspring *offspring);
/* Orders; nothing happens where it is not running. `fd` stays the caller's. */
void offspring_order(struct offspring *offspring, enum order_type type, struct slice payload,
		     int fd);
void offspring_send_text(struct offspring *offspring, enum order_text which, struct slice text);
/* It has died. Milliseconds to wait before the next offspring_spawn(). */
uint64_t offspring_bury(struct offspring *offspring);
