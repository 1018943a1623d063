/* codes.h -- every code that a finding or an error of the core can carry.
 *
 * One list, read by C (the enum), by the binding (`_core.CODES`) and by the
 * tests, which prove that the Python catalogue has a sentence for each.
 *
 *   KW1xx the path   KW2xx the container   KW3xx structure   KW4xx meaning
 *   KW5xx values     KW6xx danger
 *
 * A code never changes its meaning once released; new ones go to the end of
 * their hundred.  X(NUMBER, NAME, SLUG)
 */
#ifndef KW_BASE_CODES_H
#define KW_BASE_CODES_H

#define KW_CODES(X)                                                            \
    X(101, NOT_FOUND, "not-found")                                             \
    X(102, DENIED, "permission-denied")                                        \
    X(103, DIRECTORY, "is-a-directory")                                        \
    X(104, DANGLING, "dangling-link")                                          \
    X(105, EMPTY, "empty-file")                                                \
    X(106, NOT_REGULAR, "not-a-regular-file")                                  \
    X(107, IO, "read-error")                                                   \
    X(108, LOCKED, "locked")                                                   \
    X(201, NOT_WEIGHTS, "not-a-weight-file")                                   \
    X(202, TRUNCATED, "truncated")                                             \
    X(203, INTERRUPTED, "interrupted-save")                                    \
    X(204, CORRUPT, "corrupt")                                                 \
    X(205, CHECKSUM, "checksum")                                               \
    X(206, NAME_CONTENT, "name-and-content-disagree")                          \
    X(207, SHARD_MISSING, "shard-missing")                                     \
    X(208, UNSUPPORTED, "unsupported")                                         \
    X(209, WEIGHTS_ONLY, "weights-only")                                       \
    X(210, WHOLE_MODEL, "whole-model")                                         \
    X(211, CHANGED, "changed-while-reading")                                   \
    X(212, NO_WEIGHTS, "no-keras-weights")                                     \
    X(213, MEMORY, "out-of-memory")                                            \
    X(214, SHARD, "shard-mismatch")                                            \
    X(301, MISSING, "missing")                                                 \
    X(302, UNUSED, "unused")                                                   \
    X(303, RENAMED, "renamed")                                                 \
    X(304, SWAPPED, "swapped")                                                 \
    X(305, INSERTED, "inserted")                                               \
    X(306, COUNT, "count-mismatch")                                            \
    X(307, SHAPE, "shape-mismatch")                                            \
    X(308, TRANSPOSED, "transposed")                                           \
    X(309, DTYPE, "dtype")                                                     \
    X(310, NOTHING_MATCHED, "nothing-matched")                                 \
    X(311, NOT_BUILT, "not-built")                                             \
    X(312, PREFIX, "prefix")                                                   \
    X(313, ORDER, "variable-order")                                            \
    X(314, RESET_AFTER, "reset-after")                                         \
    X(315, QUANTIZED, "quantized")                                             \
    X(316, OPTIMIZER, "optimizer")                                             \
    X(317, UNTRACKED, "untracked-variable")                                    \
    X(318, SKIPPED, "skipped")                                                 \
    X(319, UNDECIDABLE, "undecidable")                                         \
    X(320, OPTION, "option-not-supported")                                     \
    X(321, KEYS, "variable-keys")                                              \
    X(322, WRONG_FILE, "another-architecture")                                 \
    X(323, COUNTER, "counter-offset")                                          \
    X(324, NOT_SAVED, "not-saved")                                             \
    X(325, LORA, "lora")                                                       \
    X(326, HEAD, "head-changed")                                               \
    X(327, PART, "part-of-a-model")                                            \
    X(401, CONFIG_CHANGED, "config-changed")                                   \
    X(402, NOT_REGISTERED, "custom-layer-not-registered")                      \
    X(403, LAYER_CHANGED, "custom-layer-changed")                              \
    X(404, NOT_VERIFIABLE, "not-verifiable")                                   \
    X(405, VERSION, "version")                                                 \
    X(406, KERAS_REFUSES, "keras-refuses")                                     \
    X(407, SIGNATURE_CONTRADICTS, "signature-contradicts")                     \
    X(408, SIGNATURE_FAILED, "signature-failed")                               \
    X(409, SIGNATURE_CONFIRMS, "signature-confirms")                           \
    X(410, SHAPES_NOT_KNOWN, "shapes-not-known")                               \
    X(411, NOT_AS_STAMPED, "not-as-stamped")                                   \
    X(412, STAMP, "stamp")                                                     \
    X(413, OUTPUT_CHANGED, "output-changed")                                   \
    X(501, NOT_FINITE, "not-finite")                                           \
    X(502, ZEROED, "zeroed-block")                                             \
    X(503, LOSSY, "lossy-cast")                                                \
    X(504, CONSTANT, "constant")                                               \
    X(601, LINK, "link-out-of-file")                                           \
    X(602, EXTERNAL, "external-storage")                                       \
    X(603, VIRTUAL, "virtual-dataset")                                         \
    X(604, BOMB, "declared-size-bomb")                                         \
    X(605, ALIAS, "alias-or-cycle")                                            \
    X(606, OVERLAP, "overlap")                                                 \
    X(607, MEMBER, "zip-member")                                               \
    X(608, UNCLAIMED, "unclaimed-bytes")

enum kw_code {
    KW_OK = 0,
#define KW_CODE_ENUM(number, name, slug) KW_##name = number,
    KW_CODES(KW_CODE_ENUM)
#undef KW_CODE_ENUM
};

#endif
