# SPDX-License-Identifier: Apache-2.0
# An overlay port, made from the repository that it lies in:
#
#   vcpkg install crossvm --overlay-ports=CROSSVM/cmake/packaging/vcpkg
#
# vcpkg looks for changes in this directory only: after changes elsewhere, remove and install again
# with --no-binarycaching. A port that lies elsewhere gets SOURCE_PATH from vcpkg_from_git.
get_filename_component(SOURCE_PATH "${CURRENT_PORT_DIR}/../../../.." ABSOLUTE)

# Headers have no debug build.
set(VCPKG_BUILD_TYPE release)

vcpkg_cmake_configure(
  SOURCE_PATH "${SOURCE_PATH}"
  OPTIONS
    -DCROSSVM_BUILD_TESTS=OFF
    -DCROSSVM_BUILD_EXAMPLES=OFF
    -DCROSSVM_BUILD_TOOLS=OFF
)
vcpkg_cmake_install()
vcpkg_cmake_config_fixup(CONFIG_PATH share/cmake/crossvm)
vcpkg_fixup_pkgconfig()

file(INSTALL "${CURRENT_PORT_DIR}/usage" DESTINATION "${CURRENT_PACKAGES_DIR}/share/${PORT}")
vcpkg_install_copyright(FILE_LIST "${SOURCE_PATH}/LICENSE")
