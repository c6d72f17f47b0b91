#include "toml.h"

#include <stdint.h>
#include <string.h>

/* Every key of the document, found by its table and name: a table may have as many keys as the document has lines. */
typedef struct {
    TomlItem **slots; /* NULL or an item; never full */
    size_t room;      /* a power of two */
    size_t used;
} Index;

/* `failure` is set once; every function returns false from then on. */
typedef struct {
    Arena *arena;
    Index keys;
    const char *at;
    const char *end;
    const char *start;
    const char *failure;
} Parser;

typedef struct {
    const char *text;
    size_t length;
} Key;

static bool parse_value(Parser *p, TomlValue *value, int depth);

static bool fail(Parser *p, const char *what) {
    if (p->failure == NULL) {
        size_t line = 1;
        for (const char *c = p->start; c < p->at; c++) {
            line += *c == '\n';
        }
        p->failure = arena_format(p->arena, "toml: line %zu: %s", line, what);
    }
    return false;
}

static int peek(const Parser *p, size_t ahead) {
    return (size_t)(p->end - p->at) > ahead ? (unsigned char)p->at[ahead] : -1;
}

static bool take(Parser *p, const char *word) {
    size_t length = strlen(word);
    if ((size_t)(p->end - p->at) < length || memcmp(p->at, word, length) != 0) {
        return false;
    }
    p->at += length;
    return true;
}

static bool is_digit(int c) { return c >= '0' && c <= '9'; }

static bool is_bare(int c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '-';
}

static bool is_control(int c) { return (c >= 0 && c < 0x20 && c != '\t') || c == 0x7f; }

static bool valid_utf8(const unsigned char *s, size_t length) {
    size_t i = 0;
    while (i < length) {
        unsigned c = s[i];
        size_t more = c < 0x80 ? 0 : c >= 0xc2 && c < 0xe0 ? 1 : c >= 0xe0 && c < 0xf0 ? 2 : c >= 0xf0 && c < 0xf5 ? 3 : 4;
        if (more == 4 || length - i <= more) {
            return false;
        }
        for (size_t k = 1; k <= more; k++) {
            if ((s[i + k] & 0xc0) != 0x80) {
                return false;
            }
        }
        if ((c == 0xe0 && s[i + 1] < 0xa0) || (c == 0xed && s[i + 1] > 0x9f) || (c == 0xf0 && s[i + 1] < 0x90) ||
            (c == 0xf4 && s[i + 1] > 0x8f)) {
            return false;
        }
        i += more + 1;
    }
    return true;
}

static void skip_blank(Parser *p) {
    while (peek(p, 0) == ' ' || peek(p, 0) == '\t') {
        p->at++;
    }
}

static bool take_newline(Parser *p) { return take(p, "\n") || take(p, "\r\n"); }

static bool skip_comment(Parser *p) {
    if (peek(p, 0) != '#') {
        return true;
    }
    while (peek(p, 0) >= 0 && peek(p, 0) != '\n' && !(peek(p, 0) == '\r' && peek(p, 1) == '\n')) {
        if (is_control(peek(p, 0))) {
            return fail(p, "control character in a comment");
        }
        p->at++;
    }
    return true;
}

static bool skip_lines(Parser *p) {
    do {
        skip_blank(p);
        if (!skip_comment(p)) {
            return false;
        }
    } while (take_newline(p));
    return true;
}

static bool end_of_line(Parser *p) {
    skip_blank(p);
    if (!skip_comment(p)) {
        return false;
    }
    return peek(p, 0) < 0 || take_newline(p) || fail(p, "expected the end of the line");
}

