/* metadata.toml, and the choice of a process from it. */
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "process.h"

/* Copy every word, so that a sanitizer sees one that isn't terminated or was freed. */
static void use(const Words *words) {
    for (size_t i = 0; i < words->count; i++) {
        free(strdup(words->items[i]));
    }
}

static void choose(Arena *arena, const Metadata *metadata, const char *name, int platform_minor, size_t given) {
    char *words[] = {"--", "x", NULL};
    Launch launch = {arena, platform_minor, metadata, "/layers", "/app", "production"};
    if (setjmp(fuzz_died) == 0) {
        Process process = process_for(&launch, name, (Words){words, given});
        use(&process.command);
        use(&process.args);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Arena arena = {0};
    Metadata metadata = {0};
    char *text = fuzz_copy(data, size);
    if (metadata_parse(&arena, text, size, &metadata) == NULL) {
        for (size_t i = 0; i <= metadata.process_count; i++) {
            const char *name = i < metadata.process_count ? metadata.processes[i].type : "web";
            choose(&arena, &metadata, name, 9, i % 3);
            choose(&arena, &metadata, name, 12, i % 3);
            choose(&arena, &metadata, name, 15, i % 3);
        }
    }
    fuzz_free();
    free(text);
    return 0;
}
