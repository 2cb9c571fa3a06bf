# SPDX-License-Identifier: Apache-2.0
# What is installed: the headers, and how CMake and pkg-config find them. Nothing depends on the
# processor, so all of it goes below include/ and share/. (The tools: tools/CMakeLists.txt.)
include(CMakePackageConfigHelpers)

# The usual places; GNUInstallDirs would want a compiler, to know what libdir is called.
if(NOT CMAKE_INSTALL_INCLUDEDIR)
  set(CMAKE_INSTALL_INCLUDEDIR include)
endif()
if(NOT CMAKE_INSTALL_DATADIR)
  if(CMAKE_INSTALL_DATAROOTDIR)
    set(CMAKE_INSTALL_DATADIR "${CMAKE_INSTALL_DATAROOTDIR}")
  else()
    set(CMAKE_INSTALL_DATADIR share)
  endif()
endif()

install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/crossvm"
  DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" COMPONENT crossvm)

# ---- CMake ---------------------------------------------------------------------------------------

set(config_dir "${CMAKE_INSTALL_DATADIR}/cmake/crossvm")
target_include_directories(crossvm INTERFACE "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>")
install(TARGETS crossvm EXPORT crossvm COMPONENT crossvm)
install(EXPORT crossvm NAMESPACE crossvm:: FILE crossvmTargets.cmake
  DESTINATION "${config_dir}" COMPONENT crossvm)

# Before 1.0 a minor version may change the interface.
if(PROJECT_VERSION_MAJOR EQUAL 0)
  set(compatibility SameMinorVersion)
else()
  set(compatibility SameMajorVersion)
endif()
write_basic_package_version_file("${CMAKE_CURRENT_BINARY_DIR}/crossvmConfigVersion.cmake"
  COMPATIBILITY ${compatibility} ARCH_INDEPENDENT)
configure_package_config_file("${CMAKE_CURRENT_LIST_DIR}/crossvmConfig.cmake.in"
  "${CMAKE_CURRENT_BINARY_DIR}/crossvmConfig.cmake" INSTALL_DESTINATION "${config_dir}")
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/crossvmConfig.cmake"
  "${CMAKE_CURRENT_BINARY_DIR}/crossvmConfigVersion.cmake"
  DESTINATION "${config_dir}" COMPONENT crossvm)

# ---- pkg-config ----------------------------------------------------------------------------------

# The prefix is said relative to the .pc file, so that the installed tree can be moved, and
# "cmake --install --prefix" may name another one. Off for tools that put a sysroot in front of
# such a path a second time (pkg-config 0.29; pkgconf does not).
option(CROSSVM_PKGCONFIG_RELOCATABLE "The pkg-config file finds the headers from where it lies" ON)
if(CROSSVM_PKGCONFIG_RELOCATABLE AND NOT IS_ABSOLUTE "${CMAKE_INSTALL_DATADIR}")
  file(RELATIVE_PATH pc_prefix "/prefix/${CMAKE_INSTALL_DATADIR}/pkgconfig" "/prefix")
  string(REGEX REPLACE "/$" "" pc_prefix "\${pcfiledir}/${pc_prefix}")
else()
  string(REPLACE " " "\\ " pc_prefix "${CMAKE_INSTALL_PREFIX}")
endif()
if(IS_ABSOLUTE "${CMAKE_INSTALL_INCLUDEDIR}")
  string(REPLACE " " "\\ " pc_includedir "${CMAKE_INSTALL_INCLUDEDIR}")
else()
  set(pc_includedir "\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}")
endif()
configure_file("${CMAKE_CURRENT_LIST_DIR}/crossvm.pc.in"
  "${CMAKE_CURRENT_BINARY_DIR}/crossvm.pc" @ONLY)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/crossvm.pc"
  DESTINATION "${CMAKE_INSTALL_DATADIR}/pkgconfig" COMPONENT crossvm)
