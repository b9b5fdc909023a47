/* tests/bench/gen.c - synthetic mail, cut out of pools of CRLF lines. */
#include "gen.h"
#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POOL (24u << 20)
#define WORDS 20000
#define PLAIN_MAX 8000 /* larger messages have parts */

static char *text, *html, *b64; /* the pools */
static char word[WORDS][14];
static uint64_t seed0;

uint64_t gen_rand(uint64_t *s)
{
	uint64_t z = (*s += 0x9e3779b97f4a7c15);
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

static const char *zipf(uint64_t *s) /* rank r with probability ~ 1/r */
{
	double u = (gen_rand(s) >> 11) * 0x1p-53;
	int r = (int)exp(u * log(WORDS)) - 1;
	return word[r < 0 ? 0 : r % WORDS];
}

static size_t words(char *p, size_t max, uint64_t *s)
{
	size_t n = 0;
	for (;;) {
		const char *w = zipf(s);
		size_t l = strlen(w);
		if (n + l + 2 > max)
			return n;
		if (n)
			p[n++] = ' ';
		memcpy(p + n, w, l);
		n += l;
	}
}

static void make_words(uint64_t *s)
{
	static const char *syl[] = { "ka", "re", "mi",	"to",  "sun", "el", "or", "an",
				     "ti", "ve", "lo",	"pre", "st",  "on", "de", "ing",
				     "er", "ma", "qui", "ble", "fa",  "ne", "us", "dor" };
	for (int i = 0; i < WORDS; i++)
		for (int k = 0, m = 1 + (i > 40) + (i > 900) + gen_rand(s) % 2; k < m; k++)
			strcat(word[i], syl[gen_rand(s) % 24]);
}

static void make_text(void)
{
	uint64_t s = seed0;
	make_words(&s);
	text = malloc(POOL + 256);
	for (size_t n = 0; n < POOL;) {
		n += words(text + n, 50 + gen_rand(&s) % 24, &s);
		memcpy(text + n, "\r\n", 2);
		n += 2;
	}
}

static void make_html(void)
{
	uint64_t s = ~seed0;
	html = malloc(POOL + 256);
	for (size_t n = 0; n < POOL;) {
		switch (gen_rand(&s) % 3) {
		case 0:
			n += sprintf(
				html + n,
				"<td style=\"font-family:Arial,sans-serif;padding:0 12px\">\r\n");
			break;
		case 1:
			n += sprintf(
				html + n,
				"<a href=\"https://mail.example.com/c/%016llx\">%s</a></td>\r\n",
				(unsigned long long)gen_rand(&s), zipf(&s));
			break;
		default:
			n += words(html + n, 70, &s);
			memcpy(html + n, "\r\n", 2);
			n += 2;
		}
	}
}

static void make_b64(void)
{
	static const char B[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint64_t s = seed0 * 3 + 1;
	b64 = malloc(POOL + 256);
	for (size_t n = 0; n < POOL;) {
		for (int i = 0; i < 76; i += 4) {
			uint64_t r = gen_rand(&s);
			for (int k = 0; k < 4; k++, r >>= 6)
				b64[n++] = B[r & 63];
		}
		memcpy(b64 + n, "\r\n", 2);
		n += 2;
	}
}

void gen_init(uint64_t seed)
{
	seed0 = seed;
}

void gen_prepare(size_t size)
{
	static pthread_once_t text_once = PTHREAD_ONCE_INIT, html_once = PTHREAD_ONCE_INIT,
			      b64_once = PTHREAD_ONCE_INIT;
	pthread_once(&text_once, make_text);
	pthread_once(&b64_once, make_b64);
	if (!size || size > PLAIN_MAX)
		pthread_once(&html_once, make_html);
}

size_t gen_size(uint64_t id)
{
	uint64_t s = seed0 ^ (id * 0x2545f4914f6cdd1d);
	unsigned r = gen_rand(&s) % 1000;
	uint64_t v = gen_rand(&s);
	if (r < 500)
		return 2048 + v % 4096; /* plain text */
	if (r < 850)
		return 8192 + v % 22528; /* text + html */
	if (r < 980)
		return 20480 + v % 81920; /* small attachment */
	return 204800 + v % 409600;	  /* large attachment */
}

static void put(buf *b, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	b->n += vsnprintf(b->p + b->n, b->cap - b->n, fmt, ap);
	va_end(ap);
}

static void slice(buf *b, const char *pool, size_t n, uint64_t *s)
{
	const char *p = pool + gen_rand(s) % (POOL / 2), *nl = strchr(p, '\n');
	while (n > POOL / 2 - 256) { /* only for huge messages */
		const char *e = memchr(nl + POOL / 4, '\n', 256);
		memcpy(b->p + b->n, nl + 1, e - nl);
		b->n += e - nl;
		n -= e - nl;
	}
	const char *e = memchr(nl + 1 + n, '\n', 256);
	memcpy(b->p + b->n, nl + 1, e - nl);
	b->n += e - nl;
}

void gen_msg(buf *b, uint64_t id, size_t size, const char *to)
{
	uint64_t s = seed0 ^ (id * 0xd1342543de82ef95);
	if (!size)
		size = gen_size(id);
	gen_prepare(size);
	if (b->cap < size + 8192)
		b->p = realloc(b->p, b->cap = size + 8192);
	b->n = 0;
	unsigned long long r1 = gen_rand(&s), r2 = gen_rand(&s);
	char subj[72], sig[345];
	subj[words(subj, 20 + r1 % 40, &s)] = 0;
	size_t o = gen_rand(&s) % (POOL / 156) * 78;
	for (int i = 0; i < 344; i++)
		sig[i] = b64[o + i] < 32 ? '/' : b64[o + i];
	sig[344] = 0;
	put(b,
	    "Received: from out%llu.mail.example.com (out%llu.mail.example.com "
	    "[198.51.100.%llu])\r\n"
	    "\tby relay.example.net with ESMTPS id %016llx\r\n"
	    "\tfor <%s>; Tue, 21 Jul 2026 10:%02llu:%02llu +0000 (UTC)\r\n"
	    "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.com; s=k1;\r\n"
	    "\th=from:to:subject:date:message-id; bh=%.43s=;\r\n"
	    "\tb=%.70s\r\n\t %.70s\r\n\t %.70s\r\n\t %.70s\r\n",
	    r1 % 90, r1 % 90, r1 % 250, r2, to, r1 % 60, r2 % 60, sig + 300, sig, sig + 70,
	    sig + 140, sig + 210);
	put(b,
	    "From: \"%s %s\" <%s.%llu@example.com>\r\nTo: <%s>\r\nSubject: %s%s\r\n"
	    "Date: Tue, %llu Jul 2026 10:%02llu:%02llu +0000\r\n"
	    "Message-ID: <%016llx.%llu@mail.example.com>\r\nMIME-Version: 1.0\r\n",
	    zipf(&s), zipf(&s), zipf(&s), r2 % 1000, to, subj, id % 1000 == 7 ? " needle" : "",
	    1 + r1 % 28, r1 % 60, r2 % 60, r2, (unsigned long long)id);
	const char *hay = id % 1000 == 13 ? "the haystraw line\r\n" : "";
	size_t body = size > b->n + 400 ? size - b->n - 400 : 100;
	if (size <= PLAIN_MAX) {
		put(b,
		    "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: "
		    "7bit\r\n\r\n%s",
		    hay);
		slice(b, text, body + 280, &s);
		return;
	}
	int att = size > 32000;
	size_t tx = att ? 1500 : body * 30 / 100, ht = att ? 4000 : body - tx;
	if (att)
		put(b,
		    "Content-Type: multipart/mixed; "
		    "boundary=\"mix%016llx\"\r\n\r\n--mix%016llx\r\n",
		    r1, r1);
	put(b,
	    "Content-Type: multipart/alternative; boundary=\"alt%016llx\"\r\n\r\n"
	    "--alt%016llx\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n%s",
	    r1, r1, hay);
	slice(b, text, tx, &s);
	put(b, "\r\n--alt%016llx\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<html><body>\r\n",
	    r1);
	slice(b, html, ht, &s);
	put(b, "</body></html>\r\n\r\n--alt%016llx--\r\n", r1);
	if (att) {
		put(b,
		    "--mix%016llx\r\nContent-Type: application/pdf; name=\"doc%llu.pdf\"\r\n"
		    "Content-Disposition: attachment; filename=\"doc%llu.pdf\"\r\n"
		    "Content-Transfer-Encoding: base64\r\n\r\n",
		    r1, r2 % 9999, r2 % 9999);
		slice(b, b64, body > 6000 ? body - 5700 : 300, &s);
		put(b, "\r\n--mix%016llx--\r\n", r1);
	}
}
