"""What a process holds: every page of its memory and the registers of its threads, searched for secrets.

/proc/PID/mem reads more than a core file holds (MADV_DONTDUMP is no obstacle), and gdb's gcore the registers.
Root alone may do that: the processes are not dumpable.
"""

import base64
import os
import re
import secrets
import string
import subprocess
import unittest

from resources import is_sanitized

wiping_builds = unittest.skipIf(is_sanitized(os.environ['SSH_TPM_BUILD']), 'sanitizers keep what was freed')

PIECE = 1 << 24  # bytes read at a time
SMALL = 8  # bytes of a secret that are too many


def random_pin():
    """24 characters that nothing else in a process resembles, and no program takes for an option."""
    return ''.join(secrets.choice(string.ascii_letters + string.digits) for _ in range(24))


def spellings(secret):
    """A secret's bytes as they may lie somewhere: by name."""
    raw = secret.encode() if isinstance(secret, str) else secret
    found = {'raw': raw, 'reversed': raw[::-1], 'hex': raw.hex().encode(), 'HEX': raw.hex().upper().encode(),
             'UTF-16-LE': b''.join(bytes((byte, 0)) for byte in raw),
             'UTF-16-BE': b''.join(bytes((0, byte)) for byte in raw)}
    for shift in range(3):  # base64 of a text that has it in the middle: what does not depend on its neighbours
        coded = base64.b64encode(bytes(shift) + raw)
        first, last = (0, 2, 3)[shift], -4 if (shift + len(raw)) % 3 else None
        found[f'base64 at {shift}'] = coded[first:last]
    return found


def leaking(kind):
    """The environment of a program that leaks deliberately, as test/support/leak.cpp says."""
    return {'LD_PRELOAD': os.environ['SSH_TPM_LEAK'], 'SSH_TPM_TEST_LEAK': kind}


def count(memory, secret):
    """How often each spelling of `secret` occurs in `memory`; what does not occur is left out."""
    counts = {name: memory.count(bytes_) for name, bytes_ in spellings(secret).items()}
    return {name: number for name, number in counts.items() if number}


def mappings(pid):
    with open(f'/proc/{pid}/maps', encoding='utf-8', errors='replace') as maps:
        for line in maps:
            begin, end, rights, name = re.match(r'(\w+)-(\w+) (\S+) \S+ \S+ \S+ *(.*)', line).groups()
            if name not in ('[vvar]', '[vsyscall]'):
                yield int(begin, 16), int(end, 16), rights, name


def pages(pid):
    """Every page that a process can have written to, the unreadable and the locked ones of libsodium included."""
    with open(f'/proc/{pid}/mem', 'rb', 0) as memory:
        for begin, end, rights, name in mappings(pid):
            if name.startswith('/') and 'w' not in rights:
                continue  # code and constants, as they are in the file
            content = b''
            for place in range(begin, end, PIECE):
                try:
                    content += os.pread(memory.fileno(), min(PIECE, end - place), place)
                except OSError:
                    break  # a page of a file beyond its end
            if content:
                yield name or f'{begin:x}', content


def registers(pid):
    """The registers of all threads, vectors included, as raw bytes one register after another."""
    script = ('import gdb\n'
              'for thread in gdb.selected_inferior().threads():\n'
              '    thread.switch()\n'
              '    frame = gdb.newest_frame()\n'
              '    for register in frame.architecture().registers():\n'
              '        value = frame.read_register(register.name)\n'
              '        try:\n'
              '            gdb.write("REGISTER " + bytes(value.bytes).hex() + "\\n")\n'
              '        except AttributeError:\n'
              '            text = value.format_string(format="x")\n'
              '            gdb.write("TEXT " + text.replace("\\n", " ") + "\\n")\n')
    done = subprocess.run(['gdb', '-nx', '-batch', '-iex', 'set auto-load off', '-iex', 'set auto-solib-add off',
                           '-p', str(pid), '-ex', 'python exec(' + repr(script) + ')'],
                          capture_output=True, text=True, timeout=120, check=False)
    # A vector is printed in several widths, the widest among them: little-endian numbers.
    held = b''
    for line in done.stdout.splitlines():
        if line.startswith('REGISTER '):
            held += bytes.fromhex(line.split()[1])
        elif line.startswith('TEXT '):
            for number in re.findall(r'0x([0-9a-f]+)', line):
                digits = number.zfill(len(number) + len(number) % 2)
                held += bytes.fromhex(digits)[::-1] + b'\0' * (len(digits) // 2 < 2)
    if not held:
        raise AssertionError('no registers were read: ' + done.stdout + done.stderr)
    return held


def has_piece(memory, secret):
    """Whether eight bytes of `secret` in a row are in `memory`, without the rest of it around them."""
    raw = secret.encode() if isinstance(secret, str) else secret
    rest = memory.replace(raw, bytes(len(raw)))
    return any(raw[at:at + SMALL] in rest for at in range(len(raw) - SMALL + 1))


def find(pid, secret, thorough=False):
    """Where a process has `secret`: a list of (place, spelling), one entry for each occurrence; with `thorough` also
    where pieces of it are, and in registers."""
    found = []
    for name, content in pages(pid):
        for spelling, number in count(content, secret).items():
            found += [(name, spelling)] * number
        if thorough and has_piece(content, secret):
            found.append((name, 'a piece of 8'))
    if thorough:
        held = registers(pid)
        raw = secret.encode() if isinstance(secret, str) else secret
        found += [('registers', 'a piece of 16')] * sum(raw[at:at + 16] in held for at in range(len(raw) - 15))
    return found
