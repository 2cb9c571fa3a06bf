# SPDX-License-Identifier: Apache-2.0
# Another architecture with Debian's cross compilers; its programs run in QEMU's user mode, unless
# CMAKE_CROSSCOMPILING_EMULATOR says otherwise (empty: this processor runs them).
#
#   cmake --toolchain cmake/toolchains/debian-cross.cmake -DCROSSVM_CROSS=s390x-linux-gnu ...
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES CROSSVM_CROSS)
string(REGEX MATCH "^[^-]+" processor "${CROSSVM_CROSS}")

set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR "${processor}")
set(CMAKE_C_COMPILER "${CROSSVM_CROSS}-gcc")

# QEMU's names of the processors are not always the compilers'.
string(REGEX REPLACE "^powerpc64le$" "ppc64le" emulated "${processor}")
string(REGEX REPLACE "^powerpc$" "ppc" emulated "${emulated}")
string(REGEX REPLACE "^i686$" "i386" emulated "${emulated}")
if(NOT DEFINED CMAKE_CROSSCOMPILING_EMULATOR)
  set(CMAKE_CROSSCOMPILING_EMULATOR "qemu-${emulated}")
endif()

# Linked statically: nothing of the other architecture need be installed to run a program, and
# QEMU 7.2 hangs in semaphores of i386's shared C library.
set(CMAKE_EXE_LINKER_FLAGS_INIT "-static")

set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
