// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "symbols/yaml.h"

/* libcyaml's first error and the innermost place of it: all that a user needs. */
struct yaml_words {
	char error[128];
	char place[128];
};

static void yaml_log(cyaml_log_t level, void *context, const char *format, va_list args)
{
	struct yaml_words *words = context;
	char line[256];

	if (level < CYAML_LOG_ERROR)
		return;
	vsnprintf(line, sizeof(line), format, args);
	line[strcspn(line, "\n")] = 0;
	if (strstr(line, "line:") && !words->place[0])
		snprintf(words->place, sizeof(words->place), "%.120s", line + strspn(line, " "));
	else if (!strstr(line, "Backtrace") && !words->error[0])
		snprintf(words->error, sizeof(words->error), "%.120s",
			 line + (strncmp(line, "Load: ", 6) ? 0 : 6));
}

static cyaml_config_t yaml_config(struct yaml_words *words)
{
	cyaml_config_t config = {
		.log_fn = yaml_log,
		.log_ctx = words,
		.log_level = CYAML_LOG_ERROR,
		.mem_fn = cyaml_mem,
		.flags = CYAML_CFG_NO_ALIAS, /* no file of ours has any; "billion laughs" has */
	};

	return config;
}

static int yaml_read(const char *path, const struct opener *opener, uint8_t **ret,
		     size_t *ret_length, const struct why *why)
{
	int fd = opener->open(opener->context, path), err = 0;
	FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
	uint8_t *data = NULL;

	if (!file)
		return why_say(why, fd < 0 ? fd : -ENOMEM, "can't open %s: %s", path,
			       strerror(fd < 0 ? -fd : ENOMEM));
	data = malloc(YAML_LARGEST + 1);
	*ret_length = data ? fread(data, 1, YAML_LARGEST + 1, file) : 0;
	if (!data)
		err = -ENOMEM;
	else if (ferror(file))
		err = why_say(why, -EIO, "can't read %s", path);
	else if (*ret_length > YAML_LARGEST)
		err = why_say(why, -EFBIG, "%s is larger than %d bytes", path, YAML_LARGEST);
	fclose(file);
	if (err)
		free(data);
	else
		*ret = data;
	return err;
}

int yamlfile_load(const char *path, const struct opener *opener, const cyaml_schema_value_t *schema,
		  void **ret, const struct why *why)
{
	struct yaml_words words = {};
	cyaml_config_t config = yaml_config(&words);
	cyaml_err_t failed;
	uint8_t *data = NULL;
	size_t length = 0;
	int err;

	err = yaml_read(path, opener, &data, &length, why);
	if (err)
		return err;
	*ret = NULL;
	failed = cyaml_load_data(data, length, &config, schema, ret, NULL);
	free(data);
	if (failed == CYAML_OK && *ret)
		return 0;
	yamlfile_free(schema, *ret);
	*ret = NULL;
	return why_say(why, -EINVAL, "%s: %s%s%s", path,
		       words.error[0] ? words.error : cyaml_strerror(failed),
		       words.place[0] ? ", " : "", words.place);
}

void yamlfile_free(const cyaml_schema_value_t *schema, void *data)
{
	struct yaml_words words = {};
	cyaml_config_t config = yaml_config(&words);

	if (data)
		cyaml_free(&config, schema, data, 0);
}
