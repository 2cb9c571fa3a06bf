/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in for tx_api.h of ThreadX: the declarations that docs/PORTING.md uses, as the system
 * documents them. For compiling only. */
#ifndef STAND_IN_THREADX_TX_API_H
#define STAND_IN_THREADX_TX_API_H

typedef unsigned int UINT;
typedef unsigned long ULONG;

typedef struct TX_EVENT_FLAGS_GROUP_STRUCT {
    ULONG tx_event_flags_group_current;
} TX_EVENT_FLAGS_GROUP;

#define TX_SUCCESS                ((UINT)0x00)
#define TX_NO_EVENTS              ((UINT)0x07)
#define TX_OR                     ((UINT)0)
#define TX_OR_CLEAR               ((UINT)1)
#define TX_WAIT_FOREVER           ((ULONG)0xffffffffu)
#define TX_TIMER_TICKS_PER_SECOND ((ULONG)100)

ULONG tx_time_get(void);
UINT tx_event_flags_set(TX_EVENT_FLAGS_GROUP *group_ptr, ULONG flags_to_set, UINT set_option);
UINT tx_event_flags_get(TX_EVENT_FLAGS_GROUP *group_ptr, ULONG requested_flags, UINT get_option,
                        ULONG *actual_flags_ptr, ULONG wait_option);

#endif
