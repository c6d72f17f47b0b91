/* What exec.d programs write, and the environment that comes of it. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "execd.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Arena arena = {0};
    Env env;
    char *environment[] = {"PATH=/cnb/process:/bin", "A=1", "=x", "A=2", "none", NULL};
    char *text = fuzz_copy(data, size);
    env_init(&env, &arena, environment);
    const char *problem = execd_apply(&env, text, size);
    if (problem != NULL && (strcmp(env_get(&env, "A"), "2") != 0 || strcmp(env_get(&env, "PATH"), "/bin") != 0)) {
        abort();
    }
    for (char **entry = env_list(&env); *entry != NULL; entry++) {
        if (strchr(*entry, '=') == NULL) {
            abort();
        }
    }
    fuzz_free();
    free(text);
    return 0;
}
