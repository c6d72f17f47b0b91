/* Which process to start.  Spec: platform.md "launcher". */
#ifndef PROCESS_H
#define PROCESS_H

#include "metadata.h"

typedef struct {
    Arena *arena;
    int platform_minor; /* of 0.x */
    const Metadata *metadata;
    const char *layers_dir;
    const char *app_dir;
    const char *exec_env;
} Launch;

/* Return the minor of a version 0.x that lies in 0.`oldest` to 0.`newest`; -1 unparsable, -2 not supported. */
int api_minor(const char *version, int oldest, int newest);
/* Choose the process for the launcher's own name and arguments, or exit with 82. */
Process process_for(const Launch *launch, const char *name, Words arguments);

#endif
