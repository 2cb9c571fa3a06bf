# SPDX-License-Identifier: Apache-2.0
# crossvm for Yocto: headers, which go into the -dev package and into the SDK.
#
# Where the sources come from is the layer's or local.conf's to say: either a tree of one's own,
#
#   INHERIT += "externalsrc"
#   EXTERNALSRC:pn-crossvm = "/path/to/crossvm"
#
# or an address in a crossvm_%.bbappend (with S, where the release of Yocto asks for it):
#
#   SRC_URI = "git://...;protocol=https;branch=main"
#   SRCREV = "..."
SUMMARY = "Lock-free shared-memory primitives between virtual machines"
DESCRIPTION = "C11 headers with which virtual machines, cores and processes that see the same \
memory exchange state and streams without locks."
SECTION = "devel"
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://LICENSE;md5=3b83ef96387f14655fc854ddc3c6bd57"

inherit cmake

# A .pc file that says its prefix: older releases' pkg-config would put the sysroot twice.
EXTRA_OECMAKE = "-DCROSSVM_BUILD_TESTS=OFF -DCROSSVM_BUILD_EXAMPLES=OFF \
    -DCROSSVM_BUILD_TOOLS=OFF -DCROSSVM_PKGCONFIG_RELOCATABLE=OFF"

# Nothing is linked or run: the main package is empty, and the -dev package stands alone.
ALLOW_EMPTY:${PN} = "1"
RDEPENDS:${PN}-dev = ""

BBCLASSEXTEND = "native nativesdk"

python () {
    if not (d.getVar('SRC_URI') or '').strip() and not d.getVar('EXTERNALSRC'):
        raise bb.parse.SkipRecipe('say where its sources are: EXTERNALSRC or SRC_URI')
}
