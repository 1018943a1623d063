/* dump.c -- everything that the HDF5 reader finds in a file, a line each, for the comparison with libhdf5.
 *
 *     dump FILE...
 *     file PATH
 *     node PATH kind address [target]
 *     attr PATH name kind count value...
 *     data PATH dtype rank axes... crc | fault
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc.h"
#include "read/hdf5.h"

enum { DATA_MAX = 64 << 20 };

static void put_text(const char *text, size_t len) {
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c > ' ' && c < 0x7f && c != '%') (void)putchar(c);
        else (void)printf("%%%02x", c);
    }
    if (len == 0) (void)putchar('%');
}

static void put_word(const char *text) {
    (void)putchar(' ');
    put_text(text, strlen(text));
}

static void dump_attr(const kw_node *node, const kw_attr *attr) {
    static const char *const kinds[] = {"text", "int", "float", "empty", "other"};
    (void)printf("attr");
    put_word(node->path);
    put_word(attr->name);
    if (attr->fault.code != KW_OK) {
        (void)printf(" fault KW%d\n", attr->fault.code);
        return;
    }
    (void)printf(" %s %s %" PRIu32, kinds[attr->kind], attr->scalar ? "scalar" : "list", attr->count);
    for (uint32_t i = 0; attr->kind == KW_ATTR_TEXT && i < attr->count; i++) {
        (void)putchar(' ');
        put_text(attr->texts[i], attr->text_lens[i]);
    }
    if (attr->kind == KW_ATTR_INT && attr->count > 0) (void)printf(" %" PRId64, attr->integer);
    if (attr->kind == KW_ATTR_FLOAT && attr->count > 0) (void)printf(" %.17g", attr->number);
    (void)putchar('\n');
}

static void dump_data(kw_hdf5 *hdf5, uint32_t index) {
    const kw_dataset *data = &hdf5->datasets[index];
    (void)printf("data");
    put_word(hdf5->nodes[data->node].path);
    if (data->fault.code != KW_OK) {
        (void)printf(" fault KW%d\n", data->fault.code);
        return;
    }
    (void)printf(" %s %u", data->dtype == KW_DTYPE_NONE ? "other" : kw_dtype_name((kw_dtype)data->dtype), data->rank);
    for (unsigned d = 0; d < data->rank; d++) (void)printf(" %" PRIu64, data->shape[d]);
    if (data->dtype != KW_DTYPE_NONE && data->nbytes <= DATA_MAX) {
        kw_error err = {0};
        uint8_t *bytes = malloc((size_t)data->nbytes + 1);
        if (bytes == NULL) abort();
        if (kw_hdf5_read(hdf5, index, bytes, &err) == 0) (void)printf(" crc %08" PRIx32, kw_crc32(0, bytes, (size_t)data->nbytes));
        else (void)printf(" fault KW%d", err.code);
        free(bytes);
    }
    (void)putchar('\n');
}

static void dump(kw_hdf5 *hdf5) {
    static const char *const kinds[] = {"group", "dataset", "type", "soft", "external", "user-defined", "alias"};
    if (hdf5->fault.code != KW_OK) (void)printf("fault KW%d\n", hdf5->fault.code);
    for (uint32_t i = 0; i < hdf5->node_count; i++) {
        const kw_node *node = &hdf5->nodes[i];
        bool link = node->kind == KW_NODE_SOFT || node->kind == KW_NODE_EXTERNAL;
        (void)printf("node");
        put_word(node->path);
        (void)printf(" %s", kinds[node->kind]);
        if (node->fault.code != KW_OK) (void)printf(" fault KW%d", node->fault.code);
        if (link) put_word(node->target != NULL ? node->target : "");
        (void)putchar('\n');
        for (uint32_t a = 0; node->kind != KW_NODE_ALIAS && a < node->attr_count; a++) dump_attr(node, &hdf5->attrs[node->first_attr + a]);
        if (node->dataset != KW_NONE && node->kind == KW_NODE_DATASET) dump_data(hdf5, node->dataset);
    }
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        kw_source *source = NULL;
        kw_hdf5 *hdf5 = NULL;
        kw_error err = {0};
        (void)printf("file %s\n", argv[i]);
        if (kw_source_open_path(argv[i], &source, &err) == 0 && kw_hdf5_open(source, &hdf5, &err) == 0) dump(hdf5);
        else (void)printf("fault KW%d\n", err.code);
        kw_hdf5_free(hdf5);
        kw_source_release(source);
    }
    return 0;
}
