/* `tidewire dev`: watches the app's files, reloads them when they are saved, and tells a person
 * what came of it. */
#ifndef TIDEWIRE_HOST_DEV_H
#define TIDEWIRE_HOST_DEV_H

struct master;
struct dev;

/* After code_init; before the first version is begun. NULL: memory short. */
struct dev *dev_open(struct master *m);
void dev_close(struct dev *d); /* NULL is ignored */
void dev_leave(struct dev *d); /* of a child: the terminal and the watches are its parent's */

#endif
