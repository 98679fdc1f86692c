# SPDX-License-Identifier: MIT
"""What the machine's administrator and its user "me" do and see."""

import re
import shlex

from tree import Failed

PLAIN = '-i ~/.ssh/id_plain.pub -o IdentitiesOnly=yes'  # a key in the TPM that has no PIN
JOURNAL = 'journalctl -q -o with-unit --cursor-file=/var/tmp/cursor'


class Guest:
    """The machine as its administrator and its user "me" see it."""

    def __init__(self, machine, slow):
        self.machine, self.kind, self.slow = machine, machine.kind, slow

    def root(self, script, status=0, deadline=60):
        """Its output. @raises Failed for another status"""
        result = self.machine.run(script, deadline)
        if result.status != status:
            late = f' (after {deadline} s)' if result.status == 124 else ''
            raise Failed(f'# {script}\n{result.output}status {result.status}{late}, expected {status}')
        return result.output

    def me(self, script, status=0, deadline=60):
        return self.root(f'su -l me -c {shlex.quote(script)}', status, deadline)

    def typed(self, user, *lines, deadline=120):
        """Lines of test/machine/guest/typed."""
        return self.root(f"typed {user} <<'END'\n" + '\n'.join(lines) + '\nEND\n', deadline=deadline)

    def expect(self, script, pattern, deadline=60):
        """The output of a script of root's that succeeds. @raises Failed if the pattern is not in it"""
        output = self.root(script, deadline=deadline)
        if not re.search(pattern, output):
            raise Failed(f'# {script}\n{output}expected: {pattern}')
        return output

    def equal(self, script, expected):
        output = self.root(script).strip()
        if output != expected:
            raise Failed(f'# {script}\n{output}\nexpected: {expected}')

    def until(self, script, deadline=60):
        """Waits until a script of root's succeeds. @returns its output"""
        return self.root(f'until output=$({script} 2>&1); do sleep 0.2; done; echo "$output"', deadline=deadline)

    def know_host(self):
        """The user's ssh knows the keys of the .pub files, and no others."""
        self.root('for key in /etc/ssh/ssh_tpm_host_*_key.pub; do echo "server $(cut -d" " -f1,2 $key)"; done '
                  '>/etc/ssh/ssh_known_hosts; rm -f ~me/.ssh/known_hosts')

    def logins(self, count, options=PLAIN, meanwhile='true', kind=''):
        """Logins by turns with both host keys, two at a time, while root runs a script again and again. `kind` is
        appended to the names of the host key algorithms.
        @returns how often it ran. @raises Failed if one fails"""
        self.root(f"""cat >/tmp/login <<'END'
case $(($1 % 2)) in 0) kind=ecdsa-sha2-nistp256 ;; 1) kind=rsa-sha2-512 ;; esac
timeout 60 ssh -n -o BatchMode=yes -o HostKeyAlgorithms=$kind{kind} {options} me@server true >/tmp/login.$1 2>&1 || {{
    echo "login $1, $kind: status $?"
    cat /tmp/login.$1
}}
END
cat >/tmp/meanwhile <<'END'
while ! [ -e /tmp/enough ]; do {meanwhile}; echo; sleep 0.1; done
END
rm -f /tmp/enough /tmp/login.*""")
        script = f"""bash /tmp/meanwhile >/tmp/turns 2>/tmp/meanwhile.errors &
su -l me -c 'seq {count} | xargs -P 2 -n 1 sh /tmp/login'
touch /tmp/enough
wait
cat /tmp/meanwhile.errors"""
        output = self.root(script, deadline=120 + 10 * count)
        if output.strip():
            raise Failed(f'of {count} logins {output.count("login ")} failed:\n{output[:1000]}')
        return int(self.root('wc -l </tmp/turns'))

    def idle(self):
        """Waits until the agents have flushed their keys: a container's TPMs have no resource manager."""
        if self.kind == 'container':
            for name in 'system', 'user':
                self.until(f'! tpm2_getcap -T swtpm:path=/control/{name} handles-transient | grep .')

    def check(self, status=0):
        return self.root('ssh-tpm hostkeys --check', status, 30)

    def quiet(self, *expected):
        """No unit is failed, and the journal has no entry of priority err or worse since the last call but those that
        a pattern of `expected` matches."""
        self.equal('systemctl --failed --plain --no-legend', '')
        self.root("su -l me -c 'systemctl --user --failed --plain --no-legend' | (! grep .)")
        entries = self.root(f'{JOURNAL}.errors -p err '
                            '_TRANSPORT=journal + _TRANSPORT=syslog + _TRANSPORT=stdout; true').splitlines()
        wrong = [line for line in entries if not any(re.search(pattern, line) for pattern in expected)]
        if wrong:
            raise Failed(f'{len(wrong)} unexpected in the journal:\n' + '\n'.join(wrong[:20]))
        return f'{len(entries)} expected errors' if entries else None

    def news(self):
        """The end of the journal since the last call, for a step that failed."""
        return self.root(f"{JOURNAL}.news | grep -vE 'pam_unix|session|slice|user-runtime-dir' | tail -n 25")
