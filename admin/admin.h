/* admin/admin.h - the command line: bode [--config FILE] COMMAND ... */
#pragma once

/* Exit status: 0, 1 (failed; one line on standard error says what to do), 2 (wrong usage). */
int admin_main(int argc, char **argv);
