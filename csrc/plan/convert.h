/* convert.h -- a layer's saved weights as tf_keras makes them before it assigns
 * them, told by shapes alone.
 */
#ifndef KW_PLAN_CONVERT_H
#define KW_PLAN_CONVERT_H

#include "plan/rules.h"

/* One weight on its way from the file to a variable. */
typedef struct kw_made {
    uint32_t from[KW_CONVERSION_PARTS]; /* rows of the file's tensors */
    uint8_t part_count;
    uint8_t step_count;
    bool own; /* not the file's: the variable's present value */
    uint8_t steps[KW_CONVERSION_STEPS]; /* kw_step */
    uint8_t rank;
    const uint64_t *shape;
} kw_made;

typedef struct kw_made_list {
    kw_made *rows;
    uint32_t count;
} kw_made_list;

typedef enum kw_made_end {
    KW_MADE_FINE,
    KW_MADE_RAISES,
    KW_MADE_UNSURE, /* a layer of the user's own under a name of Keras's */
    KW_MADE_MEMORY
} kw_made_end;

/* The weights of a file group as they are; false: one of them is not in the
 * file (then *absent is its place), or no memory (KW_NONE). */
bool kw_made_read(const kw_table *file, const kw_group *group, kw_arena *arena, kw_made_list *out, uint32_t *absent);

/* Which rules: those for Keras 1; that kernels are turned around, as Keras 2 did with what Theano wrote. */
typedef struct kw_made_how {
    bool first, flips;
} kw_made_how;

/* preprocess_weights_for_loading for the layer `to`, in place.  What it allocates lives in `arena`.  *raise is set with KW_MADE_RAISES. */
kw_made_end kw_made_convert(const kw_group *to, const kw_table *model, kw_made_how how, kw_arena *arena, kw_made_list *list,
                            kw_raise *raise);

/* True when the weight has the variable's shape. */
bool kw_made_fits(const kw_made *made, const kw_tensor *variable);

/* True when a kernel was transposed for no other reason than that its shape differs. */
bool kw_made_is_blind(const kw_made *made);

/* A number for what is done to a tensor's values, and with which others; 0: they are taken as they are. */
uint64_t kw_made_sign(const kw_made *made);

#endif
