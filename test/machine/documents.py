# SPDX-License-Identifier: MIT
"""The commands and files that the documents tell people to type."""

import os
import re
import textwrap

from tree import SOURCES, Failed


def block(document, start):
    """The text of a document's indented block that begins so."""
    with open(os.path.join(SOURCES, document), encoding='utf-8') as file:
        text = file.read()
    for found in re.findall(r'(?m)^\n((?:(?:    .*)?\n)+)', text):
        found = textwrap.dedent(found).strip()
        if found.startswith(start):
            return found + '\n'
    raise Failed(f'{document} has no block that begins with: {start}')


def commands(document, start):
    """The commands of such a block, without comments."""
    return [re.sub(r'\s+# .*', '', line).strip() for line in block(document, start).splitlines()]


def one_of(lines, start):
    """The command of a document that begins so."""
    found = [line for line in lines if line.startswith(start)]
    if len(found) != 1:
        raise Failed(f'not one command "{start}" in:\n' + '\n'.join(lines))
    return found[0]
