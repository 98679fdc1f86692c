#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks which module uses which, which library is used where, and that files have what each must have.

usage: layering.py [ROOT]     check the tree (default: the one this file is in)
       layering.py --self-test  show on a made-up tree that each rule can fail
"""

import re
import sys
import tempfile
from pathlib import Path

# From user to used. Nothing points back, and a module that is not named here is refused.
MODULES = {
    "applets": {"cli", "agent", "attest", "protocol", "identity", "prompt", "os", "tpm", "keyfile", "ssh", "base"},
    "agent": {"protocol", "identity", "prompt", "tpm", "ssh", "wire", "os", "base"},
    "protocol": {"ssh", "wire", "os", "base"},
    "attest": {"identity", "tpm", "keyfile", "ssh", "wire", "base"},
    "identity": {"tpm", "keyfile", "ssh", "base"},
    "tpm": {"keyfile", "os", "base"},
    "keyfile": {"der", "base"},
    "ssh": {"wire", "base"},
    "prompt": {"os", "base"},
    "cli": {"base"},
    "wire": {"base"},
    "der": {"base"},
    "os": {"base"},
    "base": set(),
}

# The folders that may include headers of a library, by how the header's name begins.
LIBRARIES = {
    "botan/": {"ssh"},
    "boost/asio": {"agent", "prompt"},
    "boost/json": {"attest"},
    "boost/system": {"agent", "prompt", "attest"},
    "tss2/": {"keyfile", "tpm", "identity", "attest"},
    "openssl/": {"ssh", "keyfile", "attest", "base"},
    "base/openssl.hpp": {"ssh", "keyfile", "attest", "base"},
    "sodium": {"base", "attest"},
    "seccomp.h": {"os"},
}

LONGEST_FILE = 500
LICENCE = "SPDX-License-Identifier: MIT"
# Folders and files that need no line of the licence: vectors are data, and the licence is itself. Two of Debian's files
# have no place for one; debian/ is a copy in which a package is built.
UNMARKED = re.compile(r"(build.*|\.git|subprojects/(?!packagefiles/|.*\.wrap$).*|test/fuzz/corpus|LICENSE|debian"
                      r"|data/packaging/debian/(changelog|source/format)"
                      r"|test/data(?!.*\.(py|sh|md)$)|(.*/)?__pycache__)(/.*)?")
# GCC 12 has these in many other headers, later releases have not; and a file that is compiled together with others
# has theirs.
NEEDED = {header: re.compile(words) for header, words in {
    "cerrno": r"\berrno\b",
    "csignal": r"\bSIG(?:CHLD|HUP|INT|KILL|PIPE|QUIT|TERM)\b",
    "cstdint": r"\bstd::u?int(?:\d+|ptr|max)_t\b",
    "fcntl.h": r"\b(?:AT_FDCWD|O_(?:CLOEXEC|CREAT|DIRECTORY|NOFOLLOW|NONBLOCK|PATH|RDONLY|RDWR|WRONLY))\b",
    "poll.h": r"\b(?:pollfd|POLLIN|POLLOUT)\b",
}.items()}
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]')
TABLE_ROW = re.compile(r"^\| `(\w+)/?` \|.*\| ([^|]*) \|$", re.M)
MODULE_DEP = re.compile(r"\b(%s)_dep\b" % "|".join(MODULES))


def module_of(root, path):
    """'ssh' for src/ssh/…, 'applets' for applets/…"""
    parts = path.relative_to(root).parts
    return parts[1] if parts[0] == "src" else parts[0]


def sources(root):
    for folder in ("src", "applets"):
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in (".hpp", ".cpp"):
                yield path


def tests(root):
    """Vectors in test/data are as long as they are."""
    for path in sorted((root / "test").rglob("*")):
        if path.suffix in (".hpp", ".cpp", ".py") and path.relative_to(root).parts[1] != "data":
            yield path


def faults_of_length(lines):
    if len(lines) > LONGEST_FILE:
        yield LONGEST_FILE + 1, f"longer than {LONGEST_FILE} lines"


def faults_of_licence(root):
    for path in sorted(root.rglob("*")):
        if path.is_file() and not UNMARKED.fullmatch(path.relative_to(root).as_posix()):
            if LICENCE not in path.read_text(encoding="utf-8"):
                yield path, 1, f"has no line with {LICENCE}"


def faults_of_needed(lines):
    for header, words in NEEDED.items():
        for number, line in enumerate(lines, 1):
            if words.search(line.partition("//")[0]) and f"#include <{header}>" not in lines:
                yield number, f"this line needs <{header}>"
                break


def faults_of_include(module, header):
    target = header.split("/")[0]
    if "/" in header and target in MODULES and target != module and target not in MODULES[module]:
        yield f"{module} must not use {target}: {header}"
    if header.startswith("../"):
        yield f'includes are written "module/file.hpp": {header}'
    for prefix, allowed in LIBRARIES.items():
        if header.startswith(prefix) and module not in allowed:
            yield f"{prefix.rstrip('/')} belongs to {', '.join(sorted(allowed))} alone: {header}"


def faults_of_source(root, path):
    module = module_of(root, path)
    if module not in MODULES:
        yield 1, f"{module} is no module of the table"
        return
    lines = path.read_text(encoding="utf-8").splitlines()
    yield from faults_of_length(lines)
    yield from faults_of_needed(lines)
    casts_bytes = path.relative_to(root).parts[:2] == ("src", "base") and path.stem == "bytes"
    for number, line in enumerate(lines, 1):
        include = INCLUDE.match(line)
        if include:
            for fault in faults_of_include(module, include.group(1)):
                yield number, fault
        if "reinterpret_cast" in line and not casts_bytes:
            yield number, "reinterpret_cast is for src/base/bytes alone"


def uses_in_module(root, module):
    """Which others a file includes, and where: a header and the source of its name are one file."""
    uses = {}
    for path in sources(root):
        if module_of(root, path) != module:
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            include = INCLUDE.match(line)
            used = Path(include.group(1)) if include else Path()
            if used.parent.name == module and used.stem != path.stem:
                uses.setdefault(path.stem, {}).setdefault(used.stem, (path, number))
    return uses


def faults_of_cycles(root, module):
    uses = uses_in_module(root, module)
    for stem in sorted(uses):
        for used, (path, number) in uses[stem].items():
            if leads_to(uses, used, stem):
                yield path, number, f"{used} leads back to {stem}: files of a module do not include each other"


def leads_to(uses, start, end):
    seen, ahead = set(), [start]
    while ahead:
        stem = ahead.pop()
        if stem == end:
            return True
        if stem not in seen:
            seen.add(stem)
            ahead += uses.get(stem, {})
    return False


def faults_of_meson(root, path):
    module = module_of(root, path)
    if module not in MODULES:
        yield 1, f"{module} is no module of the table"
        return
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        for used in MODULE_DEP.findall(line.split("#")[0]):
            if used != module and used not in MODULES[module]:
                yield number, f"{module} must not link {used}_dep"


def faults_of_table(path):
    """docs/architecture.md tells people what MODULES tells this program."""
    rows = {module: {used for used in uses.split(", ") if used in MODULES}
            for module, uses in TABLE_ROW.findall(path.read_text(encoding="utf-8")) if module in MODULES}
    for module, used in MODULES.items():
        if rows.get(module) != used:
            yield 1, f"the table of modules must say that {module} uses {', '.join(sorted(used)) or 'no module'}"


def faults(root):
    found = list(faults_of_licence(root))
    for path in sources(root):
        found += [(path, *fault) for fault in faults_of_source(root, path)]
    for path in tests(root):
        lines = path.read_text(encoding="utf-8").splitlines()
        found += [(path, *fault) for fault in faults_of_length(lines)]
        found += [(path, *fault) for fault in faults_of_needed(lines) if path.suffix != ".py"]
    for module in sorted(MODULES):
        found += list(faults_of_cycles(root, module))
    for path in sorted([*root.glob("src/*/meson.build"), *root.glob("applets/meson.build")]):
        found += [(path, *fault) for fault in faults_of_meson(root, path)]
    table = root / "docs" / "architecture.md"
    if table.exists():
        found += [(table, *fault) for fault in faults_of_table(table)]
    return [f"{path.relative_to(root)}:{line}: {text}" for path, line, text in found]


TABLE = "".join(f"| `{module}` | | {', '.join(used) or 'libsodium'} |\n" for module, used in MODULES.items())

UNLICENSED = "\n"

# For the self-test: a file of a tree, its content after the licence, and whether it must be refused.
EXAMPLES = [
    ("src/agent/a.cpp", '#include "wire/reader.hpp"\n#include <boost/asio.hpp>\n', False),
    ("src/wire/a.cpp", '#include "ssh/public_key.hpp"\n', True),
    ("src/wire/b.cpp", '#  include <ssh/public_key.hpp>\n', True),
    ("src/wire/c.cpp", '#include "../base/bytes.hpp"\n', True),
    ("applets/a.cpp", '#include "agent/listener.hpp"\n', False),
    ("applets/c.cpp", "#include <boost/asio.hpp>\n", True),
    ("applets/b.cpp", '#include "wire/reader.hpp"\n', True),
    ("src/tpm/a.cpp", "#include <tss2/tss2_esys.h>\n#include <sys/socket.h>\n", False),
    ("src/tpm/b.cpp", "#include <openssl/evp.h>\n", True),
    ("src/tpm/c.cpp", "#include <boost/asio.hpp>\n", True),
    ("src/agent/b.cpp", "#include <tss2/tss2_esys.h>\n", True),
    ("src/ssh/a.cpp", "#include <openssl/evp.h>\n", False),
    ("src/ssh/b.cpp", "#include <sodium.h>\n", True),
    ("src/ssh/c.cpp", "#include <botan/ffi.h>\n", False),
    ("src/keyfile/a.cpp", "#include <botan/ffi.h>\n", True),
    ("src/base/bytes.cpp", "auto a = reinterpret_cast<char*>(b);\n", False),
    ("src/base/file.cpp", "auto a = reinterpret_cast<char*>(b);\n", True),
    ("src/os/a.cpp", "\n" * (LONGEST_FILE - 1), False),
    ("src/os/b.cpp", "\n" * LONGEST_FILE, True),
    ("test/scenario/a.py", "\n" * (LONGEST_FILE - 1), False),
    ("test/scenario/b.py", "\n" * LONGEST_FILE, True),
    ("test/ssh/a.cpp", "\n" * LONGEST_FILE, True),
    ("test/data/a.py", "\n" * LONGEST_FILE, False),
    ("src/attic/a.cpp", "int a;\n", True),
    ("src/os/c.cpp", "std::uint8_t a;\n", True),
    ("src/os/d.cpp", "#include <cstdint>\nstd::uint8_t a;\n", False),
    ("test/os/c.cpp", "std::uintptr_t a;\n", True),
    ("src/os/f.cpp", "int a = O_CLOEXEC;\n", True),
    ("src/os/f.cpp", "#include <fcntl.h>\nint a = O_CLOEXEC; // not errno\n", False),
    ("src/os/e.cpp", UNLICENSED, True),
    ("data/unit", UNLICENSED, True),
    ("test/data/a.pub", UNLICENSED, False),
    ("test/data/generate.py", UNLICENSED, True),
    ("subprojects/boost/a.hpp", UNLICENSED, False),
    ("subprojects/packagefiles/a/meson.build", UNLICENSED, True),
    ("src/ssh/meson.build", "ssh_dep = declare_dependency(dependencies: [wire_dep, base_dep])\n", False),
    ("src/wire/meson.build", "wire_lib = static_library('wire', dependencies: [base_dep, ssh_dep])\n", True),
    ("applets/meson.build", "executable('ssh-tpm', dependencies: [agent_dep, wire_dep])\n", True),
    ("docs/architecture.md", TABLE, False),
    ("docs/architecture.md", TABLE.replace("`wire` | | base", "`wire` | | base, os"), True),
    ("docs/architecture.md", TABLE.replace("| `der`", "| der"), True),
]


# Trees of several files, and whether they must be refused.
TREES = [
    ({"src/os/a.cpp": '#include "os/b.hpp"\n', "src/os/b.hpp": '#include "os/c.hpp"\n', "src/os/c.hpp": ""}, False),
    ({"src/os/a.hpp": '#include "os/b.hpp"\n', "src/os/b.hpp": '#include "os/a.hpp"\n'}, True),
    ({"src/os/a.cpp": '#include "os/b.hpp"\n', "src/os/b.cpp": '#include "os/c.hpp"\n',
      "src/os/c.hpp": '#include "os/a.hpp"\n'}, True),
    ({"src/os/a.cpp": '#include "base/a.hpp"\n', "src/base/a.hpp": ""}, False),
]


def self_test():
    wrong, trees = 0, [({name: content}, refused) for name, content, refused in EXAMPLES] + TREES
    for tree, refused in trees:
        with tempfile.TemporaryDirectory() as folder:
            for name, content in tree.items():
                path = Path(folder) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(content if content is UNLICENSED else f"# {LICENCE}\n{content}", encoding="utf-8")
            if bool(faults(Path(folder))) != refused:
                wrong += 1
                print(f"should be {'refused' if refused else 'accepted'}: {tree}")
    print(f"{len(trees)} examples, {wrong} wrong")
    return wrong


def main(arguments):
    if arguments == ["--self-test"]:
        return 1 if self_test() else 0
    root = Path(arguments[0]) if arguments else Path(__file__).resolve().parent.parent
    found = faults(root)
    if not list(sources(root)):
        found = [f"{root}: no sources"]
    print("\n".join(found) if found else "every file is where it belongs")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
