/* admin/file_tree.h - a file or a folder of mail as the source of an import: mbox files, .eml
 * files, Maildirs, folders in folders. */
#pragma once

#include "admin/importer.h"
#include "mail/mbox.h"

/* What makes it no source at all ends the run: importer_fail(). */
void file_tree_import(struct importer *importer, const char *path, enum mbox_quoting quoting);
