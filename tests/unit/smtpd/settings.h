/* tests/unit/smtpd/settings.h - a configuration of which only some settings matter. */
#pragma once

#include "tests/unit/unit.h"

#include <stdio.h>

#include "base/buffer.h"
#include "base/config.h"

static inline struct config *config_with(const char *settings)
{
	struct buffer text = { 0 };
	buffer_add_cstr(&text, "[server]\nhostname = mx.example.org\nstate_dir = /nowhere\n");
	buffer_add_cstr(&text, settings);
	struct config *config = config_parse("test", buffer_slice(&text), stderr);
	assert_non_null(config);
	buffer_free(&text);
	return config;
}
