/* What the layers of the buildpacks bring: environment, exec.d and profile.d, in the order in which they count.
 * Spec: buildpack.md "Environment", platform.md "launcher", "Execution". */
#ifndef LAYERS_H
#define LAYERS_H

#include "env.h"
#include "process.h"
#include "tree.h"

/* Set what bin/, lib/, env/, env.launch/ and env.launch/<type>/ ask for; exits with 82 when that fails.
 * Returns the layers of each buildpack. */
const Entries *layers_set_environment(const Launch *launch, const Process *process, Env *env);
/* Run the programs of exec.d/ and exec.d/<type>/ in `layers`; exits with 82 when one fails. */
void layers_run_execd(const Launch *launch, const Process *process, Env *env, const Entries *layers);
/* Return the files of profile.d/ and profile.d/<type>/; exits with 82 when they can't be listed. */
Words layers_profiles(const Launch *launch, const Process *process);

#endif
