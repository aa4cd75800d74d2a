// SPDX-License-Identifier: GPL-2.0-only
/* From a profile to what a server's packets don't say. */
#include <errno.h>
#include <string.h>
#include "symbols/profile.h"
#include "symbols/resolve.h"
#include "symbols/symbols.h"

static void wire_text(char *ret, size_t size, const char *text)
{
	snprintf(ret, size, "%s", text);
}

static void wire_take(const struct profile *profile, struct symbols_wire *ret)
{
	const struct profile_wire *wire = profile->wire;

	ret->channel_lifetime = wire->channel_lifetime;
	ret->permission_lifetime = wire->permission_lifetime;
	ret->bind_lifts_permission = wire->bind_lifts_permission;
	ret->low_port = wire->low_port;
	ret->high_port = wire->high_port;
	wire_text(ret->server, SYMBOLS_OPTION, profile->server);
	wire_text(ret->channel_option, SYMBOLS_OPTION, wire->channel_option);
	wire_text(ret->permission_option, SYMBOLS_OPTION, wire->permission_option);
	wire_text(ret->limit_option, SYMBOLS_OPTION, wire->limit_option);
	wire_text(ret->low_port_option, SYMBOLS_OPTION, wire->low_port_option);
	wire_text(ret->high_port_option, SYMBOLS_OPTION, wire->high_port_option);
	wire_text(ret->settings_option, SYMBOLS_OPTION, wire->settings_option);
	wire_text(ret->no_settings_option, SYMBOLS_OPTION, wire->no_settings_option);
	while (ret->settings_files < wire->settings_files_count &&
	       ret->settings_files < SYMBOLS_FILES) {
		wire_text(ret->settings_file[ret->settings_files], sizeof(ret->settings_file[0]),
			  wire->settings_files[ret->settings_files]);
		ret->settings_files++;
	}
}

int symbols_wire(const struct image *image, const struct symbols_options *options,
		 struct symbols_wire *ret)
{
	const struct why why = {NULL, 0};
	struct profile *profile;
	int err;

	memset(ret, 0, sizeof(*ret));
	err = resolve_find_profile(image, options, &profile, &why);
	if (err)
		return err;
	if (profile->wire)
		wire_take(profile, ret);
	else
		err = -ENOENT;
	profile_free(profile);
	return err;
}
