/* Prints what toml.c reads, for a comparison with another reader.  Input: documents, each after its length in ASCII
 * digits and a newline.  Output: one line of JSON for each; "null" for a refused document, {"other":0} for a value
 * that toml.c checks without keeping it. */
#include <stdio.h>
#include <stdlib.h>

#include "fuzz.h"
#include "toml.h"

static void print_text(const char *text, size_t length) {
    putchar('"');
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < 0x20 || c == '"' || c == '\\') {
            printf("\\u%04x", c);
        } else {
            putchar(c);
        }
    }
    putchar('"');
}

static void print_value(const TomlValue *value) {
    switch (value->kind) {
    case TOML_STRING:
        print_text(value->text, value->length);
        return;
    case TOML_BOOLEAN:
        fputs(value->boolean ? "true" : "false", stdout);
        return;
    case TOML_OTHER:
        fputs("{\"other\":0}", stdout);
        return;
    case TOML_ARRAY:
    case TOML_TABLE:
        break;
    }
    int table = value->kind == TOML_TABLE;
    putchar(table ? '{' : '[');
    for (const TomlItem *item = value->first; item != NULL; item = item->next) {
        if (item != value->first) {
            putchar(',');
        }
        if (table) {
            print_text(item->key, item->key_length);
            putchar(':');
        }
        print_value(&item->value);
    }
    putchar(table ? '}' : ']');
}

int main(void) {
    size_t length;
    while (scanf("%zu", &length) == 1 && getchar() == '\n') {
        /* Exactly as long as the document, so that a sanitizer sees a read behind it. */
        char *text = malloc(length == 0 ? 1 : length);
        if (text == NULL || fread(text, 1, length, stdin) != length) {
            return 1;
        }
        Arena arena = {0};
        TomlValue root;
        if (toml_parse(&arena, text, length, &root) == NULL) {
            print_value(&root);
        } else {
            fputs("null", stdout);
        }
        putchar('\n');
        fflush(stdout);
        fuzz_free();
        free(text);
    }
    return 0;
}
