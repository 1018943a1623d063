/* libhdf5.c -- a chunk decoded by libhdf5, from a file that was made for it.
 *
 *     stored bytes --> hdf5_single: an HDF5 file of this one chunk --> file image
 *     (callbacks hand over the same bytes, nothing is copied) --> core driver,
 *     read-only --> H5Dread
 *
 * HDF5 Reference Manual: H5Pset_file_image_callbacks, H5Pset_fapl_core.
 */
#include "read/libhdf5.h"

#include <hdf5.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "read/hdf5_single.h"

/* A file in memory, as the callbacks see it. */
typedef struct image {
    uint8_t *bytes;
    size_t len;
} image;

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
    const image *im = udata;
    (void)op;
    return size == im->len ? im->bytes : NULL;
}

static void *image_memcpy(void *to, const void *from, size_t size, H5FD_file_image_op_t op, void *udata) {
    (void)size, (void)op, (void)udata;
    return to == from ? to : NULL;
}

static void *image_realloc(void *bytes, size_t size, H5FD_file_image_op_t op, void *udata) {
    (void)bytes, (void)size, (void)op, (void)udata;
    return NULL;
}

static herr_t image_free(void *bytes, H5FD_file_image_op_t op, void *udata) {
    (void)bytes, (void)op, (void)udata;
    return 0;
}

static void *udata_copy(void *udata) { return udata; }

static herr_t udata_free(void *udata) {
    (void)udata;
    return 0;
}

/* Opens the image; a negative number when libhdf5 does not take it.  The name
 * must be one of a kind: by it the driver knows whether a file is open already. */
static hid_t open_image(image *im) {
    enum { INCREMENT = 1 << 16 };
    H5FD_file_image_callbacks_t callbacks = {image_malloc, image_memcpy, image_realloc, image_free,
                                             udata_copy,   udata_free,   im};
    char name[64];
    hid_t file = -1, access = H5Pcreate(H5P_FILE_ACCESS);
    (void)snprintf(name, sizeof name, "kwload image at %p", (const void *)im);
    if (access >= 0 && H5Pset_fapl_core(access, INCREMENT, 0) >= 0 &&
        H5Pset_fclose_degree(access, H5F_CLOSE_STRONG) >= 0 &&
        H5Pset_file_image_callbacks(access, &callbacks) >= 0 &&
        H5Pset_file_image(access, im->bytes, im->len) >= 0) {
        file = H5Fopen(name, H5F_ACC_RDONLY, access);
    }
    if (access >= 0) (void)H5Pclose(access);
    return file;
}

/* Reads the only dataset of the image; false when it does not decode. */
static bool read_image(image *im, uint8_t *out) {
    hid_t file = open_image(im), dataset = -1;
    bool read = false;
    if (file >= 0) dataset = H5Dopen2(file, KW_SINGLE_NAME, H5P_DEFAULT);
    if (dataset >= 0) read = H5Dread(dataset, H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, out) >= 0;
    if (dataset >= 0) (void)H5Dclose(dataset);
    if (file >= 0) (void)H5Fclose(file);
    return read;
}

int kw_libhdf5_decode(const kw_filter *filter, kw_view stored, uint8_t *out, size_t out_len, kw_error *err) {
    image im;
    if (kw_single_make(filter->id, filter->values, filter->value_count, stored, out_len, &im.bytes, &im.len, err) != 0) {
        return -1;
    }
    settings before = enter();
    bool read = read_image(&im, out);
    leave(before);
    free(im.bytes);
    return read ? 0 : kw_fail(err, KW_CORRUPT, stored.off, "libhdf5 cannot decode the chunk");
}

bool kw_libhdf5_has_filter(int id) {
    settings before = enter();
    unsigned config = 0;
    bool has = H5Zfilter_avail(id) > 0 && H5Zget_filter_info(id, &config) >= 0 &&
               config & H5Z_FILTER_CONFIG_DECODE_ENABLED;
    leave(before);
    return has;
}
