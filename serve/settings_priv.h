/* serve/settings_priv.h - what the files of the configuration say, as it is handed to the children. */
#pragma once

#include <stdio.h>

#include "base/buffer.h"
#include "base/config.h"

struct settings {
	struct config *config;
	struct buffer config_text; /* the very text that was found good */
	struct buffer certificate_pem, key_pem;
	struct buffer smarthost_password;
};

/* False: `errors` says why. What has been read by then is settings_free()'s. */
bool settings_load_config(const char *path, struct settings *settings, FILE *errors);
/* What the configuration names: the certificate, its key, the smarthost's password. Likewise. */
bool settings_load_secrets(struct settings *settings, FILE *errors);
/* Read at the start only, so no part of the settings. */
bool settings_load_trust_anchor(const struct config *config, struct buffer *text, FILE *errors);
/* Accepts what is empty, leaves it so. */
void settings_free(struct settings *settings);
/* Whether what was made at the start would have been another with `new`. */
bool settings_need_restart(const struct config *old, const struct config *new);
