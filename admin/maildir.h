/* admin/maildir.h - a Maildir or a Maildir++ tree on the disk as the source of an import. */
#pragma once

#include "admin/importer.h"

/* Has it a folder `cur`? */
bool maildir_is_one(const char *path);
/* Imports the folder at `path` as `mailbox`, which is UTF-8; with `subscribe` where it makes it. */
void maildir_import_folder(struct importer *importer, const char *path, struct slice mailbox,
			   bool subscribe);
/* The root as INBOX, then its folders (.Work.Old is Work/Old), then the subscriptions. */
void maildir_import_tree(struct importer *importer, const char *path);
