/* plan_tables.h -- tables and graphs built by hand, for the tests of the plan.
 *
 *     builder file = {0}, model = {0};
 *     add_group(&file, KW_LAYOUT_V3, "layers/dense", "a", "Dense", KW_GROUP_NAMED);
 *     add_tensor(&file, "0", 2, 4, 8);
 *
 * Each tensor belongs to the group that was added last.  Rows live in the
 * builder; release() frees what the plan and the tables hold.
 */
#ifndef KW_TESTS_PLAN_TABLES_H
#define KW_TESTS_PLAN_TABLES_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "plan/plan.h"

enum { ROWS_MAX = 512, AXES_MAX = 4, TEXT_MAX = 64 };

typedef struct builder {
    kw_table table;
    kw_tensor tensors[ROWS_MAX];
    kw_group groups[ROWS_MAX];
    kw_slot slots[ROWS_MAX];
    uint64_t shapes[ROWS_MAX][AXES_MAX];
    char paths[ROWS_MAX][TEXT_MAX];
    kw_graph graph;
    kw_graph_node nodes[ROWS_MAX];
    kw_graph_edge edges[ROWS_MAX];
} builder;

static inline builder *new_table(kw_layout layout)
{
    builder *b = calloc(1, sizeof *b);
    if (b == NULL)
        abort();
    b->table = (kw_table){.layout = layout, .tensors = b->tensors, .groups = b->groups, .slots = b->slots};
    b->graph = (kw_graph){.nodes = b->nodes, .edges = b->edges};
    return b;
}

/* The row of a new group. */
static inline uint32_t add_group(builder *b, const char *path, const char *name, const char *class_name, uint32_t flags)
{
    kw_table *t = &b->table;
    kw_group group = {.path = path, .name = name, .class_name = class_name, .first = t->slot_count, .flags = flags};
    b->groups[t->group_count] = group;
    return t->group_count++;
}

/* The row of a new float32 tensor of the last group; `name` is the key or the name of the weight. */
static inline uint32_t add_tensor(builder *b, const char *name, int rank, ...)
{
    kw_table *t = &b->table;
    uint32_t row = t->tensor_count++, group = t->group_count - 1;
    va_list axes;
    va_start(axes, rank);
    for (int i = 0; i < rank; i++)
        b->shapes[row][i] = (uint64_t)va_arg(axes, int);
    va_end(axes);
    const char *owner = b->groups[group].name != NULL ? b->groups[group].name : b->groups[group].path;
    (void)snprintf(b->paths[row], TEXT_MAX, "%.24s/%.36s", owner, name);
    b->tensors[row] = (kw_tensor){.path = b->paths[row], .layer = owner, .variable = name, .shape = b->shapes[row]};
    b->tensors[row].rank = (uint8_t)rank;
    b->tensors[row].dtype = KW_DTYPE_FLOAT32;
    b->tensors[row].trainable = true;
    b->tensors[row].group = group;
    b->slots[t->slot_count++] = (kw_slot){name, row};
    b->groups[group].count++;
    return row;
}

/* A layer with a kernel and a bias: named by keys in a V3 file, by names else. */
static inline uint32_t add_dense(builder *b, const char *path, const char *name, uint32_t flags, int in, int out)
{
    uint32_t group = add_group(b, path, name, "Dense", flags);
    bool keys = b->table.layout == KW_LAYOUT_V3 || b->table.layout == KW_LAYOUT_V3_TF212;
    add_tensor(b, keys ? "0" : "kernel", 2, in, out);
    add_tensor(b, keys ? "1" : "bias", 1, out);
    return group;
}

/* A node for a group, or with KW_NONE for a list. Edges are added to the last node. */
static inline uint32_t add_node(builder *b, uint32_t group)
{
    b->nodes[b->graph.node_count] = (kw_graph_node){group, b->graph.edge_count, 0};
    return b->graph.node_count++;
}

static inline void add_edge(builder *b, const char *name, uint32_t target)
{
    b->edges[b->graph.edge_count++] = (kw_graph_edge){name, target};
    b->nodes[b->graph.node_count - 1].count++;
}

/* The graph of a model: node 0 is group 0, its list `layers` holds groups 1 to n, called by their class. */
static inline void add_layers(builder *b, const char *snake)
{
    uint32_t count = b->table.group_count;
    add_node(b, 0);
    add_edge(b, "layers", 1);
    add_node(b, KW_NONE);
    for (uint32_t g = 1; g < count; g++)
        add_edge(b, snake, g + 1);
    for (uint32_t g = 1; g < count; g++)
        add_node(b, g);
}

/* The newest of a flavour, and an HDF5 file of a name. */
static inline kw_rules rules_of(kw_flavour flavour, kw_suffix suffix)
{
    uint32_t version = flavour == KW_FLAVOUR_KERAS3 ? 31501 : 22100;
    return (kw_rules){.flavour = flavour, .version = version, .suffix = suffix, .is_hdf5 = true};
}

/* The plan; the test ends when there is none. */
static inline kw_plan *make_plan(const builder *file, const builder *model, const kw_rules *rules)
{
    kw_plan *plan = NULL;
    kw_error err = {0};
    const kw_graph *graph = model->graph.node_count > 0 ? &model->graph : NULL;
    if (kw_plan_make(&file->table, &model->table, graph, rules, &plan, &err) < 0)
        abort();
    return plan;
}

/* The first finding of a code; NULL. */
static inline const kw_finding *find(const kw_plan *plan, int code)
{
    for (uint32_t i = 0; i < plan->finding_count; i++)
        if (plan->findings[i].code == code)
            return &plan->findings[i];
    return NULL;
}

static inline void release(kw_plan *plan, builder *file, builder *model)
{
    kw_plan_free(plan);
    free(file);
    free(model);
}

#endif
