#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The script tests of the Go program ssh-tpm-agent run against this program, and every line that fails is in a table
with the reason.

The scripts are read from the Go module cache, or from a checkout that SSH_TPM_GO_SOURCE names; without both, the tests
are skipped. They are scripts of rogpeppe/go-internal/testscript, of which Script knows the commands that they use.
"""

import collections
import fnmatch
import glob
import os
import re
import shlex
import shutil
import subprocess
import unittest

from stock import WithTpm
from swtpm import STORAGE_KEY

FOLDERS = 'cmd/ssh-tpm-agent/testdata/script', 'cmd/ssh-tpm-keygen/testdata/script'
# What the Go program that agent_password.txt builds does: it answers with a variable when it is asked for a passphrase.
ASKPASS = '#!/bin/sh\ncase $1 in *passphrase*) echo "$_ASKPASS_PASSWORD" ;; esac\n'

# Lines that fail here: the script and the line, then why this is intended, and the line that is run in its place if the
# script needs it. "(2)" behind a line is its second time only.
NO_TERMINAL = 'like ssh-keygen, it makes no key where nobody can be asked for a passphrase and -N is missing'
STDERR = 'ssh-add writes this to standard error, and so does ssh-tpm-add'
FIXED_TPM = 'the comment is another one; the fingerprint is that of a TPM within the Go tests, which cannot be had'
PIN = 'the question says PIN, and the askpass program of the script answers to "passphrase" alone'
DIFFERENT = {
    ('agent', 'exec ssh-tpm-keygen'): (NO_TERMINAL, "exec ssh-tpm-keygen -N ''"),
    ('agent', 'exec ssh-tpm-keygen -t rsa'): (NO_TERMINAL, "exec ssh-tpm-keygen -t rsa -N ''"),
    ('agent', 'stdout id_ecdsa.tpm'): (STDERR, 'stderr id_ecdsa.tpm'),
    ('agent', 'stdout id_rsa.tpm'): (STDERR, 'stderr id_rsa.tpm'),
    ('agent', 'stdout id_ecdsa-cert.pub'): (STDERR, 'stderr id_ecdsa-cert.pub'),
    ('agent_confirm', "grep 'Requested by ssh-keygen' askpass.log"): (
        'the question does not name the program, which gives itself its name', None),
    ('agent_hierarchy_keys', r"stdout 'EqZ4 Owner hierarchy key \(RSA\)'"): (
        FIXED_TPM, r"stdout 'owner rsa host key \(RSA\)'"),
    ('agent_hierarchy_keys', r"stdout 'lCPg Owner hierarchy key \(ECDSA\)'"): (
        FIXED_TPM, r"stdout 'owner ecdsa host key \(ECDSA\)'"),
    ('agent_password', 'stdout id_ecdsa.tpm'): (STDERR, 'stderr id_ecdsa.tpm'),
    ('agent_password', 'exec ssh-keygen -Y sign -n file -f .ssh/id_ecdsa.pub file_to_sign.txt'): (PIN, None),
    ('agent_password', 'exec ssh-keygen -Y check-novalidate -n file -f .ssh/id_ecdsa.pub -s file_to_sign.txt.sig'): (
        PIN, None),
    ('agent_password', 'exists file_to_sign.txt.sig'): (PIN, None),
    ('keygen', 'exec ssh-tpm-keygen'): (NO_TERMINAL, "exec ssh-tpm-keygen -N ''"),
    ('keygen', 'exec ssh-tpm-keygen (2)'): (  # ssh-keygen makes no .ssh for a relative name either
        NO_TERMINAL, '''exec sh -c "mkdir .ssh && ssh-tpm-keygen -N '' -f .ssh/new_name"'''),
    ('keygen', 'exec ssh-tpm-keygen -t rsa'): (NO_TERMINAL, "exec ssh-tpm-keygen -t rsa -N ''"),
    ('keygen', 'exec ssh-tpm-keygen -p -N 1234 -P 12345 -f .ssh/id_ecdsa.tpm'): (
        'the Go program has the old and the new PIN swapped; ours is as ssh-keygen',
        'exec ssh-tpm-keygen -p -P 1234 -N 12345 -f .ssh/id_ecdsa.tpm'),
    ('keygen', 'exec ssh-tpm-keygen --import id_ecdsa -f id_ecdsa_tpm'): (
        NO_TERMINAL, "exec ssh-tpm-keygen --import id_ecdsa -f id_ecdsa_tpm -N ''"),
    ('keygen', 'exec ssh-tpm-keygen --wrap-with srk.pem --wrap ecdsa.key -f wrapped_id_ecdsa'): (
        NO_TERMINAL, "exec ssh-tpm-keygen --wrap-with srk.pem --wrap ecdsa.key -f wrapped_id_ecdsa -N ''"),
}


def source():
    """The folder of the Go program, or nothing."""
    if os.environ.get('SSH_TPM_GO_SOURCE'):
        return os.environ['SSH_TPM_GO_SOURCE']
    if not shutil.which('go'):
        return None
    cache = subprocess.run(('go', 'env', 'GOMODCACHE'), capture_output=True, text=True, check=False).stdout.strip()
    found = sorted(glob.glob(os.path.join(cache, 'github.com/foxboron/ssh-tpm-agent@*')))
    return found[-1] if cache and found else None


SOURCE = source()


class Script:
    """One script in a folder of its own. `failed` has the lines that failed."""

    def __init__(self, scenario, path):
        self.scenario, self.lab = scenario, scenario.lab
        self.name = os.path.splitext(os.path.basename(path))[0]
        self.folder = self.lab.make_folder(self.name)
        self.env = {'HOME': self.folder, 'WORK': self.folder, 'XDG_RUNTIME_DIR': None,
                    'SSH_AUTH_SOCK': self.folder + '/agent.sock', 'SSH_TPM_AUTH_SOCK': self.folder + '/agent.sock'}
        self.out = self.err = self.stdin = ''
        self.failed = set()
        with open(path, encoding='utf-8') as file:
            script, *files = re.split(r'^-- (\S+) --\n', file.read(), flags=re.M)
        for name, content in zip(files[::2], files[1::2]):
            self.lab.write(os.path.join(self.name, name), content)
        self.lines = [line for line in script.splitlines() if line.strip() and not line.startswith('#')]

    def path(self, name):
        return os.path.join(self.folder, name)

    def run(self):
        times = collections.Counter()
        for line in self.lines:
            times[line] += 1
            if self.succeeds(line):
                continue
            again = f'{line} ({times[line]})'
            failed = again if (self.name, again) in DIFFERENT else line
            self.failed.add(failed)
            _, instead = DIFFERENT.get((self.name, failed), ('', None))
            if instead and not self.succeeds(instead):
                self.failed.add(instead)

    def succeeds(self, line):
        negated = line.startswith('! ')
        words = [re.sub(r'\$(\w+)', lambda found: self.env[found[1]], word)
                 for word in shlex.split(line.removeprefix('! '), comments=True)]
        return getattr(self, 'do_' + words[0])(*words[1:]) != negated

    def do_exec(self, *words):
        stdin, self.stdin = self.stdin, ''
        if words[0] == 'sleep':  # for an agent, which start() waits for
            return True
        if words[:2] == ('go', 'build'):
            self.lab.write(os.path.join(self.name, 'askpass-test'), ASKPASS, mode=0o755)
            return True
        if words[-1].endswith('&'):
            return self.start(*words[:-1])
        result = subprocess.run(words, input=stdin, capture_output=True, text=True, cwd=self.folder, check=False,
                                env=self.lab.merged(self.env), start_new_session=True, timeout=60)
        self.out, self.err = result.stdout, result.stderr
        return result.returncode == 0

    def start(self, *words):
        """An agent in the background."""
        script = 'cd "$WORK" && exec "$@"'
        process = self.lab.start('sh', '-c', script, 'sh', *words, env=self.env)
        process.wait_line(f'listening on {self.env["SSH_AUTH_SOCK"]}')
        return True

    def do_stdout(self, pattern):
        return re.search(pattern, self.out, re.M) is not None

    def do_stderr(self, pattern):
        return re.search(pattern, self.err, re.M) is not None

    def do_grep(self, pattern, name):
        with open(self.path(name), encoding='utf-8') as file:
            return re.search(pattern, file.read(), re.M) is not None

    def do_stdin(self, name):
        with open(self.path(name), encoding='utf-8') as file:
            self.stdin = file.read()
        return True

    def do_exists(self, *names):
        return all(os.path.exists(self.path(name)) for name in names)

    def do_rm(self, *names):
        for name in names:
            if os.path.isdir(self.path(name)):
                shutil.rmtree(self.path(name))
            elif os.path.exists(self.path(name)):
                os.unlink(self.path(name))
        return True

    def do_cp(self, source_name, name):
        shutil.copyfile(self.path(source_name), self.path(name))
        return True

    def do_chmod(self, mode, name):
        os.chmod(self.path(name), int(mode, 8))
        return True

    def do_env(self, assignment):
        name, _, value = assignment.partition('=')
        self.env[name] = value
        return True

    def do_getekcert(self):
        """The owner's ECC storage key, which the Go tests take from their TPM in the process."""
        self.scenario.tpm.craft('tpm2_createprimary', '-C', 'o', '-G', 'ecc256:aes128cfb', '-g', 'sha256', '-a',
                                STORAGE_KEY, '-f', 'pem', '-o', self.path('srk.pem'), '-c', self.path('srk.ctx'))
        return True


