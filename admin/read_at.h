/* admin/read_at.h - octets of a file, wherever they stand in it. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* `len` octets from `offset` on, fewer only where the file ends; -1 and errno. */
int64_t read_at(int fd, uint64_t offset, uint8_t *into, size_t len);
