# SPDX-License-Identifier: MIT
"""What options each applet has: read from its --help, which the program makes from the table that it parses by."""

import os
import re

from lab import read

SOURCE = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..'))
LIST = re.search(r'^applets = \[(.*)\]$', read(os.path.join(SOURCE, 'data', 'meson.build')), re.M).group(1)
APPLETS = tuple(re.findall(r"'(\w+)'", LIST))

ENTRY = re.compile(r'  (?:(-\w)(?:, (--[a-z][a-z-]*))?|    (--[a-z][a-z-]*))( [A-Z0-9]+)?(?:  +\S.*)?')
COMMAND = re.compile(rf'\bssh-tpm[ -]({"|".join(APPLETS)})(?=[ \n`"\')]|$)([^\n`#|;&)"]*)')


def read_help(text):
    """The options in a help text: a dict from "-t" or "--tcti" to whether it takes a value."""
    options = {}
    blocks = text.split('\n\n')
    (table,) = [block for block in blocks if re.match(r' +-', block)]
    for line in table.rstrip('\n').split('\n'):
        if line.startswith(' ' * 20):  # a help that goes on
            continue
        entry = ENTRY.fullmatch(line)
        if not entry:
            raise ValueError(f'an odd line in the help: {line!r}')
        for name in entry.groups()[:3]:
            if name in options:
                raise ValueError(f'{name} is there twice')
            if name:
                options[name] = entry.group(4) is not None
    return options


def options_of(lab):
    """For each applet, its options."""
    return {applet: read_help(lab.run(os.path.join(lab.bin, 'ssh-tpm'), applet, '--help', status=0).stdout)
            for applet in APPLETS}


def unknown_options(text, options):
    """What the command lines in a text give to an applet that has no such option: ["agent --colour"].

    A command line ends at a shell's separator, a quotation mark, or two spaces, behind which a table explains it."""
    wrong = []
    for applet, rest in COMMAND.findall(text):
        value_follows = False
        for word in re.split(r' {2,}', rest.replace('\\e', ''))[0].split() if not rest.startswith('  ') else []:
            if value_follows:
                value_follows = False
            elif word.startswith('-') and word != '-':
                name, equals, _ = word.partition('=')
                if name in options[applet]:
                    value_follows = options[applet][name] and not equals
                elif re.fullmatch(r'-\w+', word) and all('-' + letter in options[applet] for letter in word[1:]):
                    value_follows = options[applet]['-' + word[-1]]  # -lvf FILE
                else:
                    wrong.append(f'{applet} {word}')
            elif applet == 'agent':
                break  # a command, whose options are its own
    return wrong
