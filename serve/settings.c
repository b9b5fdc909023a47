/* serve/settings.c - the configuration and the files that it names, read at the start and at a reload: all
 * of them or none. Runs in the supervisor. */
#include "serve/settings_priv.h"

#include <errno.h>
#include <string.h>

#include "serve/identity_priv.h"

enum { CONFIG_MAX_OCTETS = 1024 * 1024 };

/* False: errno says why. */
static bool read_text(const char *path, struct buffer *text)
{
	FILE *file = fopen(path, "re");
	if (!file)
		return false;
	while (text->len <= CONFIG_MAX_OCTETS) {
		size_t len = fread(buffer_reserve(text, 8192), 1, 8192, file);
		if (len == 0)
			break;
		text->len += len;
	}
	int why = ferror(file) ? errno : text->len > CONFIG_MAX_OCTETS ? EFBIG : 0;
	fclose(file);
	errno = why;
	return why == 0;
}

bool settings_load_config(const char *path, struct settings *settings, FILE *errors)
{
	settings->config =
		read_text(path, &settings->config_text)
			? config_parse(path, buffer_slice(&settings->config_text), errors)
			: config_read(path, errors); /* says why it cannot be read */
	return settings->config;
}

static bool same_text(const char *a, const char *b)
{
	return slice_eq(slice_cstr(a), slice_cstr(b));
}

bool settings_need_restart(const struct config *old, const struct config *new)
{
	bool same = same_text(old->state_dir, new->state_dir) &&
		    same_text(old->dns_forward, new->dns_forward) &&
		    same_text(old->dns_trust_anchor, new->dns_trust_anchor) &&
		    same_text(old->smarthost_ca, new->smarthost_ca) &&
		    same_text(old->relay_authorities, new->relay_authorities) &&
		    same_text(old->user_front, new->user_front) &&
		    same_text(old->user_back, new->user_back) && old->loops == new->loops &&
		    old->listen_count == new->listen_count;
	for (size_t i = 0; same && i < old->listen_count; i++)
		same = old->listens[i].service == new->listens[i].service &&
		       old->listens[i].port ==
			       new->listens[i].port &&same_text(old->listens[i].address,
								new->listens[i].address);
	return !same;
}

/* The first line of the file, without blanks around it. */
static bool load_smarthost_password(const struct config *config, struct buffer *password,
				    FILE *errors)
{
	const char *path = config->smarthost_password_file;
	if (!path)
		return true;
	bool good = read_text(path, password);
	if (good) {
		struct slice line = buffer_slice(password);
		line.len = slice_find_byte(line, 0, '\n');
		line = slice_trim(line);
		size_t blanks = (size_t)(line.ptr - password->data);
		password->len = blanks + line.len;
		buffer_drop_front(password, blanks);
	} else {
		fprintf(errors,
			"%s cannot be read, which [relay] smarthost_password_file names: %s\n",
			path, strerror(errno));
	}
	return good;
}

bool settings_load_secrets(struct settings *settings, FILE *errors)
{
	return load_smarthost_password(settings->config, &settings->smarthost_password, errors) &&
	       identity_load(settings->config, &settings->certificate_pem, &settings->key_pem,
			     errors);
}

bool settings_load_trust_anchor(const struct config *config, struct buffer *text, FILE *errors)
{
	const char *path = config->dns_trust_anchor;
	if (!path || read_text(path, text))
		return true;
	fprintf(errors, "%s cannot be read, which [dns] trust_anchor names: %s\n", path,
		strerror(errno));
	return false;
}

void settings_free(struct settings *settings)
{
	config_free(settings->config);
	buffer_free(&settings->config_text);
	buffer_free(&settings->certificate_pem);
	buffer_wipe(&settings->key_pem);
	buffer_wipe(&settings->smarthost_password);
	*settings = (struct settings){ .config = NULL };
}
