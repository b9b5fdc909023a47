/* mail/text_priv.h - what the files behind mail/text.h share. */
#pragma once

#include "mail/text.h"

/* Appends U+FFFD. */
void text_add_replacement(struct buffer *utf8);
/* Appends `s`, each octet of it that is no UTF-8 as U+FFFD. */
void text_add_utf8(struct slice s, struct buffer *utf8);
