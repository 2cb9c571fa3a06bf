/* SPDX-License-Identifier: Apache-2.0 */
/*
 * init.c - the first and only process of a guest: does what the file /steps says, line by line,
 * and powers the machine off. machines.py puts it into the guest's initial file system.
 *
 *   load FILE [PARAMETERS]     a kernel module
 *   vfio SLOT                  hands a PCI device to vfio-pci
 *   network DEVICE ADDRESS     gives a network device an IPv4 address, in a net of 256
 *   run PROGRAM [ARGUMENT...]  and waits for its end
 *
 * What it says begins with "guest: ". The last line is "guest: end", or "guest: failed: LINE: WHY".
 */
#define _GNU_SOURCE 1

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

enum {
    LINE_LEN = 1024,
    WORDS_MOST = 64
};

/* ---- steps --------------------------------------------------------------------------------- */

static bool step_load(char **words)
{
    char parameters[LINE_LEN] = "";
    for (size_t i = 2; words[i] != NULL; i++) {
        strncat(parameters, words[i], sizeof(parameters) - strlen(parameters) - 1);
        strncat(parameters, " ", sizeof(parameters) - strlen(parameters) - 1);
    }
    int fd = open(words[1], O_RDONLY | O_CLOEXEC);
    bool loaded = fd >= 0 && syscall(SYS_finit_module, fd, parameters, 0) == 0;
    int error = errno;
    (void)close(fd);
    errno = error;
    return loaded;
}

static bool write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool written = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    int error = errno;
    (void)close(fd);
    errno = error;
    return written;
}

static bool step_vfio(char **words)
{
    char path[256];
    (void)snprintf(path, sizeof(path), "/sys/bus/pci/devices/%.32s/driver_override", words[1]);
    return write_text(path, "vfio-pci") && write_text("/sys/bus/pci/drivers_probe", words[1]);
}

/* Sets one of an interface's addresses. */
static bool set_address(int fd, struct ifreq *request, unsigned long what, const char *text)
{
    struct sockaddr_in address;
    memset(&address, 0, sizeof(address));
    address.sin_family = AF_INET;
    if (inet_pton(AF_INET, text, &address.sin_addr) != 1) {
        errno = EINVAL;
        return false;
    }
    memcpy(&request->ifr_addr, &address, sizeof(address));
    return ioctl(fd, what, request) == 0;
}

static bool step_network(char **words)
{
    struct ifreq request;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || words[2] == NULL) {
        return false;
    }
    memset(&request, 0, sizeof(request));
    (void)snprintf(request.ifr_name, sizeof(request.ifr_name), "%.15s", words[1]);
    bool set = set_address(fd, &request, SIOCSIFADDR, words[2]) &&
               set_address(fd, &request, SIOCSIFNETMASK, "255.255.255.0");
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    set = set && ioctl(fd, SIOCSIFFLAGS, &request) == 0;
    int error = errno;
    (void)close(fd);
    errno = error;
    return set;
}

/* The process of a program, -1 if there is none. */
static pid_t start(char **words)
{
    pid_t child = fork();
    if (child == 0) {
        (void)execv(words[1], words + 1);
        printf("guest: %s: %s\n", words[1], strerror(errno));
        _exit(127);
    }
    return child;
}

/* A program that fails is no failure of the machine's: its status is said. */
static bool step_run(char **words)
{
    int status = 0;
    pid_t child = start(words);
    if (child < 0) {
        return false;
    }
    while (waitpid(child, &status, 0) != child) {
        if (errno != EINTR) {
            return false;
        }
    }
    (void)fflush(stdout);
    if (WIFSIGNALED(status)) {
        printf("guest: %s ended by signal %d\n", words[1], WTERMSIG(status));
    } else {
        printf("guest: %s ended with %d\n", words[1], WEXITSTATUS(status));
    }
    return true;
}

/* ---- lines --------------------------------------------------------------------------------- */

static bool obey(char **words)
{
    static const struct {
        const char *name;
        bool (*step)(char **words);
    } steps[] = {
        {"load", step_load},
        {"vfio", step_vfio},
        {"network", step_network},
        {"run", step_run},
    };
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        if (strcmp(words[0], steps[i].name) == 0 && words[1] != NULL) {
            return steps[i].step(words);
        }
    }
    errno = EINVAL;
    return false;
}

/* Splits a line at blanks; there is no quoting. */
static void split(char *line, char *words[WORDS_MOST + 1])
{
    size_t n = 0;
    char *rest = NULL;
    for (char *word = strtok_r(line, " \n", &rest); word != NULL && n < WORDS_MOST;
         word = strtok_r(NULL, " \n", &rest)) {
        words[n] = word;
        n++;
    }
    words[n] = NULL;
}

static void follow(FILE *steps)
{
    char line[LINE_LEN];
    char copy[LINE_LEN];
    char *words[WORDS_MOST + 1];
    while (fgets(line, sizeof(line), steps) != NULL) {
        memcpy(copy, line, sizeof(copy));
        copy[strcspn(copy, "\n")] = '\0';
        split(line, words);
        if (words[0] != NULL && !obey(words)) {
            printf("guest: failed: %s: %s\n", copy, strerror(errno));
            return;
        }
    }
    printf("guest: end\n");
}

/* ---- the machine --------------------------------------------------------------------------- */

static void mount_all(void)
{
    (void)mkdir("/proc", 0755);
    (void)mkdir("/sys", 0755);
    (void)mkdir("/dev", 0755);
    (void)mkdir("/tmp", 01777);
    (void)mount("proc", "/proc", "proc", 0, NULL);
    (void)mount("sysfs", "/sys", "sysfs", 0, NULL);
    (void)mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
    (void)mount("tmpfs", "/tmp", "tmpfs", 0, NULL);
    (void)mkdir("/dev/shm", 01777);
    (void)mount("tmpfs", "/dev/shm", "tmpfs", 0, NULL);
}

/* The kernel opens no console for us where its file system has none. */
static void open_console(void)
{
    int fd = open("/dev/ttyS0", O_RDWR);
    if (fd >= 0) {
        (void)dup2(fd, STDIN_FILENO);
        (void)dup2(fd, STDOUT_FILENO);
        (void)dup2(fd, STDERR_FILENO);
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
}

/* The picture of a program is as wide as the terminal at the other end, which COLUMNS says (of the
 * kernel's command line, which hands it on as environment). */
static void set_width(void)
{
    const char *columns = getenv("COLUMNS");
    struct winsize size;
    memset(&size, 0, sizeof(size));
    if (columns != NULL) {
        size.ws_col = (unsigned short)atoi(columns);
        size.ws_row = 24;
        (void)ioctl(STDOUT_FILENO, TIOCSWINSZ, &size);
    }
}

int main(void)
{
    mount_all();
    open_console();
    set_width();
    FILE *steps = fopen("/steps", "re");
    if (steps == NULL) {
        printf("guest: failed: /steps: %s\n", strerror(errno));
    } else {
        printf("guest: up\n");
        follow(steps);
    }
    (void)fflush(stdout);
    sync();
    (void)tcdrain(STDOUT_FILENO);
    (void)reboot(RB_POWER_OFF);
    return 1;
}
