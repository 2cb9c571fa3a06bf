# SPDX-License-Identifier: Apache-2.0
"""crossvm as a Conan 2 package, made from the repository that this file lies in:

    conan create cmake/packaging/conan

A package for a remote carries its sources with it; nothing is fetched.
"""
import re
from pathlib import Path

from conan import ConanFile
from conan.tools.files import copy
from conan.tools.layout import basic_layout

required_conan_version = ">=2.0"


class CrossvmConan(ConanFile):
    name = "crossvm"
    description = "Lock-free shared-memory primitives between virtual machines"
    license = "Apache-2.0"
    topics = ("shared-memory", "lock-free", "virtualization", "header-only")
    package_type = "header-library"
    no_copy_source = True

    def _top(self):
        return Path(self.recipe_folder).parents[2]

    def set_version(self):
        version_h = (self._top() / "include" / "crossvm" / "version.h").read_text()
        self.version = re.search(r'CROSSVM_VERSION_STRING "([0-9.]+)"', version_h).group(1)

    def export_sources(self):
        for pattern in ("include/*", "LICENSE"):
            copy(self, pattern, src=self._top(), dst=self.export_sources_folder)

    def layout(self):
        basic_layout(self)

    def package_id(self):
        self.info.clear()  # headers are the same for every compiler and processor

    def package(self):
        copy(self, "*", src=Path(self.source_folder) / "include",
             dst=Path(self.package_folder) / "include")
        copy(self, "LICENSE", src=self.source_folder, dst=Path(self.package_folder) / "licenses")

    def package_info(self):
        self.cpp_info.bindirs = []
        self.cpp_info.libdirs = []
        self.cpp_info.set_property("cmake_file_name", "crossvm")
        self.cpp_info.set_property("cmake_target_name", "crossvm::crossvm")
        self.cpp_info.set_property("pkg_config_name", "crossvm")