static size_t encode_utf8(uint32_t c, char *out) {
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3f));
        out[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3f));
    out[2] = (char)(0x80 | (c >> 6 & 0x3f));
    out[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

/* Decode what follows a backslash; never longer than its source, which is what bounds `out`. */
static bool parse_escape(Parser *p, char *out, size_t *used) {
    static const char names[] = "btnfr\"\\";
    static const char values[] = "\b\t\n\f\r\"\\";
    int c = peek(p, 0);
    const char *simple = c > 0 ? strchr(names, c) : NULL;
    if (simple != NULL) {
        out[(*used)++] = values[simple - names];
        p->at++;
        return true;
    }
    int digits = c == 'u' ? 4 : c == 'U' ? 8 : 0;
    if (digits == 0) {
        return fail(p, "unknown escape sequence");
    }
    p->at++;
    uint32_t point = 0;
    for (int i = 0; i < digits; i++, p->at++) {
        int h = peek(p, 0);
        uint32_t digit = is_digit(h) ? (uint32_t)(h - '0') : h >= 'a' && h <= 'f' ? (uint32_t)(h - 'a' + 10)
                         : h >= 'A' && h <= 'F' ? (uint32_t)(h - 'A' + 10) : 16;
        if (digit == 16) {
            return fail(p, "bad hexadecimal escape");
        }
        point = point << 4 | digit;
    }
    if (point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) {
        return fail(p, "escape is not a Unicode scalar value");
    }
    *used += encode_utf8(point, out + *used);
    return true;
}

/* Skip the white space after a line-ending backslash; false when the backslash does not end its line. */
static bool line_continues(Parser *p) {
    const char *mark = p->at;
    skip_blank(p);
    if (!take_newline(p)) {
        p->at = mark;
        return false;
    }
    do {
        skip_blank(p);
    } while (take_newline(p));
    return true;
}

/* Return where the string that starts at `at` can't go on, so that its buffer is no bigger than itself. */
static size_t string_bound(const Parser *p, char quote, bool multiline) {
    const char *c = p->at;
    int run = 0;
    while (c < p->end) {
        if (*c == '\\' && quote == '"' && p->end - c > 1) {
            c += 2;
            run = 0;
            continue;
        }
        run = *c == quote ? run + 1 : 0;
        if (multiline ? run == 3 : run == 1 || *c == '\n') {
            break;
        }
        c++;
    }
    return (size_t)(c - p->at);
}

static bool parse_string(Parser *p, Key *out, bool multiline_allowed) {
    char quote = *p->at;
    bool multiline = multiline_allowed && peek(p, 1) == quote && peek(p, 2) == quote;
    p->at += multiline ? 3 : 1;
    if (multiline) {
        take_newline(p);
    }
    /* Two closing quotes more than the bound may belong to the text, and a code point has four bytes. */
    char *text = arena_alloc(p->arena, string_bound(p, quote, multiline) + 8, 1);
    size_t used = 0;
    for (;;) {
        int c = peek(p, 0);
        if (c < 0) {
            return fail(p, "unterminated string");
        }
        if (c == quote) {
            size_t run = 1;
            while (multiline && run < 5 && peek(p, run) == quote) {
                run++;
            }
            p->at += run;
            if (!multiline) {
                break;
            }
            size_t kept = run >= 3 ? run - 3 : run;
            memset(text + used, quote, kept);
            used += kept;
            if (run >= 3) {
                break;
            }
        } else if (c == '\\' && quote == '"') {
            p->at++;
            if (!(multiline && line_continues(p)) && !parse_escape(p, text, &used)) {
                return false;
            }
        } else if (multiline && take_newline(p)) {
            text[used++] = '\n';
        } else if (is_control(c)) {
            return fail(p, "control character in a string");
        } else {
            text[used++] = (char)c;
            p->at++;
        }
    }
    out->text = text;
    out->length = used;
    return true;
}

static bool parse_key(Parser *p, Key *out) {
    int c = peek(p, 0);
    if (c == '"' || c == '\'') {
        return parse_string(p, out, false);
    }
    const char *start = p->at;
    while (is_bare(peek(p, 0))) {
        p->at++;
    }
    if (p->at == start) {
        return fail(p, "expected a key");
    }
    out->length = (size_t)(p->at - start);
    out->text = arena_copy(p->arena, start, out->length);
    return true;
}

static bool is_named(const TomlItem *item, Key key) {
    return item->key_length == key.length && memcmp(item->key, key.text, key.length) == 0;
}

/* Return where the key is or would be.  Hash: FNV-1a. */
static TomlItem **slot(const Index *index, const TomlValue *table, Key key) {
    uint64_t hash = 0xcbf29ce484222325u ^ (uint64_t)(uintptr_t)table;
    for (size_t i = 0; i < key.length; i++) {
        hash = (hash ^ (unsigned char)key.text[i]) * 0x100000001b3u;
    }
    hash ^= hash >> 32;
    size_t at = (size_t)hash & (index->room - 1);
    while (index->slots[at] != NULL && !(index->slots[at]->table == table && is_named(index->slots[at], key))) {
        at = (at + 1) & (index->room - 1);
    }
    return &index->slots[at];
}

static TomlValue *find(const Parser *p, const TomlValue *table, Key key) {
    TomlItem *item = p->keys.room == 0 ? NULL : *slot(&p->keys, table, key);
    return item == NULL ? NULL : &item->value;
}

static void add_key(Parser *p, TomlItem *item) {
    Index *index = &p->keys;
    if (index->used >= index->room / 2) {
        Index larger = {.room = index->room == 0 ? 64 : index->room * 2, .used = index->used};
        larger.slots = arena_alloc(p->arena, larger.room, sizeof(TomlItem *));
        for (size_t i = 0; i < index->room; i++) {
            TomlItem *each = index->slots[i];
            if (each != NULL) {
                *slot(&larger, each->table, (Key){each->key, each->key_length}) = each;
            }
        }
        *index = larger;
    }
    *slot(index, item->table, (Key){item->key, item->key_length}) = item;
    index->used++;
}

static TomlValue *append(Parser *p, TomlValue *parent, Key key, TomlKind kind) {
    TomlItem *item = arena_alloc(p->arena, 1, sizeof *item);
    item->key = key.text;
    item->key_length = key.length;
    item->value.kind = kind;
    if (parent->kind == TOML_TABLE) {
        item->table = parent;
        add_key(p, item);
    }
    if (parent->last == NULL) {
        parent->first = item;
    } else {
        parent->last->next = item;
    }
    parent->last = item;
    return &item->value;
}

static bool parse_pair(Parser *p, TomlValue *table, int depth) {
    Key key;
    if (!parse_key(p, &key)) {
        return false;
    }
    skip_blank(p);
    for (int dots = 0; take(p, "."); dots++) {
        if (dots + depth >= TOML_MAX_DEPTH) {
            return fail(p, "too deeply nested");
        }
        TomlValue *next = find(p, table, key);
        if (next == NULL) {
            next = append(p, table, key, TOML_TABLE);
        } else if (next->kind != TOML_TABLE || next->closed || next->header) {
            return fail(p, "a dotted key can't add to this value");
        }
        next->dotted = true;
        table = next;
        skip_blank(p);
        if (!parse_key(p, &key)) {
            return false;
        }
        skip_blank(p);
    }
    if (!take(p, "=")) {
        return fail(p, "expected '='");
    }
    if (find(p, table, key) != NULL) {
        return fail(p, "duplicate key");
    }
    skip_blank(p);
    return parse_value(p, append(p, table, key, TOML_OTHER), depth + 1);
}

static bool parse_inline_table(Parser *p, TomlValue *value, int depth) {
    value->kind = TOML_TABLE;
    skip_blank(p);
    if (!take(p, "}")) {
        do {
            skip_blank(p);
            if (!parse_pair(p, value, depth)) {
                return false;
            }
            skip_blank(p);
        } while (take(p, ","));
        if (!take(p, "}")) {
            return fail(p, "expected ',' or '}'");
        }
    }
    value->closed = true;
    return true;
}

static bool parse_array(Parser *p, TomlValue *value, int depth) {
    static const Key none = {"", 0};
    value->kind = TOML_ARRAY;
    value->closed = true;
    for (;;) {
        if (!skip_lines(p)) {
            return false;
        }
        if (take(p, "]")) {
            return true;
        }
        if (!parse_value(p, append(p, value, none, TOML_OTHER), depth + 1) || !skip_lines(p)) {
            return false;
        }
        if (!take(p, ",") && peek(p, 0) != ']') {
            return fail(p, "expected ',' or ']'");
        }
    }
}

/* Digits with single underscores between them; `s` moves behind them. */
static bool digits(const char **s, const char *end, const char *allowed) {
    const char *c = *s;
    bool last_digit = false;
    for (; c < end && *c != '\0'; c++) {
        if (*c == '_' && last_digit) {
            last_digit = false;
        } else if (*c != '_' && strchr(allowed, *c) != NULL) {
            last_digit = true;
        } else {
            break;
        }
    }
    bool any = c > *s;
    *s = c;
    return any && last_digit;
}

static bool is_number(const char *s, const char *end) {
    static const char decimal[] = "0123456789";
    if (end - s > 2 && s[0] == '0' && strchr("xob", s[1]) != NULL && s[1] != '\0') {
        const char *allowed = s[1] == 'x' ? "0123456789abcdefABCDEF" : s[1] == 'o' ? "01234567" : "01";
        s += 2;
        return digits(&s, end, allowed) && s == end;
    }
    if (s < end && (*s == '+' || *s == '-')) {
        s++;
    }
    if (end - s == 3 && (memcmp(s, "inf", 3) == 0 || memcmp(s, "nan", 3) == 0)) {
        return true;
    }
    const char *whole = s;
    if (!digits(&s, end, decimal) || (*whole == '0' && s - whole > 1)) {
        return false;
    }
    if (s < end && *s == '.') {
        s++;
        if (!digits(&s, end, decimal)) {
            return false;
        }
    }
    if (s < end && (*s == 'e' || *s == 'E')) {
        s++;
        if (s < end && (*s == '+' || *s == '-')) {
            s++;
        }
        if (!digits(&s, end, decimal)) {
            return false;
        }
    }
    return s == end;
}

/* Match `shape`, in which 0 stands for a digit, at `*s`. */
static bool shaped(const char **s, const char *end, const char *shape) {
    size_t length = strlen(shape);
    if ((size_t)(end - *s) < length) {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        if (shape[i] == '0' ? !is_digit((unsigned char)(*s)[i]) : (*s)[i] != shape[i]) {
            return false;
        }
    }
    *s += length;
    return true;
}

static int two(const char *s) { return (s[0] - '0') * 10 + (s[1] - '0'); }

static bool is_time(const char **s, const char *end) {
    const char *start = *s;
    if (!shaped(s, end, "00:00:00") || two(start) > 23 || two(start + 3) > 59 || two(start + 6) > 59) {
        return false;
    }
    if (*s < end && **s == '.') {
        const char *fraction = ++*s;
        while (*s < end && is_digit((unsigned char)**s)) {
            ++*s;
        }
        return *s > fraction;
    }
    return true;
}

static bool is_date_or_time(const char *s, const char *end) {
    const char *start = s;
    if (!shaped(&s, end, "0000-00-00")) {
        return is_time(&s, end) && s == end;
    }
    static const char month_days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year = two(start) * 100 + two(start + 2);
    int month = two(start + 5);
    int day = two(start + 8);
    if (year < 1 || month < 1 || month > 12 || day < 1 || day > month_days[month - 1] ||
        (month == 2 && day == 29 && !((year % 4 == 0 && year % 100 != 0) || year % 400 == 0))) {
        return false;
    }
    if (s == end) {
        return true;
    }
    if (*s != 'T' && *s != 't' && *s != ' ') {
        return false;
    }
    s++;
    if (!is_time(&s, end)) {
        return false;
    }
    if (s == end) {
        return true;
    }
    if (end - s == 1 && (*s == 'Z' || *s == 'z')) {
        return true;
    }
    const char *offset = s;
    return (shaped(&s, end, "+00:00") || shaped(&s, end, "-00:00")) && s == end && two(offset + 1) < 24 &&
           two(offset + 4) < 60;
}

static bool parse_other(Parser *p) {
    const char *start = p->at;
    while (is_bare(peek(p, 0)) || peek(p, 0) == '+' || peek(p, 0) == '.' || peek(p, 0) == ':' ||
           (peek(p, 0) == ' ' && p->at - start == 10 && start[4] == '-' && is_digit(peek(p, 1)))) {
        p->at++;
    }
    if (is_number(start, p->at) || is_date_or_time(start, p->at)) {
        return true;
    }
    p->at = start;
    return fail(p, "expected a value");
}

static bool parse_value(Parser *p, TomlValue *value, int depth) {
    if (depth > TOML_MAX_DEPTH) {
        return fail(p, "too deeply nested");
    }
    int c = peek(p, 0);
    if (c == '"' || c == '\'') {
        Key text;
        if (!parse_string(p, &text, true)) {
            return false;
        }
        value->kind = TOML_STRING;
        value->text = text.text;
        value->length = text.length;
        return true;
    }
    if (take(p, "[")) {
        return parse_array(p, value, depth);
    }
    if (take(p, "{")) {
        return parse_inline_table(p, value, depth);
    }
    if (c == 't' || c == 'f') {
        value->kind = TOML_BOOLEAN;
        value->boolean = c == 't';
        return take(p, "true") || take(p, "false") || fail(p, "expected a value");
    }
    return parse_other(p);
}

/* Return the table into which a header's next key goes, or NULL. */
static TomlValue *descend(TomlValue *value) {
    if (value->kind == TOML_ARRAY && !value->closed) {
        return &value->last->value;
    }
    return value->kind == TOML_TABLE && !value->closed ? value : NULL;
}

static bool parse_header(Parser *p, TomlValue *root, TomlValue **current) {
    bool array = take(p, "[[");
    if (!array) {
        p->at++;
    }
    TomlValue *table = root;
    Key key;
    skip_blank(p);
    if (!parse_key(p, &key)) {
        return false;
    }
    skip_blank(p);
    for (int depth = 0; take(p, "."); depth++) {
        if (depth >= TOML_MAX_DEPTH) {
            return fail(p, "too deeply nested");
        }
        TomlValue *next = find(p, table, key);
        table = next == NULL ? append(p, table, key, TOML_TABLE) : descend(next);
        if (table == NULL) {
            return fail(p, "a header can't add to this value");
        }
        skip_blank(p);
        if (!parse_key(p, &key)) {
            return false;
        }
        skip_blank(p);
    }
    if (!take(p, array ? "]]" : "]")) {
        return fail(p, "expected ']'");
    }
    TomlValue *found = find(p, table, key);
    if (array) {
        if (found == NULL) {
            found = append(p, table, key, TOML_ARRAY);
        } else if (found->kind != TOML_ARRAY || found->closed) {
            return fail(p, "not an array of tables");
        }
        found = append(p, found, (Key){"", 0}, TOML_TABLE);
    } else if (found == NULL) {
        found = append(p, table, key, TOML_TABLE);
    } else if (found->kind != TOML_TABLE || found->header || found->dotted || found->closed) {
        return fail(p, "table defined twice");
    }
    found->header = true;
    *current = found;
    return end_of_line(p);
}

const char *toml_parse(Arena *arena, const char *text, size_t length, TomlValue *root) {
    Parser p = {.arena = arena, .at = text, .end = text + length, .start = text};
    *root = (TomlValue){.kind = TOML_TABLE, .header = true};
    if (!valid_utf8((const unsigned char *)text, length)) {
        return "toml: not valid UTF-8";
    }
    TomlValue *current = root;
    while (skip_lines(&p) && p.at < p.end) {
        bool fine = peek(&p, 0) == '[' ? parse_header(&p, root, &current)
                                       : parse_pair(&p, current, 0) && end_of_line(&p);
        if (!fine) {
            break;
        }
    }
    return p.failure;
}

const TomlValue *toml_get(const TomlValue *table, const char *key) {
    const Key wanted = {key, strlen(key)};
    for (const TomlItem *item = table->first; item != NULL; item = item->next) {
        if (is_named(item, wanted)) {
            return &item->value;
        }
    }
    return NULL;
}
