/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Figures for Prometheus, served by a process of its own that has no privileges:
 * what reads requests from the network can't touch what relays packets.
 */
#ifndef TURNPIKE_SRC_METRICS_H
#define TURNPIKE_SRC_METRICS_H

#include <stddef.h>

/* Listens on "ADDRESS:PORT" (IPv6 in brackets) or "PORT" of 127.0.0.1 until this process ends. WHY
 * says what failed. */
int metrics_start(const char *where, char *why, size_t size);

#endif
