#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the files that ssh-tpm can install as C++: embed.py NAME FILE [NAME FILE …] >OUT.cpp"""

import sys


def literal(content):
    """A string literal: what is not plain is in octal, which cannot swallow what follows it."""
    lines = []
    for line in content.splitlines(keepends=True):
        plain = (chr(byte) if 32 <= byte < 127 and byte not in b'"\\?' else f'\\{byte:03o}' for byte in line)
        lines.append('"' + ''.join(plain) + '"')
    return '\n        '.join(lines)


print('#include "applets/installation.hpp"\n\n#include <array>\n\nnamespace sshtpm::applets {\n')
print('namespace {\n\nconstexpr std::array embedded{')
for name, path in zip(sys.argv[1::2], sys.argv[2::2]):
    with open(path, 'rb') as file:
        print(f'    InstalledFile{{.name = "{name}", .text =\n        {literal(file.read())}}},')
print('};\n\n} // namespace\n')
print('std::span<const InstalledFile> installed_files() {\n    return embedded;\n}\n\n} // namespace sshtpm::applets')
