/* layer_names.h -- the names of layers of a file in the layout of Keras 3 that
 * has them in its config.json alone: written by tf_keras and by Keras 3.0 to 3.5.
 */
#ifndef KW_READ_LAYER_NAMES_H
#define KW_READ_LAYER_NAMES_H

#include "read/build.h"

/* Names the groups of the file's table, which is complete, and their tensors, where
 * no group is named and the configuration says for certain which layer each one is;
 * else leaves them as they are.  `paths` leads from the path of a group to its row.
 * 0, or -1 with KW_MEMORY. */
int kw_layer_names_read(kw_build *build, const kw_index *paths, kw_error *err);

#endif
