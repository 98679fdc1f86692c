# SPDX-License-Identifier: MIT
"""The JSON object that `doctor --json` and `hostkeys --check --json` print (src/cli/findings.hpp)."""

import json
import os
import re
import unittest

from applet_options import SOURCE
from lab import read

STATUS = {'ok': 0, 'warn': 3, 'fail': 1}


def read_findings(result):
    """The object, after it and the exit status are checked."""
    test = unittest.TestCase()
    test.assertEqual((result.stderr, result.stdout.count('\n')), ('', 1))
    whole = json.loads(result.stdout)
    test.assertEqual(set(whole), {'version', 'status', 'checks'})
    test.assertEqual((whole['version'], STATUS[whole['status']]), (1, result.returncode))
    found = {check['status'] for check in whole['checks']}
    test.assertEqual(whole['status'], next(word for word in ('fail', 'warn', 'ok') if word in found))
    names = documented_checks() + documented_checks('ssh-tpm-hostkeys.8')
    for check in whole['checks']:
        test.assertEqual(set(check), {'check', 'subject', 'status', 'text', 'hint'})
        test.assertEqual(bool(check['hint']), check['status'] != 'ok', check)
        test.assertIn(check['check'], names)
    return whole


def documented_checks(page='ssh-tpm-doctor.1'):
    """The names in a manual's list."""
    page = read(os.path.join(SOURCE, 'data', 'man', page))
    section = re.search(r'^\.Ss Checks\n(.*?)^\.S[sh] ', page, re.S | re.M).group(1)
    return re.findall(r'(?m)^\.It Cm ([a-z0-9-]+)$', section)
