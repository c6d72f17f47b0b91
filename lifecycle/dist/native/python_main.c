/* Runs lifecycle.cli.main with the modules that the executable carries. */
#define PY_SSIZE_T_CLEAN
#define _GNU_SOURCE
#include <Python.h>

#include "carried.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

static int self;
static char *mapped;
static size_t mapped_size;
static struct trailer trailer;
static struct record records[MAX_RECORDS];
static struct _frozen frozen[MAX_RECORDS + 1];

static PyObject *contents(PyObject *module, PyObject *Py_UNUSED(ignored)) {
    (void)module;
    return PyMemoryView_FromMemory(mapped, (Py_ssize_t)mapped_size, PyBUF_READ);
}

static PyObject *index_span(PyObject *module, PyObject *Py_UNUSED(ignored)) {
    (void)module;
    return Py_BuildValue("KK", (unsigned long long)trailer.index_offset, (unsigned long long)trailer.index_size);
}

static PyObject *library_path(PyObject *module, PyObject *arguments) {
    const char *name;
    unsigned long long offset, size;
    (void)module;
    if (!PyArg_ParseTuple(arguments, "sKK", &name, &offset, &size)) return NULL;
    int fd = nameless_copy(self, name, offset, size);
    if (fd < 0) return PyErr_Format(PyExc_ImportError, "%s can't be loaded", name);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    /* It stays open: the loader takes libraries of one path for one library. */
    return PyUnicode_FromFormat("/proc/self/fd/%d", fd);
}

static PyObject *load_library(PyObject *module, PyObject *arguments) {
    const char *path;
    (void)module;
    if (!PyArg_ParseTuple(arguments, "s", &path)) return NULL;
    if (dlopen(path, RTLD_NOW | RTLD_GLOBAL) == NULL) return PyErr_Format(PyExc_ImportError, "%s", dlerror());
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"contents", contents, METH_NOARGS, "The whole executable as memory."},
    {"index_span", index_span, METH_NOARGS, "Where the index of modules is: offset and size."},
    {"library_path", library_path, METH_VARARGS, "A path to load a part of the executable from: name, offset, size."},
    {"load_library", load_library, METH_VARARGS, "Load what extension modules are linked with."},
    {NULL, NULL, 0, NULL},
};
static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_carried", NULL, -1, methods, NULL, NULL, NULL, NULL};

static PyObject *create_module(void) {
    return PyModule_Create(&definition);
}

static int map_self(void) {
    struct stat status;
    int count = read_table(self, &trailer, records);
    if (count < 0 || fstat(self, &status) != 0) return -1;
    mapped_size = (size_t)status.st_size;
    mapped = mmap(NULL, mapped_size, PROT_READ, MAP_PRIVATE, self, 0);
    if (mapped == MAP_FAILED) return -1;
    int modules = 0;
    for (int i = 0; i < count; i++) {
        if (records[i].kind != KIND_FROZEN) continue;
        frozen[modules].name = records[i].name;
        frozen[modules].code = (const unsigned char *)mapped + records[i].offset;
        frozen[modules].size = (int)records[i].size;
        frozen[modules].is_package = strcmp(records[i].name, "encodings") == 0;
        modules++;
    }
    PyImport_FrozenModules = frozen;
    return 0;
}

/* What was opened for the loader would otherwise reach every child process; the first one is the executable. */
static void keep_from_children(const char *descriptors) {
    for (const char *at = descriptors; at != NULL; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
        fcntl(atoi(at), F_SETFD, FD_CLOEXEC);
}

static void show(char *variable) {
    if (variable[0] == HIDDEN && strncmp(variable + 1, "D_", 2) == 0) variable[0] = 'L';
    if (variable[0] == HIDDEN && strncmp(variable + 1, "LIBC_TUNABLES=", 14) == 0) variable[0] = 'G';
}

static PyStatus configure(PyConfig *config, int argc, char **argv) {
    char path[4096], link[32];
    snprintf(link, sizeof link, "/proc/self/fd/%d", self);
    ssize_t length = readlink(link, path, sizeof path - 1);
    path[length < 0 ? 0 : length] = '\0';

    PyPreConfig before;
    PyPreConfig_InitIsolatedConfig(&before);
    before.utf8_mode = 1;
    PyStatus status = Py_PreInitialize(&before);
    if (PyStatus_Exception(status)) return status;

    PyConfig_InitIsolatedConfig(config);
    config->site_import = 0;
    config->write_bytecode = 0;
    config->install_signal_handlers = 1;
    config->parse_argv = 0;
    config->module_search_paths_set = 1;
    wchar_t **places[] = {
        &config->program_name, &config->executable, &config->base_executable, &config->prefix, &config->base_prefix,
        &config->exec_prefix, &config->base_exec_prefix, &config->stdlib_dir,
    };
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        status = PyConfig_SetBytesString(config, places[i], path);
        if (PyStatus_Exception(status)) return status;
    }
    return PyConfig_SetBytesArgv(config, argc, argv);
}

int main(int argc, char **argv) {
    for (char **each = environ; *each != NULL; each++) show(*each);
    self = argc > 1 ? atoi(argv[1]) : -1;
    if (self < 0 || map_self() != 0) {
        fprintf(stderr, "ERROR: lifecycle: this program is started by the executable that carries it\n");
        return 1;
    }
    keep_from_children(argv[1]);
    argv[1] = argv[0];
    const char *slash = strrchr(argv[1], '/');
    prctl(PR_SET_NAME, slash ? slash + 1 : argv[1]);

    PyImport_AppendInittab("_carried", create_module);
    PyConfig config;
    PyStatus status = configure(&config, argc - 1, argv + 1);
    if (!PyStatus_Exception(status)) status = Py_InitializeFromConfig(&config);
    PyConfig_Clear(&config);
    if (PyStatus_Exception(status)) Py_ExitStatusException(status);

    PyObject *importer = PyImport_ImportModule("_carried_importer");
    PyObject *installed = importer ? PyObject_CallMethod(importer, "install", NULL) : NULL;
    PyObject *door = installed ? PyImport_ImportModule("lifecycle.cli.main") : NULL;
    PyObject *done = door ? PyObject_CallMethod(door, "main", NULL) : NULL;
    if (done == NULL) PyErr_Print(); /* ends the process where it is SystemExit */
    int failed = done == NULL;
    Py_XDECREF(done);
    Py_XDECREF(door);
    Py_XDECREF(installed);
    Py_XDECREF(importer);
    if (Py_FinalizeEx() < 0) failed = 1;
    return failed;
}
