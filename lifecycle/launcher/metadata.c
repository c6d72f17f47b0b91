#include "metadata.h"

#include <errno.h>
#include <string.h>

#include "report.h"
#include "toml.h"
#include "tree.h"

enum { METADATA_LIMIT = 64 << 20 };

Words words_concat(Arena *arena, Words left, Words right) {
    Words all = {arena_alloc(arena, left.count + right.count + 1, sizeof(char *)), left.count + right.count};
    for (size_t i = 0; i < left.count; i++) {
        all.items[i] = left.items[i];
    }
    for (size_t i = 0; i < right.count; i++) {
        all.items[left.count + i] = right.items[i];
    }
    return all;
}

static char small(char c) { return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c; }

/* Return a field's value: that of the very key, else of one that differs in case, as the reference reads TOML. */
static const TomlValue *field(const TomlValue *table, const char *name) {
    const TomlValue *exact = toml_get(table, name);
    for (const TomlItem *item = table->first; exact == NULL && item != NULL; item = item->next) {
        size_t i = 0;
        while (i < item->key_length && name[i] != '\0' && small(item->key[i]) == name[i]) {
            i++;
        }
        if (i == item->key_length && name[i] == '\0') {
            return &item->value;
        }
    }
    return exact;
}

static bool read_string(const TomlValue *table, const char *key, const char **out) {
    const TomlValue *value = field(table, key);
    *out = value == NULL ? "" : value->text;
    return value == NULL || (value->kind == TOML_STRING && strlen(value->text) == value->length);
}

/* A single string is a list of one: `command` is one below Platform API 0.10. */
static bool read_words(Arena *arena, const TomlValue *table, const char *key, bool or_string, Words *out) {
    const TomlValue *value = field(table, key);
    *out = (Words){arena_alloc(arena, 2, sizeof(char *)), 0};
    if (value == NULL) {
        return true;
    }
    if (or_string && value->kind == TOML_STRING) {
        const char *single;
        bool fine = read_string(table, key, &single);
        out->items[out->count++] = (char *)single;
        return fine;
    }
    if (value->kind != TOML_ARRAY) {
        return false;
    }
    size_t count = 0;
    for (const TomlItem *item = value->first; item != NULL; item = item->next) {
        count++;
    }
    out->items = arena_alloc(arena, count + 1, sizeof(char *));
    for (const TomlItem *item = value->first; item != NULL; item = item->next) {
        if (item->value.kind != TOML_STRING || strlen(item->value.text) != item->value.length) {
            return false;
        }
        out->items[out->count++] = (char *)item->value.text;
    }
    return true;
}

static bool read_bool(const TomlValue *table, const char *key, bool *out) {
    const TomlValue *value = field(table, key);
    *out = value != NULL && value->boolean;
    return value == NULL || value->kind == TOML_BOOLEAN;
}

static const char *wrong_type(Arena *arena, const char *table) {
    return arena_format(arena, "toml: a key of [[%s]] has the wrong type", table);
}

/* Count the tables of an array; false when it is something else. */
static bool count_tables(const TomlValue *array, size_t *count) {
    *count = 0;
    if (array == NULL) {
        return true;
    }
    for (const TomlItem *item = array->first; item != NULL; item = item->next, ++*count) {
        if (item->value.kind != TOML_TABLE) {
            return false;
        }
    }
    return array->kind == TOML_ARRAY;
}

const char *metadata_parse(Arena *arena, const char *text, size_t length, Metadata *metadata) {
    TomlValue root;
    const char *problem = toml_parse(arena, text, length, &root);
    if (problem != NULL) {
        return problem;
    }
    const TomlValue *buildpacks = field(&root, "buildpacks");
    const TomlValue *processes = field(&root, "processes");
    if (!count_tables(buildpacks, &metadata->buildpack_count)) {
        return wrong_type(arena, "buildpacks");
    }
    if (!count_tables(processes, &metadata->process_count)) {
        return wrong_type(arena, "processes");
    }
    metadata->buildpacks = arena_alloc(arena, metadata->buildpack_count + 1, sizeof(Buildpack));
    metadata->processes = arena_alloc(arena, metadata->process_count + 1, sizeof(Process));
    Buildpack *buildpack = metadata->buildpacks;
    for (const TomlItem *item = buildpacks ? buildpacks->first : NULL; item; item = item->next, buildpack++) {
        if (!read_string(&item->value, "id", &buildpack->id) || !read_string(&item->value, "api", &buildpack->api) ||
            !read_string(&item->value, "version", &buildpack->version)) {
            return wrong_type(arena, "buildpacks");
        }
    }
    Process *process = metadata->processes;
    for (const TomlItem *item = processes ? processes->first : NULL; item; item = item->next, process++) {
        const TomlValue *table = &item->value;
        if (!read_string(table, "type", &process->type) ||
            !read_words(arena, table, "command", true, &process->command) ||
            !read_words(arena, table, "args", false, &process->args) ||
            !read_bool(table, "direct", &process->direct) ||
            !read_string(table, "buildpack-id", &process->buildpack_id) ||
            !read_string(table, "working-dir", &process->working_dir) ||
            !read_words(arena, table, "exec-env", false, &process->exec_env)) {
            return wrong_type(arena, "processes");
        }
    }
    return NULL;
}

const char *metadata_read(Arena *arena, const char *path, Metadata *metadata) {
    size_t length;
    const char *text = read_path(arena, path, METADATA_LIMIT, &length);
    if (text == NULL) {
        return arena_format(arena, "open %s: %s", path, reason(arena, errno));
    }
    return metadata_parse(arena, text, length, metadata);
}
