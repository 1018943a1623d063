/* keras_layouts.h -- the layouts of Keras: each adds its groups and slots to the rows. */
#ifndef KW_READ_KERAS_LAYOUTS_H
#define KW_READ_KERAS_LAYOUTS_H

#include "read/keras_rows.h"

/* Each: 0, or -1 with KW_MEMORY, or KW_BOMB when names stand for more rows than the file has bytes. */

/* The layers below `root`, and what the model itself owns. */
int kw_keras_read_legacy(kw_keras_reader *r, uint32_t root, kw_error *err);

/* The optimizer's variables of a whole model. */
int kw_keras_read_optimizer(kw_keras_reader *r, kw_error *err);

/* Layers and parameters by their numbers. */
int kw_keras_read_keras0(kw_keras_reader *r, kw_error *err);

/* A shard of Hugging Face: what is listed, by path. */
int kw_keras_read_hf_shard(kw_keras_reader *r, kw_error *err);

/* The objects of Keras 3. */
int kw_keras_read_v3(kw_keras_reader *r, kw_error *err);

/* True when `path` is `first` or lies below it. */
bool kw_keras_is_below(const char *path, const char *first);

#endif