@unittest.skipUnless(SOURCE, 'the Go program is neither in the Go module cache nor in SSH_TPM_GO_SOURCE')
class GoScripts(WithTpm):
    maxDiff = None

    def check(self, *patterns):
        scripts = [path for folder in FOLDERS for path in sorted(glob.glob(os.path.join(SOURCE, folder, '*.txt*')))
                   if any(fnmatch.fnmatch(os.path.basename(path), pattern) for pattern in patterns)]
        self.assertTrue(scripts, f'no script in {SOURCE}')
        for path in scripts:
            script = Script(self, path)
            script.run()
            expected = [line for name, line in DIFFERENT if name == script.name]
            self.assertEqual(sorted(script.failed), sorted(expected), script.name)

    def test_the_agent(self):
        self.check('agent.txt')

    def test_confirmation(self):
        self.check('agent_confirm.txt')

    def test_hierarchy_keys(self):
        self.check('agent_hierarchy_keys.txt')

    def test_a_pin(self):
        self.check('agent_password.txt')

    def test_keygen(self):
        self.check('keygen.txt')

    def test_no_other_script_is_left_out(self):
        found = {os.path.basename(path) for folder in FOLDERS for path in glob.glob(os.path.join(SOURCE, folder, '*'))}
        self.assertEqual(found, {'agent.txt', 'agent_confirm.txt', 'agent_hierarchy_keys.txt', 'agent_password.txt',
                                 'keygen.txt'})


if __name__ == '__main__':
    unittest.main()
