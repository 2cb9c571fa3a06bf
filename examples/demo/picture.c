/* SPDX-License-Identifier: Apache-2.0 */
/* picture.c - lines that are drawn again and again in the same place. */
#include "picture.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#define PICTURE_PERIOD_NS (200 * DEMO_MS)
#define LINE_PERIOD_NS    (1000 * DEMO_MS)
#define LINE_LEN          256u

void picture_open(struct picture *picture)
{
    const char *kind = getenv("TERM");
    struct winsize size;
    memset(picture, 0, sizeof(*picture));
    picture->terminal = isatty(STDOUT_FILENO) && kind != NULL && strcmp(kind, "dumb") != 0;
    picture->columns = 80;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1) {
        picture->columns = size.ws_col;
    }
    if (picture->terminal) {
        printf("\033[?25l"); /* no cursor */
    }
    (void)picture_is_due(picture);
}

bool picture_is_due(struct picture *picture)
{
    uint64_t now_ns = crossvm_posix_now();
    if (now_ns < picture->next_ns) {
        return false;
    }
    picture->next_ns = now_ns + (picture->terminal ? PICTURE_PERIOD_NS : LINE_PERIOD_NS);
    return true;
}

void picture_begin(struct picture *picture)
{
    if (picture->n_lines != 0) {
        printf("\033[%uA", picture->n_lines);
    }
    picture->n_lines = 0;
}

void picture_line(struct picture *picture, const char *format, ...)
{
    char text[LINE_LEN];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    printf("%.*s\033[K\n", (int)picture->columns - 1, text);
    picture->n_lines++;
}

void picture_close(const struct picture *picture)
{
    if (picture->terminal) {
        printf("\033[?25h");
    }
    (void)fflush(stdout);
}
