/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/support/access_log.h - every access to some pages, in order: the pages are closed, each
 * access faults, is written down, and is executed alone by single-stepping.
 *
 * x86-64 Linux only, and not under the thread sanitizer, which puts signals off.
 */
#ifndef CROSSVM_TESTS_SUPPORT_ACCESS_LOG_H
#define CROSSVM_TESTS_SUPPORT_ACCESS_LOG_H

#if !defined(_GNU_SOURCE)
#define _GNU_SOURCE 1
#endif

#include <crossvm/compiler.h>

#if defined(__x86_64__) && defined(__linux__) && !defined(CROSSVM_I_TSAN)
#define ACCESS_LOG 1
#else
#define ACCESS_LOG 0
#endif

#if ACCESS_LOG

#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "../check.h"

enum {
    ACCESS_LOG_MAX = 1024,
    ACCESS_LOG_TRAP_FLAG = 0x100 /* in EFLAGS: trap after one instruction */
};

/* Volatile: the handlers run in the middle of the code that is looked at. */
static volatile struct {
    unsigned char *first;
    size_t len;
    unsigned n; /* accesses seen */
    size_t off[ACCESS_LOG_MAX];
    bool write[ACCESS_LOG_MAX];
} access_log;

static inline void access_log_default(int signal)
{
    struct sigaction usual;
    memset(&usual, 0, sizeof(usual));
    usual.sa_handler = SIG_DFL;
    (void)sigaction(signal, &usual, NULL);
}

static inline void access_log_fault(int signal, siginfo_t *info, void *context)
{
    ucontext_t *machine = (ucontext_t *)context;
    uintptr_t off = (uintptr_t)info->si_addr - (uintptr_t)access_log.first;
    if (signal != SIGSEGV || off >= access_log.len) {
        access_log_default(SIGSEGV);
        return;
    }
    if (access_log.n < ACCESS_LOG_MAX) {
        access_log.off[access_log.n] = off;
        access_log.write[access_log.n] = (machine->uc_mcontext.gregs[REG_ERR] & 2) != 0;
    }
    access_log.n = access_log.n + 1;
    (void)mprotect(access_log.first, access_log.len, PROT_READ | PROT_WRITE);
    machine->uc_mcontext.gregs[REG_EFL] |= ACCESS_LOG_TRAP_FLAG;
}

static inline void access_log_stepped(int signal, siginfo_t *info, void *context)
{
    ucontext_t *machine = (ucontext_t *)context;
    (void)signal;
    (void)info;
    (void)mprotect(access_log.first, access_log.len, PROT_NONE);
    machine->uc_mcontext.gregs[REG_EFL] &= ~(greg_t)ACCESS_LOG_TRAP_FLAG;
}

/* From now on every access to [first, first + len), whole pages, is logged. */
static inline void access_log_begin(unsigned char *first, size_t len)
{
    struct sigaction fault;
    memset(&fault, 0, sizeof(fault));
    fault.sa_sigaction = access_log_fault;
    fault.sa_flags = SA_SIGINFO;
    struct sigaction stepped = fault;
    stepped.sa_sigaction = access_log_stepped;
    access_log.first = first;
    access_log.len = len;
    access_log.n = 0;
    REQUIRE(sigaction(SIGSEGV, &fault, NULL) == 0);
    REQUIRE(sigaction(SIGTRAP, &stepped, NULL) == 0);
    REQUIRE(mprotect(first, len, PROT_NONE) == 0);
}

static inline void access_log_end(void)
{
    REQUIRE(mprotect(access_log.first, access_log.len, PROT_READ | PROT_WRITE) == 0);
    access_log_default(SIGSEGV);
    access_log_default(SIGTRAP);
}

#endif
#endif
