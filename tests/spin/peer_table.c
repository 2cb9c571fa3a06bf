/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prints peer.h's table for peer.pml: what follows each state by each sign, so that the model goes by
 * the header's own.
 */
#include <crossvm/peer.h>

#include <stdio.h>

enum {
    N_STATES = 6,
    N_SIGNS = 7
};

int main(void)
{
    printf("inline follow(state, sign) {\n    if\n");
    for (uint32_t state = 0; state < N_STATES; state++) {
        for (uint32_t sign = 0; sign < N_SIGNS; sign++) {
            uint32_t next = crossvm_i_peer_next(state, sign);
            if (next != state) {
                printf("    :: state == %s && sign == %u -> state = %s\n",
                       crossvm_peer_state_name(state), sign, crossvm_peer_state_name(next));
            }
        }
    }
    printf("    :: else\n    fi\n}\n");
    return 0;
}
