/* folder.h -- an unzipped .keras, a KerasHub preset, and folders that only look
 * like them.
 */
#ifndef KW_READ_FOLDER_H
#define KW_READ_FOLDER_H

#include "read/build.h"
#include "read/shards.h"

/* True when the source was made by kw_source_open_folder. */
bool kw_is_folder(const kw_source *source);

/* Reads the folder that the file was opened on: sets its content, takes
 * config.json and metadata.json, adds and opens model.weights.h5, or the shards
 * of model.weights.json (then *shards is to be freed in any case).  0, or -1:
 * KW_DIRECTORY for a folder that is nothing of this, or what ends everything. */
int kw_folder_open(kw_build *build, kw_shards *shards, kw_error *err);

#endif
