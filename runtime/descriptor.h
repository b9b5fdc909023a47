/* runtime/descriptor.h - a descriptor that is no stream: says when it can be read. For
 * listening sockets, signals (signalfd) and the control socket. On the loop's own thread. */
#pragma once

#include "runtime/loop.h"

struct descriptor;

/* Takes `fd`, which is non-blocking. readable() is called again and again until nothing is
 * left to read. */
struct descriptor *descriptor_new(struct loop *loop, int fd, void (*readable)(void *user),
				  void *user);
int descriptor_fd(const struct descriptor *descriptor);
void descriptor_pause(struct descriptor *descriptor);
void descriptor_resume(struct descriptor *descriptor);
/* Gives `fd` back, which somebody else of this loop may take. Leaves NULL. */
int descriptor_release(struct descriptor **descriptor);
/* True: `fd` is one of the last that the process may have (getrlimit(2)), for the kernel gives the lowest
 * that is free. They are for telling clients that there is no room: whoever meant to keep it shuts it
 * again. Any thread. */
bool descriptor_is_reserved(int fd);
/* Closes `fd`. Accepts NULL, leaves NULL. */
void descriptor_free(struct descriptor **descriptor);
