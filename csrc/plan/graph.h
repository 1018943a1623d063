/* graph.h -- a model as Keras's V3 saving code walks it: objects and containers,
 * joined by named edges, in the order in which the walk visits them.
 *
 *   object   a layer, an optimizer, a metric: has a group (row) of the model's table
 *   container  a list, tuple, dict value list or set held by an attribute
 *
 * The plan replays keras.src.saving.saving_lib._load_state over it (tf_keras:
 * tf_keras.src.saving.saving_lib._load_state), with the same rules of what was
 * visited, what failed and what is tried again, so that the path under which an
 * object finds its variables is Keras's own, never a guess.
 */
#ifndef KW_PLAN_GRAPH_H
#define KW_PLAN_GRAPH_H

#include <stdbool.h>
#include <stdint.h>

typedef struct kw_graph_edge {
    const char *name; /* attribute name; in a container: the snake_case class name of an
                         object, NULL for a nested container */
    uint32_t target;  /* node */
} kw_graph_edge;

typedef struct kw_graph_node {
    uint32_t group;       /* row of the model's table, or KW_NONE for a container */
    uint32_t first, count; /* run of edges, in walk order */
} kw_graph_node;

/* Node 0 is the model. */
typedef struct kw_graph {
    const kw_graph_node *nodes;
    const kw_graph_edge *edges;
    uint32_t node_count, edge_count;
} kw_graph;

#endif
