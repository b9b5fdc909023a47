/* bode.c - the program: picks the subcommand, nothing else. */
#include "admin/admin.h"

int main(int argc, char **argv)
{
	return admin_main(argc, argv);
}
