/* admin/backup_priv.h - the files that a backup holds beside the store, as `backup` names them
 * and `restore` finds them: a word for what it is, and a path. */
#pragma once

#include "admin/progress.h"
#include "base/buffer.h"
#include "base/cursor.h"
#include "storage/backup.h"

#define BACKUP_CONFIG "config:" /* the configuration; the path is where it was */
#define BACKUP_FILE "file:"	/* an absolute path */
#define BACKUP_OWN "state:"	/* a name in the state directory */

/* Tells of the progress; `progress` is the user. */
void backup_watch(struct backup_watcher *watcher, struct progress *progress);
