/* tests/bench/conn.h - Blocking TCP/TLS connections with buffered reads, and an IMAP command
 * helper.  Any failure ends the process: a benchmark with errors is void. */
#ifndef CONN_H
#define CONN_H
#include <openssl/ssl.h>
#include <stddef.h>

typedef struct {
	int fd;
	SSL *ssl;
	char *buf;
	size_t pos, len, cap;
	unsigned tag;
	int litplus, multiappend;
} conn;

typedef struct { /* what one IMAP command returned */
	long fetches, expunges, hits, exists;
	long long bytes; /* bytes received, literals included */
	double first;	 /* time of the first byte of the answer */
	char text[256];	 /* tagged line */
} ires;

double now(void);
void die(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));

void conn_open(conn *c, const char *host, int port, int tls, size_t bufcap);
void conn_starttls(conn *c);
void conn_close(conn *c);
void conn_write(conn *c, const void *p, size_t n);
void conn_printf(conn *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
char *conn_line(conn *c, size_t *len); /* without CRLF, NUL-ended, valid until the next read */
void conn_skip(conn *c, size_t n);

void smtp_expect(conn *c, int code); /* reads one (multi-line) reply */
void pop3_ok(conn *c);
void imap_login(conn *c, const char *user, const char *pass);
int imap_wait(conn *c, const char *tag, ires *r); /* 1 when OK */
ires imap_cmd(conn *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
long imap_status(conn *c, const char *box); /* MESSAGES */
#endif
