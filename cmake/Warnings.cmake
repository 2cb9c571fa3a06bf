# SPDX-License-Identifier: Apache-2.0
# What every program of this project is compiled with; the library's users choose their own flags.
set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)

set(CROSSVM_SANITIZE "" CACHE STRING "address (with undefined), thread, or empty")

add_library(crossvm_program INTERFACE)
target_link_libraries(crossvm_program INTERFACE crossvm::crossvm)
target_compile_options(crossvm_program INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror)

if(CROSSVM_SANITIZE STREQUAL "address")
  set(sanitize -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
elseif(CROSSVM_SANITIZE STREQUAL "thread")
  set(sanitize -fsanitize=thread)
  if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
    # gcc warns that its thread sanitizer knows no fences; atomic.h tells it about them.
    target_compile_options(crossvm_program INTERFACE -Wno-tsan)
  endif()
elseif(NOT CROSSVM_SANITIZE STREQUAL "")
  message(FATAL_ERROR "CROSSVM_SANITIZE: expected address, thread or nothing")
endif()
if(sanitize)
  target_compile_options(crossvm_program INTERFACE ${sanitize})
  target_link_options(crossvm_program INTERFACE ${sanitize})
endif()
