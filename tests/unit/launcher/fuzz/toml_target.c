/* TOML documents: whatever is read can be walked, and every key is found again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "toml.h"

static void walk(const TomlValue *value) {
    if (value->kind == TOML_STRING && value->text[value->length] != '\0') {
        abort();
    }
    for (const TomlItem *item = value->first; item != NULL; item = item->next) {
        if (value->kind == TOML_TABLE && strlen(item->key) == item->key_length && toml_get(value, item->key) != &item->value) {
            abort();
        }
        walk(&item->value);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Arena arena = {0};
    TomlValue root;
    char *text = fuzz_copy(data, size);
    if (toml_parse(&arena, text, size, &root) == NULL) {
        walk(&root);
    }
    fuzz_free();
    free(text);
    return 0;
}
