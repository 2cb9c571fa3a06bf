/* SPDX-License-Identifier: Apache-2.0 */
/* options.c - the command line of both programs. */
#include "options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECONDS_MAX 86400u

static void print_help(const char *program, uint32_t self)
{
    printf("usage: %s --socket PATH --file FILE [--out DIR] [--seconds N]%s\n"
           "       %s --own PLACE --peer PLACE --bell BELL --file FILE ...\n\n"
           "  --socket PATH  where the two programs meet: crossvm-demo-a listens there\n"
           "  --own PLACE    between machines: this side's memory, all zero: pci:SLOT, or on the\n"
           "                 host file:PATH\n"
           "  --peer PLACE   the other side's memory, which this side only reads\n"
           "  --bell BELL    vfio:SLOT, uio:SLOT, on the host server:SOCKET, or none: both poll\n"
           "  --file FILE    what to stream to the other side\n"
           "  --out DIR      where to put what the other side streams (default: here)\n"
           "  --seconds N    run at least this long, 1 to %u (default: 5)\n",
           program, self == DEMO_A ? " [--tear] [--spoil]" : "", program, SECONDS_MAX);
    if (self == DEMO_A) {
        printf("  --tear         publish one torn version: the reader must notice\n"
               "  --spoil        change one byte of the file on its way: likewise\n");
    }
}

static int refuse(const char *program, const char *argument, const char *expected)
{
    fprintf(stderr, "%s: %s: expected %s\n", program, argument, expected);
    return DEMO_REFUSED;
}

/* Digits only: strtoul alone would take signs and blanks. */
static bool parse_seconds(const char *text, uint32_t *seconds)
{
    size_t len = strlen(text);
    if (len == 0 || len > 5 || strspn(text, "0123456789") != len) {
        return false;
    }
    *seconds = (uint32_t)strtoul(text, NULL, 10);
    return *seconds >= 1 && *seconds <= SECONDS_MAX;
}

/* Options without a value. */
static bool parse_flag(struct options *options, uint32_t self, const char *name)
{
    bool *flag = NULL;
    if (strcmp(name, "--help") == 0) {
        flag = &options->help;
    } else if (self == DEMO_A && strcmp(name, "--tear") == 0) {
        flag = &options->tear;
    } else if (self == DEMO_A && strcmp(name, "--spoil") == 0) {
        flag = &options->spoil;
    }
    if (flag != NULL) {
        *flag = true;
    }
    return flag != NULL;
}

/* Where an option's value goes; NULL for no option of ours. */
static const char **option_value(struct options *options, const char **seconds, const char *name)
{
    const struct {
        const char *name;
        const char **value;
    } values[] = {
        {"--socket", &options->socket}, {"--own", &options->own},   {"--peer", &options->peer},
        {"--bell", &options->bell},     {"--file", &options->file}, {"--out", &options->out},
        {"--seconds", seconds},
    };
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        if (strcmp(name, values[i].name) == 0) {
            return values[i].value;
        }
    }
    return NULL;
}

/* Two processes meet at a socket; machines need all three places. */
static bool judge_meeting(const struct options *options, const char *program)
{
    bool any = options->own != NULL || options->peer != NULL || options->bell != NULL;
    bool all = options->own != NULL && options->peer != NULL && options->bell != NULL;
    if (options->socket == NULL && !any) {
        return refuse(program, "--socket", "this option with the path of a socket") == DEMO_OK;
    }
    if (options->socket != NULL && any) {
        return refuse(program, "--socket", "no --own, --peer or --bell beside it") == DEMO_OK;
    }
    if (any && !all) {
        return refuse(program, "--own", "all of --own, --peer and --bell") == DEMO_OK;
    }
    return true;
}

int options_parse(struct options *options, uint32_t self, int argc, char **argv)
{
    const char *program = self == DEMO_A ? "crossvm-demo-a" : "crossvm-demo-b";
    const char *seconds = "5";
    memset(options, 0, sizeof(*options));
    options->out = ".";
    for (int i = 1; i < argc; i++) {
        if (parse_flag(options, self, argv[i])) {
            continue;
        }
        const char **value = option_value(options, &seconds, argv[i]);
        if (value == NULL) {
            return refuse(program, argv[i], "one of the options that --help lists");
        }
        if (i + 1 == argc) {
            return refuse(program, argv[i], "a value behind it");
        }
        i++;
        *value = argv[i];
    }
    if (options->help) {
        print_help(program, self);
        return DEMO_OK;
    }
    if (!parse_seconds(seconds, &options->seconds)) {
        fprintf(stderr, "%s: --seconds %s: expected a whole number from 1 to %u\n", program,
                seconds, SECONDS_MAX);
        return DEMO_REFUSED;
    }
    if (!judge_meeting(options, program)) {
        return DEMO_REFUSED;
    }
    return options->file != NULL ? DEMO_OK
                                 : refuse(program, "--file", "this option with a file to stream");
}
