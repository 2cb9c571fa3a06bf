#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What can be said of the packaging recipes without their tools: each is well-formed, tells the
version of include/crossvm/version.h, and names files and options that exist. So does the manual.

usage: recipes.py SOURCE_DIR [CC]      Status 0 or 1.
"""
import fnmatch
import hashlib
import importlib.util
import json
import pathlib
import re
import sys
import types

failures = []


def check(holds, what):
    if not holds:
        failures.append(what)


def single(pattern, text, what):
    """What the pattern's group finds, which has to be there exactly once."""
    found = re.findall(pattern, text, re.MULTILINE)
    check(len(found) == 1, f"{what}: found {len(found)} times")
    return found[0] if found else ""


def check_options(root, path):
    """Every -DCROSSVM_... that a recipe passes is an option of the build."""
    build = (root / "CMakeLists.txt").read_text() + (root / "cmake/Install.cmake").read_text()
    known = set(re.findall(r"^option\((CROSSVM_\w+)", build, re.MULTILINE))
    for name in re.findall(r"-D(CROSSVM_\w+)=", path.read_text()):
        check(name in known, f"{path.relative_to(root)}: {name} is no option")


# ---- Meson, vcpkg, Yocto -------------------------------------------------------------------------


def check_meson(root, version):
    text = (root / "meson.build").read_text()
    check(single(r"^  version: '([^']*)'", text, "meson.build's version") == version,
          "meson.build: another version")
    for folder in re.findall(r"(?:install_subdir|include_directories)\('([^']+)'", text):
        check((root / folder).is_dir(), f"meson.build: there is no {folder}")


def check_vcpkg(root, version):
    port = root / "cmake/packaging/vcpkg/crossvm"
    manifest = json.loads((port / "vcpkg.json").read_text())
    check(manifest["name"] == port.name, "vcpkg.json: another name than its directory")
    check(manifest["version"] == version, "vcpkg.json: another version")
    portfile = (port / "portfile.cmake").read_text()
    up = single(r'\(SOURCE_PATH "\$\{CURRENT_PORT_DIR\}/([./]+)" ABSOLUTE\)', portfile,
                "portfile.cmake's SOURCE_PATH")
    check((port / up).resolve() == root, "portfile.cmake: SOURCE_PATH is not the repository")
    for base, name in re.findall(r"\$\{(SOURCE_PATH|CURRENT_PORT_DIR)\}/(\w+)", portfile):
        check(((port if base == "CURRENT_PORT_DIR" else root) / name).is_file(),
              f"portfile.cmake: there is no {name}")
    check_options(root, port / "portfile.cmake")


def check_yocto(root, version):
    recipes = list((root / "cmake/packaging/yocto").iterdir())
    check([recipe.name for recipe in recipes] == [f"crossvm_{version}.bb"],
          f"cmake/packaging/yocto: expected only crossvm_{version}.bb")
    text = recipes[0].read_text()
    name, md5 = single(r'^LIC_FILES_CHKSUM = "file://(\w+);md5=(\w+)"$', text, "LIC_FILES_CHKSUM")
    licence = hashlib.md5((root / name).read_bytes()).hexdigest()
    check(md5 == licence, f"{recipes[0].name}: {name} has the MD5 {licence}")
    code = text.replace("\\\n", " ")
    code = re.sub(r"^python .*?^}$", "", code, flags=re.MULTILINE | re.DOTALL)
    for line in code.splitlines():
        check(re.fullmatch(r'#.*|inherit [\w ]+|[\w:${}-]+ [?+]?= "[^"]*"|', line),
              f"{recipes[0].name}: not understood: {line}")
    check_options(root, recipes[0])


# ---- Conan: the recipe is run with stand-ins for Conan's own modules -----------------------------


def conan_stand_ins(copies):
    """The modules that the recipe imports; copy() only notes what it was asked for."""
    def module(name, **contents):
        made = types.ModuleType(name)
        made.__dict__.update(contents)
        sys.modules[name] = made

    module("conan", ConanFile=object)
    module("conan.tools")
    module("conan.tools.files",
           copy=lambda recipe, pattern, src, dst: copies.append((pattern, src)))
    module("conan.tools.layout", basic_layout=lambda recipe: None)


def check_conan(root, version):
    folder = root / "cmake/packaging/conan"
    test_package = folder / "test_package/conanfile.py"
    compile(test_package.read_text(), str(test_package), "exec")
    copies = []
    conan_stand_ins(copies)
    sys.dont_write_bytecode = True
    spec = importlib.util.spec_from_file_location("conanfile", folder / "conanfile.py")
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    recipe = loaded.CrossvmConan()
    recipe.recipe_folder = str(folder)
    recipe.export_sources_folder = "export"
    recipe.set_version()
    check(recipe.name == "crossvm" and recipe.version == version, "conanfile.py: another version")
    recipe.export_sources()
    check(len(copies) == 2, "conanfile.py: expected the headers and the licence")
    files = [file.relative_to(root).as_posix() for file in root.glob("include/**/*")]
    for pattern, src in copies:
        check(pathlib.Path(src) == root and fnmatch.filter(files + ["LICENSE"], pattern),
              f"conanfile.py: there is no {src}/{pattern}")


# ---- Zephyr --------------------------------------------------------------------------------------


def parse_mapping(text):
    """The part of YAML that a module.yml needs: mappings in two levels. Paths to values."""
    values = {}
    parent = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if not line or line.startswith("#"):
            continue
        entry = re.fullmatch(r"(  )?([a-z]+):(?: ([\w/.-]+))?", line)
        if not entry or (entry[1] and not parent):
            check(False, f"zephyr/module.yml:{number}: not understood: {line}")
        elif entry[3] is None:
            parent = entry[2]
        else:
            values[f"{parent}.{entry[2]}" if entry[1] else entry[2]] = entry[3]
            parent = parent if entry[1] else ""
    return values


def check_zephyr(root):
    module = parse_mapping((root / "zephyr/module.yml").read_text())
    check(sorted(module) == ["build.cmake", "build.kconfig", "name"],
          f"zephyr/module.yml: it says {module}")
    kconfig = (root / module["build.kconfig"]).read_text()
    script = root / module["build.cmake"] / "CMakeLists.txt"
    symbol = single(r"^config (\w+)$", kconfig, "zephyr/Kconfig's symbol")
    used = single(r"^if\(CONFIG_(\w+)\)$", script.read_text(), "the symbol in CMakeLists.txt")
    check(symbol == used, f"zephyr: {symbol} in Kconfig, {used} in CMakeLists.txt")
    include = single(r"zephyr_include_directories\(([\w./]+)\)", script.read_text(), "the headers")
    check((script.parent / include / "crossvm/crossvm.h").is_file(), f"zephyr: no {include}")


def main():
    if len(sys.argv) not in (2, 3):
        print("usage: recipes.py SOURCE_DIR [CC]")
        return 2
    root = pathlib.Path(sys.argv[1]).resolve()
    version = single(r'^#define CROSSVM_VERSION_STRING "([^"]*)"',
                     (root / "include/crossvm/version.h").read_text(), "version.h")
    check_meson(root, version)
    check_vcpkg(root, version)
    check_yocto(root, version)
    check_conan(root, version)
    check_zephyr(root)
    manual = single(r"^find_package\(crossvm ([\d.]+)", (root / "docs/MANUAL.md").read_text(),
                    "docs/MANUAL.md's find_package")
    check(version.startswith(manual + "."), "docs/MANUAL.md: find_package wants another version")
    for failure in failures:
        print(failure)
    print(f"recipes for version {version}: {len(failures)} faults")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
