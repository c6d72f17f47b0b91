/* The end of the launcher: it becomes the process.  Spec: buildpack.md (0.8) "Launch", platform.md "launcher". */
#ifndef START_H
#define START_H

#include "env.h"
#include "process.h"

/* Find the program on PATH and become it; exits with 82 when that fails. */
_Noreturn void start_direct(const Launch *launch, const Process *process, const Env *env);
/* Become bash, which sources the profiles and becomes the command; `self` is its $0.  Exits with 82 when that fails. */
_Noreturn void start_with_shell(const Launch *launch, const Process *process, const Env *env, const char *self);

#endif
