#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Each place that names the applets has those of the list in data/meson.build."""

import glob
import os
import re
import unittest

from applet_options import APPLETS, SOURCE
from lab import Scenario, read

# Where all of them are named. A line there that names all but one of them is a list that has missed one, but for the
# loops of completions over the applets that share an option.
PLACES = ('README.md', 'applets/applets.hpp', 'applets/main.cpp', 'data/man/meson.build',
          'data/man/ssh-tpm.1', 'data/completions/_ssh-tpm', 'data/completions/ssh-tpm.bash',
          'data/completions/ssh-tpm.fish', 'test/scenario/documents.py', 'test/scenario/option_modes.py')


def missing(text, applets):
    """What is wrong in a text that has to name all applets: ["hostkeys"], ["hostkeys in line 3"]."""
    named = [set() if line.startswith('for applet in') else
             {name for name in applets if re.search(rf'(?<![a-z]){name}(?![a-z])', line)} for line in text.split('\n')]
    return ([name for name in applets if not any(name in line for line in named)] +
            [f'{name} in line {number}' for number, line in enumerate(named, 1) for name in applets
             if line == set(applets) - {name}])


class AppletNames(Scenario):
    def test_the_program_lists_them_in_this_order(self):
        shown = self.lab.run(os.path.join(self.lab.bin, 'ssh-tpm'), 'help', status=0).stdout
        self.assertEqual(tuple(re.findall(r'(?m)^  (\w+) ', shown)), APPLETS)

    def test_each_has_its_link_beside_the_program(self):
        links = glob.glob(os.path.join(self.lab.bin, 'ssh-tpm-*'))
        self.assertEqual({os.path.basename(path) for path in links}, {f'ssh-tpm-{name}' for name in APPLETS})

    def test_each_place_names_them_all(self):
        wrong = {place: missing(read(os.path.join(SOURCE, place)), APPLETS) for place in PLACES}
        self.assertEqual({place: names for place, names in wrong.items() if names}, {})

    def test_a_name_that_is_missing_is_found(self):
        self.assertEqual(missing('keygen agent\nadd hostkeys attest doctor address', APPLETS), [])
        self.assertEqual(missing('keygen, agents, add, hostkeys, attest, doctor', APPLETS), ['agent', 'agent in line 1'])
        self.assertEqual(missing('keygen|agent|add|attest|doctor\nhostkeys', APPLETS), ['hostkeys in line 1'])


if __name__ == '__main__':
    unittest.main()
