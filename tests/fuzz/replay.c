/* Stands in for libFuzzer where there is none: gives each file to the target once.
 *
 *     TARGET FILE_OR_FOLDER...
 *
 * Prints one line of TAP. A folder that is not there is an empty one: nothing may have crashed yet.
 */
#include "fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

static char under_way[4096]; /* the file, for a crash to name it */

static void name_it(void)
{
    ssize_t ignored = write(STDERR_FILENO, under_way, strlen(under_way));
    (void)ignored;
}

static void on_abort(int signal_number)
{
    (void)signal_number;
    name_it(); /* abort() goes on behind it */
}

static void give_up(const char *path)
{
    fprintf(stderr, "%s: %s\n", path, strerror(errno));
    exit(2);
}

static void run_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    struct buf input = {0};
    unsigned char chunk[4096];
    size_t n;
    if (!file)
        give_up(path);
    while ((n = fread(chunk, 1, sizeof chunk, file)) > 0)
        if (!buf_append(&input, chunk, n))
            give_up(path);
    fclose(file);
    snprintf(under_way, sizeof under_way, "# input: %s\n", path);
    unsigned char *exact = fuzz_copy(input.data, input.len);
    LLVMFuzzerTestOneInput(exact, input.len);
    free(exact);
    buf_free(&input);
}

static size_t run_folder(const char *path)
{
    char name[4096];
    size_t count = 0;
    DIR *folder = opendir(path);
    if (!folder)
        give_up(path);
    for (struct dirent *entry; (entry = readdir(folder));) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        run_file(name);
        count++;
    }
    closedir(folder);
    return count;
}

static size_t run_path(const char *path)
{
    struct stat status;
    if (stat(path, &status) != 0) {
        if (errno != ENOENT)
            give_up(path);
        return 0;
    }
    if (S_ISDIR(status.st_mode))
        return run_folder(path);
    run_file(path);
    return 1;
}

int main(int argc, char **argv)
{
    size_t count = 0;
    if (__sanitizer_set_death_callback)
        __sanitizer_set_death_callback(name_it);
    signal(SIGABRT, on_abort);
    for (int i = 1; i < argc; i++)
        count += run_path(argv[i]);
    const char *slash = strrchr(argv[0], '/');
    printf("%s 1 - %s: %zu inputs\n", count ? "ok" : "not ok", slash ? slash + 1 : argv[0], count);
    return count ? 0 : 1;
}
