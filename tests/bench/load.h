/* tests/bench/load.h - what the commands of the load generator share. */
#ifndef LOAD_H
#define LOAD_H
#include "conn.h"
#include "gen.h"

struct load_options {
	const char *host, *domain, *to, *pass, *user, *box, *name, *exec, *login, *probe;
	int smtp, imap, pop3, conns, rcpts, session, users, batch, tls, starttls, auth, pipeline,
		hold, blind, spread;
	long n, seed;
	size_t size;
};
extern struct load_options o;
extern double *lat; /* one latency per work item */

void figure(const char *what, double v, const char *unit);
const char *user(long i); /* the user for work item i */
/* what the server wants as a user name: the address where +login=address, else its local part */
const char *login(long i);
void open_imap(conn *c, long i, size_t cap);
double cpu(void);
long take(void); /* the number of the next work item */
long take_many(long count);
void parallel(void *(*fn)(void *)); /* a thread for each connection */
void percentiles(long n);	    /* of `lat` */

void cmd_smtp(void);
void cmd_visible(void);
void cmd_push(void);
void cmd_login(void);
void cmd_append(void);
void cmd_store(void);
void cmd_imap(int argc, char **argv);
void cmd_idle(void);
void cmd_pop3(void);
#endif
