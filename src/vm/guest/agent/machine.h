/* The guest as a machine: what it has before any job, and what a job asks for besides its root. */
#ifndef MACHINE_H
#define MACHINE_H

#include "words.h"

/* Mounts what the kernel offers, and makes the devices that programs expect. */
void mount_kernel_files(void);

/* Loads the modules for a purpose; see the initramfs. A module that is there already is no error. */
void load_modules(const char *purpose);

/* Waits for a port of the serial device and opens it, without ever waiting for its other side. */
int open_port(const char *name);

/* Path of the disk with that serial number in `path`; 0 where there is none. */
int find_disk(const char *serial, struct text *path);

void set_host_name(const char *name);

/* Sets up the loopback interface, and those that the job names; 0 where that fails. */
int set_network(struct words job);

/* Sets the clock: nanoseconds since 1970 are a u64 of seconds and a u32 of nanoseconds. */
void set_clock(const unsigned char *time);

/* True when the kernel has killed something for lack of memory since the boot. */
int was_out_of_memory(void);

/* Syncs the file systems and ends the machine. */
void power_off(void);

#endif
