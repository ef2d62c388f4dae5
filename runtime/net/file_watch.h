/* Folders that are watched for changes of source files (inotify), however an editor saves: what
 * comes together is told once. */
#ifndef TIDEWIRE_NET_FILE_WATCH_H
#define TIDEWIRE_NET_FILE_WATCH_H

#include "net/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ms without an event until a change is told; so many times that while a file is open that has been
 * written to; and so many times that when changes never pause */
#define FILE_WATCH_QUIET 200
#define FILE_WATCH_WRITING 10
#define FILE_WATCH_LONGEST 25

enum file_watch_cause {
    FILE_WATCH_CHANGED, /* something has happened to a file, or on the way to one */
    FILE_WATCH_NEW,     /* a folder is watched that was not: what was read of it may be old */
};

struct file_watch;

/* `changed` is called from the loop, `quiet` ms (FILE_WATCH_QUIET) after the last of several
 * events. NULL: memory or descriptors are short, or the user has too many inotify instances
 * (errno). */
struct file_watch *file_watch_new(struct loop *loop, uint32_t quiet,
                                  void (*changed)(void *context, enum file_watch_cause cause),
                                  void *context);

/* Also in a child: the parent's watches stay. NULL is ignored. */
void file_watch_free(struct file_watch *w);

/* What is to be watched from now on, in the place of what was. The folders need not exist: they are
 * found when they appear, and again after they were deleted, renamed, or a symlink on the way to
 * them was turned; relative ones are below the working directory. In them count the files that end
 * in ".lua" and whatever has the name (the last part of the path) of one of `files`, but no hidden
 * ones apart from these. Files that are symlinks are watched where they lead to as well. The
 * strings are copied.
 *
 * false: not all of it is watched; errno tells why (ENOSPC: the user's limit of watches). */
bool file_watch_set(struct file_watch *w, const char *const *folders, size_t folder_count,
                    const char *const *files, size_t file_count);

/* Has something happened that is not told yet? Then what was read meanwhile may be half a change.
 */
bool file_watch_is_due(struct file_watch *w);

#endif
