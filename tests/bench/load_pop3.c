/* tests/bench/load_pop3.c - POP3: the list, and messages one after the other. */
#include "load.h"
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- pop3: login+STAT+UIDL, then RETR of n messages ---- */
static void pop3_multi(conn *c, long long *bytes, long *lines)
{
	char *l;
	size_t n;
	pop3_ok(c);
	while (l = conn_line(c, &n), !(n == 1 && *l == '.')) {
		*bytes += n + 2;
		++*lines;
	}
}

void cmd_pop3(void)
{
	conn c;
	long long bytes = 0;
	long lines = 0;
	double t = now();
	conn_open(&c, o.host, o.pop3, o.tls, 1 << 20);
	pop3_ok(&c);
	conn_printf(&c, "USER %s\r\n", login(0));
	pop3_ok(&c);
	conn_printf(&c, "PASS %s\r\n", o.pass);
	pop3_ok(&c);
	conn_printf(&c, "STAT\r\n");
	pop3_ok(&c);
	conn_printf(&c, "UIDL\r\n");
	pop3_multi(&c, &bytes, &lines);
	figure("login_stat_uidl", now() - t, "s");
	if (lines < o.n)
		die("only %ld messages", lines);
	t = now();
	bytes = 0;
	for (long i = 0; i < o.n; i += o.pipeline) {
		char req[64 * 24];
		int k, n = 0;
		for (k = 0; k < o.pipeline && i + k < o.n; k++)
			n += sprintf(req + n, "RETR %ld\r\n", i + k + 1);
		conn_write(&c, req, n);
		while (k--)
			pop3_multi(&c, &bytes, &lines);
	}
	t = now() - t;
	figure("retr", o.n / t, "msg/s");
	figure("retr_MBps", bytes / t / 1e6, "MB/s");
	conn_printf(&c, "QUIT\r\n");
	pop3_ok(&c);
	conn_close(&c);
}
