/* serve/identity.c - reads or makes the certificate. Runs in the supervisor. */
#include "serve/identity_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/log.h"
#include "runtime/certificate.h"
#include "runtime/tls.h"

enum { PEM_MAX_OCTETS = 1024 * 1024 };

/* 0 or errno. */
static int read_file(const char *path, struct buffer *text)
{
	int failed = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	for (;;) {
		ssize_t len = read(fd, buffer_reserve(text, 8192), 8192);
		if (len < 0)
			failed = errno;
		if (len <= 0)
			break;
		text->len += (size_t)len;
		if (text->len > PEM_MAX_OCTETS) {
			failed = EFBIG;
			break;
		}
	}
	close(fd);
	return failed;
}

/* Whole or not at all: under another name first. 0 or errno. */
static int write_file(const char *path, struct slice text, struct arena *arena)
{
	const char *unfinished = arena_format(arena, "%s.new", path);
	int failed = 0;
	int fd = open(unfinished, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return errno;
	ssize_t written = write(fd, text.ptr, text.len);
	if (written < 0 || fsync(fd) != 0)
		failed = errno;
	else if ((size_t)written < text.len)
		failed = ENOSPC;
	close(fd);
	if (!failed && rename(unfinished, path) != 0)
		failed = errno;
	if (failed)
		unlink(unfinished);
	return failed;
}

/* The key first: a certificate without its key would be in the way of the next attempt. */
static bool make_files(const struct config *config, const char *certificate_path,
		       const char *key_path, struct arena *arena, FILE *errors)
{
	struct buffer certificate = { NULL }, key = { NULL };
	int failed = 0;
	bool made = certificate_self_sign(config->hostname, &certificate, &key) == ERR_OK;
	if (made && (failed = write_file(key_path, buffer_slice(&key), arena)) == 0)
		failed = write_file(certificate_path, buffer_slice(&certificate), arena);
	if (!made)
		fprintf(errors, "a self-signed certificate for %s could not be made\n",
			config->hostname);
	else if (failed)
		fprintf(errors, "%s cannot be written: %s\n", certificate_path, strerror(failed));
	else
		log_info(NULL, EVENT("certificate-made"), CSTR("file", certificate_path));
	buffer_free(&certificate);
	buffer_wipe(&key);
	return made && !failed;
}

bool identity_load(const struct config *config, struct buffer *certificate_pem,
		   struct buffer *key_pem, FILE *errors)
{
	struct arena arena = { NULL };
	struct tls_context *tls = NULL;
	const char *certificate = config->certificate, *key = config->key, *why = NULL;
	int failed;
	bool good = false;

	if (!certificate) {
		certificate = arena_format(&arena, "%s/certificate.pem", config->state_dir);
		key = arena_format(&arena, "%s/key.pem", config->state_dir);
		if (access(certificate, F_OK) != 0 && errno == ENOENT &&
		    !make_files(config, certificate, key, &arena, errors))
			goto out;
	}
	if ((failed = read_file(certificate, certificate_pem)) != 0) {
		fprintf(errors, "%s cannot be read: %s\n", certificate, strerror(failed));
		goto out;
	}
	if ((failed = read_file(key, key_pem)) != 0) {
		fprintf(errors, "%s cannot be read: %s\n", key, strerror(failed));
		goto out;
	}
	tls = tls_server_context(buffer_slice(certificate_pem), buffer_slice(key_pem), &why);
	if (!tls)
		fprintf(errors, "%s and %s cannot be used: %s\n", certificate, key, why);
	good = tls != NULL;
out:
	tls_context_release(&tls);
	if (!good) {
		buffer_free(certificate_pem);
		buffer_wipe(key_pem);
	}
	arena_fini(&arena);
	return good;
}
