#include "conn.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

void die(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	fputs("mload: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	_exit(1);
}

static SSL_CTX *ctx(void)
{
	static SSL_CTX *x;
	SSL_CTX *have = __atomic_load_n(&x, __ATOMIC_ACQUIRE);
	if (have)
		return have;
	SSL_CTX *n = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_verify(n, SSL_VERIFY_NONE, NULL);
	SSL_CTX_set_session_cache_mode(n, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(n, SSL_MODE_AUTO_RETRY | SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX *none = NULL;
	if (!__atomic_compare_exchange_n(&x, &none, n, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		SSL_CTX_free(n);
	return x;
}

static void tls_start(conn *c)
{
	c->ssl = SSL_new(ctx());
	SSL_set_fd(c->ssl, c->fd);
	if (SSL_connect(c->ssl) != 1)
		die("TLS handshake failed");
}

void conn_open(conn *c, const char *host, int port, int tls, size_t bufcap)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(port) };
	memset(c, 0, sizeof *c);
	c->cap = bufcap ? bufcap : 65536;
	c->buf = malloc(c->cap + 1);
	if (inet_pton(AF_INET, host, &sa.sin_addr) != 1)
		die("bad address %s", host);
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct timeval tv = { .tv_sec = 600 };
	int one = 1;
	setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
	setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv);
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (connect(c->fd, (struct sockaddr *)&sa, sizeof sa) != 0)
		die("connect %s:%d: %s", host, port, strerror(errno));
	if (tls)
		tls_start(c);
}

void conn_starttls(conn *c)
{
	if (c->pos != c->len)
		die("bytes before the TLS handshake");
	tls_start(c);
}

void conn_close(conn *c)
{
	if (c->ssl) {
		SSL_shutdown(c->ssl);
		SSL_free(c->ssl);
	}
	close(c->fd);
	free(c->buf);
}

void conn_write(conn *c, const void *p, size_t n)
{
	const char *s = p;
	while (n) {
		ssize_t w = c->ssl ? SSL_write(c->ssl, s, n > 1 << 20 ? 1 << 20 : (int)n)
				   : send(c->fd, s, n, MSG_NOSIGNAL);
		if (w <= 0)
			die("write: %s", strerror(errno));
		s += w;
		n -= w;
	}
}

void conn_printf(conn *c, const char *fmt, ...)
{
	char b[4096];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(b, sizeof b, fmt, ap);
	va_end(ap);
	conn_write(c, b, n);
}

static void fill(conn *c)
{
	if (c->pos) {
		memmove(c->buf, c->buf + c->pos, c->len - c->pos);
		c->len -= c->pos;
		c->pos = 0;
	}
	if (c->len == c->cap)
		c->buf = realloc(c->buf, (c->cap *= 2) + 1);
	ssize_t r = c->ssl ? SSL_read(c->ssl, c->buf + c->len, c->cap - c->len)
			   : recv(c->fd, c->buf + c->len, c->cap - c->len, 0);
	if (r <= 0)
		die("connection lost: %s", r ? strerror(errno) : "end of stream");
	c->len += r;
}

char *conn_line(conn *c, size_t *len)
{
	size_t seen = 0;
	for (;;) {
		char *s = c->buf + c->pos;
		char *e = memchr(s + seen, '\n', c->len - c->pos - seen);
		if (e) {
			size_t n = e - s;
			c->pos += n + 1;
			if (n && s[n - 1] == '\r')
				n--;
			s[n] = 0;
			if (len)
				*len = n;
			return s;
		}
		seen = c->len - c->pos;
		fill(c);
	}
}

void conn_skip(conn *c, size_t n)
{
	while (n) {
		size_t have = c->len - c->pos;
		if (!have) {
			c->pos = c->len = 0;
			fill(c);
			continue;
		}
		if (have > n)
			have = n;
		c->pos += have;
		n -= have;
	}
}

void smtp_expect(conn *c, int code)
{
	char *l;
	do
		l = conn_line(c, NULL);
	while (strlen(l) > 3 && l[3] == '-');
	if (atoi(l) != code)
		die("SMTP: wanted %d, got: %s", code, l);
}

void pop3_ok(conn *c)
{
	char *l = conn_line(c, NULL);
	if (*l != '+')
		die("POP3: %s", l);
}

int imap_wait(conn *c, const char *tag, ires *r)
{
	size_t tl = strlen(tag), n;
	int inlit = 0;
	for (;;) {
		char *l = conn_line(c, &n);
		if (r->bytes == 0)
			r->first = now();
		r->bytes += n + 2;
		if (!inlit) {
			if (!strncmp(l, tag, tl) && l[tl] == ' ') {
				snprintf(r->text, sizeof r->text, "%s", l + tl + 1);
				return !strncmp(l + tl + 1, "OK", 2);
			}
			if (l[0] == '*' && l[1] == ' ') {
				char *e;
				long v = strtol(l + 2, &e, 10);
				if (!strncmp(e, " FETCH", 6))
					r->fetches++;
				else if (!strncmp(e, " EXPUNGE", 8))
					r->expunges++;
				else if (!strncmp(e, " EXISTS", 7))
					r->exists = v;
				else if (!strncmp(l + 2, "VANISHED ", 9))
					r->expunges++;
				else if (!strncmp(l + 2, "SEARCH", 6))
					for (char *p = l + 8; *p; p++)
						r->hits += *p == ' ';
				else if (!strncmp(l + 2, "CAPABILITY", 10) ||
					 !strncmp(l + 2, "OK [CAPABILITY", 14)) {
					c->litplus |= strstr(l, "LITERAL+") != NULL;
					c->multiappend |= strstr(l, "MULTIAPPEND") != NULL;
				} else if (!strncmp(l + 2, "STATUS", 6)) {
					char *m = strstr(l, "MESSAGES ");
					if (m)
						r->exists = atol(m + 9);
				}
			}
		}
		inlit = 0;
		if (n > 2 && l[n - 1] == '}') {
			char *o = l + n - 1;
			while (o > l && *o != '{')
				o--;
			size_t lit = strtoul(o + 1, NULL, 10);
			conn_skip(c, lit);
			r->bytes += lit;
			inlit = 1; /* tests/bench/conn.c - the next line continues this answer */
		}
	}
}

ires imap_cmd(conn *c, const char *fmt, ...)
{
	char b[8192], tag[16];
	ires r = { .exists = -1 };
	va_list ap;
	snprintf(tag, sizeof tag, "a%u", ++c->tag);
	int n = snprintf(b, sizeof b, "%s ", tag);
	va_start(ap, fmt);
	n += vsnprintf(b + n, sizeof b - n - 2, fmt, ap);
	va_end(ap);
	b[n++] = '\r';
	b[n++] = '\n';
	conn_write(c, b, n);
	if (!imap_wait(c, tag, &r))
		die("IMAP: %.*s -> %s", n - 2, b, r.text);
	return r;
}

void imap_login(conn *c, const char *user, const char *pass)
{
	conn_line(c, NULL);
	ires r = imap_cmd(c, "LOGIN %s %s", user, pass);
	if (strstr(r.text, "CAPABILITY")) {
		c->litplus |= strstr(r.text, "LITERAL+") != NULL;
		c->multiappend |= strstr(r.text, "MULTIAPPEND") != NULL;
	}
}

long imap_status(conn *c, const char *box)
{
	return imap_cmd(c, "STATUS %s (MESSAGES)", box).exists;
}
