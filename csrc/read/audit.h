/* audit.h -- a second, slower look at a whole file, for who does not trust it. */
#ifndef KW_READ_AUDIT_H
#define KW_READ_AUDIT_H

#include "read/build.h"

/* Looks at every chunk of a part, and at what nothing claims; what is found become
 * faults of the container.  0, or -1 for what ends everything.  Nothing is kept
 * of the values, and libhdf5 is never called. */
int kw_audit_part(kw_build *build, const kw_part *part, kw_error *err);

#endif
