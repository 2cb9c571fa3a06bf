/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the models do, step by step: one side takes or pushes, kicks and waits, in every situation of
 * a small queue, and each access is printed. header.c prints the same of the shipped headers.
 */
#define TRACE
#define CAPACITY 8
#define MODULUS 32
#define LAZY 2
byte script;
byte n_sleeps;

/* What happens to one who sleeps. header.c has the same list. */
#define script_sleep(side, other) \
    d_step { \
        printf("sleep\n"); \
        n_sleeps++; \
        if \
        :: script == 1 && n_sleeps == 1 -> mem[MODE_WORD(other)] = MODE_EVENT \
        :: script == 2 && side == CONSUMER && AHEAD(mem[p_index], c_head) < CAPACITY -> \
            mem[p_index] = (mem[p_index] + 1) % MODULUS \
        :: script == 2 && side == PRODUCER && mem[c_index] != p_tail -> \
            mem[c_index] = (mem[c_index] + 1) % MODULUS \
        :: script == 3 && n_sleeps == 1 && timed -> over = true \
        :: else -> too_late = true; over = true \
        fi \
    }

#include "pipe.pml"

/* Both sides stand at index 0, and n elements lie in the queue. */
inline begin(n, mode_of_peer)
{
    d_step {
        c_head = 0;
        c_tail = 0;
        c_published = 0;
        c_old = 0;
        p_tail = n;
        p_head = 0;
        p_old = n;
        mem[c_index] = 0;
        mem[p_index] = n;
        mem[c_event] = 0;
        mem[p_event] = 0;
        mem[c_mode] = mode_of_peer;
        mem[p_mode] = mode_of_peer;
        n_sleeps = 0
    }
}

init {
    PRIVATE;
    byte n, peer;
    for (n : 0 .. CAPACITY) {
        for (peer : 0 .. 2) {
            for (script : 0 .. 3) {
                byte wanted;
                for (wanted : 1 .. CAPACITY) {
                    byte side;
                    for (side : 0 .. 2) {
                        begin(n, peer);
                        printf("of %d, mode %d, script %d, want %d, side %d\n", n, peer, script,
                               wanted, side);
                        with_delay = side == 2;
                        want = wanted;
                        if
                        :: side == PRODUCER ->
                            if
                            :: n < CAPACITY -> tx_push(1)
                            :: else
                            fi;
                            tx_kick();
                            tx_wait(want, answer)
                        :: else ->
                            rx_fill();
                            if
                            :: n > 0 -> rx_take()
                            :: else
                            fi;
                            rx_kick();
                            rx_wait(want, answer)
                        fi;
                        printf("answer %d\n", answer);
                        FORGET
                    }
                }
            }
        }
    }
}
