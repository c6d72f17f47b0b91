/* exec.d executables.  Spec: buildpack.md "Exec.d". */
#ifndef EXECD_H
#define EXECD_H

#include "env.h"

/* Run one and set what it returns; exits with 82 when that fails. */
void execd_run(Env *env, const char *path);

#endif
