/* admin/mbox.h - an mbox file as the source of an import. */
#pragma once

#include "admin/importer.h"
#include "mail/mbox.h"

/* Does it begin like one? False also where it cannot be read. */
bool mbox_is_one(const char *path);
void mbox_import(struct importer *importer, const char *path, struct slice mailbox,
		 enum mbox_quoting quoting);
