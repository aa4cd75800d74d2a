/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Files of untrusted YAML into structs, by libcyaml; what is wrong is said in one line.
 * Not named yaml_: libyaml exports such names, yaml_free() too.
 */
#ifndef TURNPIKE_SYMBOLS_YAML_H
#define TURNPIKE_SYMBOLS_YAML_H

#include <cyaml/cyaml.h>
#include "symbols/opener.h"
#include "symbols/why.h"

#define YAML_LARGEST (1 << 20) /* bytes in a file */

/* Loads PATH by SCHEMA (whose top is a pointer to a mapping). -ENOENT, -EFBIG, -EINVAL. */
int yamlfile_load(const char *path, const struct opener *opener, const cyaml_schema_value_t *schema,
		  void **ret, const struct why *why);
void yamlfile_free(const cyaml_schema_value_t *schema, void *data);

#endif
