/* SPDX-License-Identifier: Apache-2.0 */
/*
 * say.h - lines of text without a C library: %u (unsigned), %x (uint32_t), %s.
 */
#ifndef FIRMWARE_SAY_H
#define FIRMWARE_SAY_H

#include <stdarg.h>
#include <stddef.h>

#define SAY_LEN 160u /* of a line; what is longer is cut off */

struct say_line {
    char text[SAY_LEN];
    size_t n;
};

static inline void say_char(struct say_line *line, char character)
{
    if (line->n + 2 < SAY_LEN) {
        line->text[line->n++] = character;
    }
}

static inline void say_string(struct say_line *line, const char *string)
{
    while (*string != '\0') {
        say_char(line, *string++);
    }
}

static inline void say_number(struct say_line *line, unsigned number, unsigned base)
{
    char digits[12];
    unsigned n = 0;
    do {
        digits[n++] = "0123456789abcdef"[number % base];
        number /= base;
    } while (number != 0);
    while (n != 0) {
        say_char(line, digits[--n]);
    }
}

/* Writes a line where `put` writes. */
__attribute__((format(printf, 2, 3))) static inline void say(void (*put)(const char *text),
                                                             const char *format, ...)
{
    struct say_line line;
    va_list arguments;
    line.n = 0;
    va_start(arguments, format);
    for (; *format != '\0'; format++) {
        if (format[0] != '%') {
            say_char(&line, *format);
            continue;
        }
        format++;
        if (*format == 's') {
            say_string(&line, va_arg(arguments, const char *));
        } else {
            say_number(&line, va_arg(arguments, unsigned), *format == 'x' ? 16 : 10);
        }
    }
    va_end(arguments);
    line.text[line.n++] = '\n';
    line.text[line.n] = '\0';
    put(line.text);
}

#endif
