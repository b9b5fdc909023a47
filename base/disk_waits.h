/* base/disk_waits.h - whether what a piece of work wanted was in memory. */
#pragma once

#include <stdint.h>

/* How often the disk was needed by the thread that asks: faults on a map that it had to answer, and
 * blocks that were asked for ahead of a fault. What is told twice without a difference lies between
 * two looks at memory alone. Where a kernel does not count blocks, the faults remain. */
uint64_t disk_waits(void);
