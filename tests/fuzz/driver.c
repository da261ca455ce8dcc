/*
 * Driver: a main in place of libFuzzer's, which runs a target over files and over all files of folders, in the order of their names.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "tests/fuzz/fuzz.h"

enum { INPUT_MAX = 4096 };

/* With exactly as much memory as there are bytes, so that a read beyond is seen. */
static size_t run_file(const char *path)
{
    static uint8_t block[INPUT_MAX];
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        test_fail(path, 0, "cannot be read");
    size_t len = fread(block, 1, sizeof(block), file);
    fclose(file);
    uint8_t *input = malloc(len + 1);
    if (input == NULL)
        test_fail(path, 0, "no memory");
    memcpy(input + 1, block, len);
    fprintf(stderr, "%s\n", path);
    LLVMFuzzerTestOneInput(input + 1, len);
    free(input);
    return 1;
}

static size_t run_folder(const char *path)
{
    struct dirent **entries;
    int count = scandir(path, &entries, NULL, alphasort);
    size_t done = 0;
    if (count < 0)
        test_fail(path, 0, "cannot be read");
    for (int i = 0; i < count; i++) {
        char name[1024];
        snprintf(name, sizeof(name), "%s/%s", path, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.')
            done += run_file(name);
        free(entries[i]);
    }
    free(entries);
    return done;
}

int main(int argc, char **argv)
{
    size_t done = 0;
    for (int i = 1; i < argc; i++) {
        struct stat about;
        if (stat(argv[i], &about) < 0)
            test_fail(argv[i], 0, "is not there");
        done += S_ISDIR(about.st_mode) ? run_folder(argv[i]) : run_file(argv[i]);
    }
    printf("%zu inputs\n", done);
    return done == 0;
}
