/* exec.d executables.  Spec: buildpack.md "Exec.d". */
#ifndef EXECD_H
#define EXECD_H

#include "env.h"

/* Run one and set what it returns; exits with 82 when that fails. */
void execd_run(Env *env, const char *path);
/* Set what a program wrote: TOML of strings.  Returns NULL or what is wrong, and then nothing was set. */
const char *execd_apply(Env *env, const char *output, size_t length);

#endif
