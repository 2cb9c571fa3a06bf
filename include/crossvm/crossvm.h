/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crossvm/crossvm.h - layers 0 to 5 at once. Backends (crossvm/backend/) are included by name:
 * they are the only headers that need an operating system.
 */
#ifndef CROSSVM_CROSSVM_H
#define CROSSVM_CROSSVM_H

#include "version.h"
#include "status.h"
#include "compiler.h"
#include "cpu.h"
#include "atomic.h"
#include "copy.h"
#include "checksum.h"
#include "slots.h"
#include "layout.h"
#include "region.h"
#include "wake.h"
#include "bytes.h"
#include "snapshot.h"
#include "broadcast.h"
#include "pool.h"
#include "spsc.h"
#include "exchange.h"
#include "fanin.h"
#include "mpsc.h"
#include "peer.h"
#include "notify.h"
#include "clock.h"
#include "service/pipe.h"
#include "service/waitset.h"
#include "service/e2e.h"
#include "service/mac.h"

#endif
