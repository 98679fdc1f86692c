# SPDX-License-Identifier: MIT
"""What options each applet, or each of its commands, has: read from its --help, which the program makes from the table
that it parses by."""

import os
import re

from lab import read

SOURCE = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..'))
LIST = re.search(r'^applets = \[(.*)\]$', read(os.path.join(SOURCE, 'data', 'meson.build')), re.M).group(1)
APPLETS = tuple(re.findall(r"'(\w+)'", LIST))
# Of the applets whose first word is a command with options of its own.
COMMANDS = {'attest': ('request', 'install', 'verify', 'sign', 'check', 'ssh', 'serve', 'seal')}
# What stands in front of options: "keygen", "attest sign".
CALLS = tuple(f'{applet} {command}'.rstrip() for applet in APPLETS for command in COMMANDS.get(applet, ('',)))

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
    """For each of CALLS, its options."""
    return {call: read_help(lab.run(os.path.join(lab.bin, 'ssh-tpm'), *call.split(), '--help', status=0).stdout)
            for call in CALLS}


def unknown_options(text, options):
    """What the command lines in a text give to an applet that has no such option, or command: ["agent --colour"].

    A command line ends at a shell's separator, a quotation mark, or two spaces, behind which a table explains it."""
    wrong = []
    for applet, rest in COMMAND.findall(text):
        value_follows = False
        words = re.split(r' {2,}', rest.replace('\\e', ''))[0].split() if not rest.startswith('  ') else []
        if applet in COMMANDS and words and re.fullmatch('[a-z]+', words[0]):
            applet += ' ' + words.pop(0)
            if applet not in options:
                wrong.append(applet)
                continue
        for word in words if applet in options else []:
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
            elif applet in ('agent', 'attest check', 'attest ssh'):
                break  # a command, or a host and a command, with options of its own
    return wrong
