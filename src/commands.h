/* SPDX-License-Identifier: GPL-2.0-only */
/* One function a command; argv[0] is the command's name. They return the exit status. */
#ifndef TURNPIKE_SRC_COMMANDS_H
#define TURNPIKE_SRC_COMMANDS_H

#define EXIT_DONE   0
#define EXIT_FAILED 1 /* one line on stderr: what, why, what to do */
#define EXIT_USAGE  2

int run_main(int argc, char **argv);
int status_main(int argc, char **argv);
int stop_main(int argc, char **argv);
int top_main(int argc, char **argv);
int resolve_main(int argc, char **argv);
int map_main(int argc, char **argv);
int check_main(int argc, char **argv);

#endif
