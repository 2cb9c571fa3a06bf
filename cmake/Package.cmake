# SPDX-License-Identifier: Apache-2.0
# "cpack" in a build directory makes libcrossvm-dev_VERSION_all.deb: what is installed but the tools,
# which are not for all processors, and the licence and changelog where Debian has them.

# A distributor says who answers for the package; there is no such address (".invalid") until then.
set(CPACK_PACKAGE_CONTACT "crossvm maintainers <maintainers@crossvm.invalid>"
  CACHE STRING "The maintainer of packages that cpack makes, Name <address>")

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME crossvm)
set(CPACK_PACKAGE_VERSION "${PROJECT_VERSION}")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_COMPONENTS_ALL crossvm debian)
set(CPACK_COMPONENTS_GROUPING ALL_COMPONENTS_IN_ONE)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_PRE_BUILD_SCRIPTS "${CMAKE_CURRENT_LIST_DIR}/packaging/debian/permissions.cmake")

set(CPACK_DEBIAN_PACKAGE_NAME libcrossvm-dev)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_ARCHITECTURE all)
set(CPACK_DEBIAN_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
"Headers with which virtual machines, cores and processes that see the same
memory exchange state (snapshots) and streams (queues) without locks, without
a kernel between them, and without trusting each other.
.
C11 and C++17; freestanding but for the backends.")

string(TIMESTAMP changelog_date "%a, %d %b %Y %H:%M:%S +0000" UTC)
configure_file("${CMAKE_CURRENT_LIST_DIR}/packaging/debian/changelog.in"
  "${CMAKE_CURRENT_BINARY_DIR}/changelog" @ONLY)
find_program(CROSSVM_GZIP gzip)
mark_as_advanced(CROSSVM_GZIP)
if(CROSSVM_GZIP)
  execute_process(COMMAND "${CROSSVM_GZIP}" -9cn
    INPUT_FILE "${CMAKE_CURRENT_BINARY_DIR}/changelog"
    OUTPUT_FILE "${CMAKE_CURRENT_BINARY_DIR}/changelog.gz")
  install(FILES "${CMAKE_CURRENT_BINARY_DIR}/changelog.gz"
    DESTINATION share/doc/libcrossvm-dev COMPONENT debian EXCLUDE_FROM_ALL)
endif()
install(FILES "${CMAKE_CURRENT_LIST_DIR}/packaging/debian/copyright"
  DESTINATION share/doc/libcrossvm-dev COMPONENT debian EXCLUDE_FROM_ALL)

include(CPack)
