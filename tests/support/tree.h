/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/support/tree.h - files of a kernel that this machine has not got: a folder of the test's
 * own, in which the paths of /sys and /dev are looked up that the test's system calls are given.
 */
#ifndef CROSSVM_TESTS_SUPPORT_TREE_H
#define CROSSVM_TESTS_SUPPORT_TREE_H

#if !defined(_GNU_SOURCE)
#define _GNU_SOURCE 1
#endif

/* A 32-bit program cannot read a folder whose file system has larger numbers otherwise. */
#if !defined(_FILE_OFFSET_BITS)
#define _FILE_OFFSET_BITS 64
#endif

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../check.h"

static char tree_root[64];

/* Where a path of the kernel's lies in the folder; others stay as they are. */
static inline const char *tree_path(const char *path, char *room, size_t len)
{
    if (strncmp(path, "/sys/", 5) != 0 && strncmp(path, "/dev/", 5) != 0) {
        return path;
    }
    (void)snprintf(room, len, "%s%s", tree_root, path);
    return room;
}

/* Puts bytes into a file of the folder, with the folders above it; what was there goes. */
static inline void tree_put_bytes(const char *path, const void *bytes, size_t len)
{
    char at[256];
    (void)tree_path(path, at, sizeof(at));
    for (char *slash = at + strlen(tree_root) + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0';
        (void)mkdir(at, 0700);
        *slash = '/';
    }
    int fd = open(at, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    REQUIRE(fd >= 0);
    REQUIRE(write(fd, bytes, len) == (ssize_t)len);
    REQUIRE(close(fd) == 0);
}

static inline void tree_put(const char *path, const char *text)
{
    tree_put_bytes(path, text, strlen(text));
}

static inline int tree_remove_one(const char *path, const struct stat *about, int type,
                                  struct FTW *where)
{
    (void)about;
    (void)type;
    (void)where;
    return remove(path);
}

/* Takes a path away, with all below it. */
static inline void tree_remove(const char *path)
{
    char at[256];
    (void)nftw(tree_path(path, at, sizeof(at)), tree_remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* Takes the folder away. */
static inline void tree_drop(void)
{
    if (tree_root[0] != '\0') {
        (void)nftw(tree_root, tree_remove_one, 8, FTW_DEPTH | FTW_PHYS);
        tree_root[0] = '\0';
    }
}

/* Makes the folder, empty. */
static inline void tree_make(void)
{
    static bool registered;
    (void)snprintf(tree_root, sizeof(tree_root), "/tmp/crossvm-test-tree-XXXXXX");
    REQUIRE(mkdtemp(tree_root) != NULL);
    if (!registered) {
        REQUIRE(atexit(tree_drop) == 0); /* a test that ends early leaves nothing */
        registered = true;
    }
}

#endif
