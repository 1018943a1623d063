/* libhdf5.c -- a dataset decoded by libhdf5 from an image of the file.
 *
 *     source --> bytes in memory --> file image (callbacks hand over the same
 *     bytes, nothing is copied) --> core driver, read-only --> H5Dread
 *
 * HDF5 Reference Manual: H5Pset_file_image_callbacks, H5Pset_fapl_core.
 */
#include "read/libhdf5.h"

#include <hdf5.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

struct kw_libhdf5 {
    kw_source *source;
    const uint8_t *bytes;
    uint8_t *owned; /* the bytes, when the source had none in memory */
    size_t len;
    hid_t file;
};

/* What a call must leave as it found it. */
typedef struct settings {
    H5E_auto2_t report;
    void *report_data;
    unsigned plugins;
} settings;

/* libhdf5 is not thread-safe as distributions build it. */
static pthread_mutex_t library_lock = PTHREAD_MUTEX_INITIALIZER;

/* Takes the lock, and switches off what prints and what loads code. */
static settings enter(void) {
    settings before = {NULL, NULL, 0};
    (void)pthread_mutex_lock(&library_lock);
    (void)H5open();
    (void)H5Eget_auto2(H5E_DEFAULT, &before.report, &before.report_data);
    (void)H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    (void)H5PLget_loading_state(&before.plugins);
    (void)H5PLset_loading_state(0);
    return before;
}

static void leave(settings before) {
    (void)H5Eclear2(H5E_DEFAULT);
    (void)H5PLset_loading_state(before.plugins);
    (void)H5Eset_auto2(H5E_DEFAULT, before.report, before.report_data);
    (void)pthread_mutex_unlock(&library_lock);
}

/* The image callbacks: whenever libhdf5 wants memory for the image, it gets the
 * image; copying it onto itself and freeing it do nothing. */
static void *image_malloc(size_t size, H5FD_file_image_op_t op, void *udata) {
    const kw_libhdf5 *library = udata;
    (void)op;
    return size == library->len ? (void *)(uintptr_t)library->bytes : NULL;
}

static void *image_memcpy(void *to, const void *from, size_t size, H5FD_file_image_op_t op, void *udata) {
    (void)size, (void)op, (void)udata;
    return to == from ? to : NULL;
}

static void *image_realloc(void *image, size_t size, H5FD_file_image_op_t op, void *udata) {
    (void)image, (void)size, (void)op, (void)udata;
    return NULL;
}

static herr_t image_free(void *image, H5FD_file_image_op_t op, void *udata) {
    (void)image, (void)op, (void)udata;
    return 0;
}

static void *udata_copy(void *udata) { return udata; }

static herr_t udata_free(void *udata) {
    (void)udata;
    return 0;
}

/* Opens the image; a negative number when libhdf5 does not take it.  The name
 * must be one of a kind: by it the driver knows whether a file is open already. */
static hid_t open_image(kw_libhdf5 *library) {
    enum { INCREMENT = 1 << 16 };
    H5FD_file_image_callbacks_t callbacks = {image_malloc, image_memcpy, image_realloc, image_free,
                                             udata_copy,   udata_free,   library};
    char name[64];
    hid_t file = -1, access = H5Pcreate(H5P_FILE_ACCESS);
    (void)snprintf(name, sizeof name, "kwload image at %p", (const void *)library);
    if (access >= 0 && H5Pset_fapl_core(access, INCREMENT, 0) >= 0 &&
        H5Pset_fclose_degree(access, H5F_CLOSE_STRONG) >= 0 &&
        H5Pset_file_image_callbacks(access, &callbacks) >= 0 &&
        H5Pset_file_image(access, (void *)(uintptr_t)library->bytes, library->len) >= 0) {
        file = H5Fopen(name, H5F_ACC_RDONLY, access);
    }
    if (access >= 0) (void)H5Pclose(access);
    return file;
}

/* Brings all bytes of the source into memory; 0, or -1. */
static int load(kw_libhdf5 *library, kw_error *err) {
    uint64_t size = kw_source_size(library->source);
    library->len = (size_t)size;
    library->bytes = kw_source_memory(library->source);
    if (library->bytes != NULL) return 0;
    if (size > SIZE_MAX || (library->owned = malloc(library->len + 1)) == NULL) return kw_fail_memory(err);
    library->bytes = library->owned;
    return kw_source_pread(library->source, 0, library->owned, library->len, err);
}

int kw_libhdf5_open(kw_source *source, kw_libhdf5 **out, kw_error *err) {
    kw_libhdf5 *library = calloc(1, sizeof *library);
    if (library == NULL) return kw_fail_memory(err);
    library->file = -1;
    library->source = kw_source_retain(source);
    if (load(library, err) != 0) goto failed;
    settings before = enter();
    library->file = open_image(library);
    leave(before);
    if (library->file < 0) {
        (void)kw_fail(err, KW_UNSUPPORTED, 0, "libhdf5 does not open the file");
        goto failed;
    }
    *out = library;
    return 0;
failed:
    kw_libhdf5_close(library);
    return -1;
}

void kw_libhdf5_close(kw_libhdf5 *library) {
    if (library == NULL) return;
    if (library->file >= 0) {
        settings before = enter();
        (void)H5Fclose(library->file);
        leave(before);
    }
    kw_source_release(library->source);
    free(library->owned);
    free(library);
}

/* True when the dataset has this shape and elements of this length: then
 * H5Dread writes as many bytes as the caller has room for. */
static bool is_as_expected(hid_t space, hid_t type, const uint64_t *shape, unsigned rank, uint64_t element_len) {
    hsize_t found[H5S_MAX_RANK];
    int found_rank = H5Sget_simple_extent_ndims(space);
    if (found_rank < 0 || (unsigned)found_rank != rank || H5Tget_size(type) != element_len) return false;
    if (H5Tdetect_class(type, H5T_VLEN) != 0 || H5Tis_variable_str(type) != 0) return false;
    if (H5Sget_simple_extent_dims(space, found, NULL) != found_rank) return false;
    for (unsigned d = 0; d < rank; d++) {
        if (found[d] != shape[d]) return false;
    }
    return true;
}

int kw_libhdf5_read(kw_libhdf5 *library, const char *path, const uint64_t *shape, unsigned rank, uint64_t element_len,
                    void *out, kw_error *err) {
    settings before = enter();
    hid_t dataset = H5Dopen2(library->file, path, H5P_DEFAULT), space = -1, type = -1;
    int result = -1;
    if (dataset >= 0) {
        space = H5Dget_space(dataset);
        type = H5Dget_type(dataset);
    }
    if (space < 0 || type < 0 || !is_as_expected(space, type, shape, rank, element_len)) {
        (void)kw_fail(err, KW_UNSUPPORTED, KW_NOWHERE, "libhdf5 finds another dataset at this path");
    } else if (H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, out) < 0) {
        (void)kw_fail(err, KW_CORRUPT, KW_NOWHERE, "libhdf5 cannot decode the dataset");
    } else {
        result = 0;
    }
    if (type >= 0) (void)H5Tclose(type);
    if (space >= 0) (void)H5Sclose(space);
    if (dataset >= 0) (void)H5Dclose(dataset);
    leave(before);
    return result;
}

bool kw_libhdf5_has_filter(int id) {
    settings before = enter();
    unsigned config = 0;
    bool has = H5Zfilter_avail(id) > 0 && H5Zget_filter_info(id, &config) >= 0 &&
               config & H5Z_FILTER_CONFIG_DECODE_ENABLED;
    leave(before);
    return has;
}
