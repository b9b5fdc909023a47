/* imapd/bodystructure_priv.h - the structure of a message as a client reads it. */
#pragma once

#include "base/buffer.h"
#include "mail/mime.h"

enum bodystructure_form {
	FORM_BODY,	    /* without extension data */
	FORM_BODYSTRUCTURE, /* with it */
};

/* Appends the rule body of RFC 9051 section 9; `utf8` as in respond_priv.h. */
void bodystructure_render(struct buffer *out, const struct mime_part *root,
			  enum bodystructure_form form, bool utf8);
