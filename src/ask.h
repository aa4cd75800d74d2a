/* SPDX-License-Identifier: GPL-2.0-only */
/* Asking every turnpike that runs what `status` shows. */
#ifndef TURNPIKE_SRC_ASK_H
#define TURNPIKE_SRC_ASK_H

#include <cjson/cJSON.h>

/*
 * Adds one object a server to the array SERVERS. A socket that nobody listens on any
 * more was left by a killed run and is passed over. -errno: the folder can't be read.
 */
int ask_all(cJSON *servers);

/* Of an answer; "" and 0 where there is no such thing. */
const char *ask_string(const cJSON *object, const char *name);
double ask_number(const cJSON *object, const char *name);

#endif
