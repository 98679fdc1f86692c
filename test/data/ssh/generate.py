#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes the files of this folder with ssh-keygen and openssl. README.md says what they are.

Private keys stay in a temporary folder and go with it, so a second run makes other vectors of the same kinds.
"""
import base64
import os
import pathlib
import secrets
import struct
import subprocess
import sys
import tempfile

OUT = pathlib.Path(__file__).resolve().parent
CURVES = {'256': 32, '384': 48, '521': 66}


def run(*command, **options):
    return subprocess.run(command, check=True, capture_output=True, **options).stdout


def keygen(name, *options, comment):
    pathlib.Path(name).unlink(missing_ok=True)
    run('ssh-keygen', '-q', '-m', 'PEM', '-N', '', '-C', comment, '-f', name, *options)
    return pathlib.Path(name + '.pub').read_text()


def string(data):
    return struct.pack('>I', len(data)) + data


def fields(blob):
    while blob:
        length = struct.unpack('>I', blob[:4])[0]
        yield blob[4:4 + length]
        blob = blob[4 + length:]


def blob_of(line):
    return base64.b64decode(line.split()[1])


def line_of(blob, comment):
    name = next(fields(blob)).decode()
    return f'{name} {base64.b64encode(blob).decode()} {comment}'.rstrip() + '\n'


def point_of(line):
    point = list(fields(blob_of(line)))[2]
    width = (len(point) - 1) // 2
    return point[1:1 + width], point[1 + width:]


def is_short(number, size):
    """Shorter than usual: the top byte of the 521 bit fields holds one bit only, so there the next one counts."""
    return not any(number.rjust(size, b'\0')[:2 if size == 66 else 1])


def plain_keys():
    for bits in CURVES:
        yield f'ecdsa-{bits}', keygen(f'ecdsa-{bits}', '-t', 'ecdsa', '-b', bits, comment=f'ecdsa {bits}')
    for bits in ('2048', '3072', '4096'):
        yield f'rsa-{bits}', keygen(f'rsa-{bits}', '-t', 'rsa', '-b', bits, comment=f'rsa {bits}')
    yield 'ed25519', keygen('ed25519', '-t', 'ed25519', comment='ed25519')
    yield 'dsa', keygen('dsa', '-t', 'dsa', comment='dsa')
    yield 'ca-ed25519', keygen('ca-ed25519', '-t', 'ed25519', comment='ca ed25519')
    yield 'ca-rsa', keygen('ca-rsa', '-t', 'rsa', '-b', '2048', comment='ca rsa')


def made_up_keys():
    """Types that need a device, and sizes that take too long to make: ssh-keygen -l does not ask who made them."""
    ed25519 = list(fields(blob_of(pathlib.Path('ed25519.pub').read_text())))[1]
    ecdsa = list(fields(blob_of(pathlib.Path('ecdsa-256.pub').read_text())))[2]
    yield 'sk-ed25519', b'sk-ssh-ed25519@openssh.com', (ed25519, b'ssh:')
    yield 'sk-ecdsa', b'sk-ecdsa-sha2-nistp256@openssh.com', (b'nistp256', ecdsa, b'ssh:')
    for bits in (1024, 2047, 2049, 16384):
        n = secrets.randbits(bits) | 1 << (bits - 1) | 1
        modulus = n.to_bytes(bits // 8 + 1, 'big')
        if bits % 8:
            modulus = n.to_bytes((bits + 7) // 8, 'big')
        yield f'rsa-{bits}', b'ssh-rsa', (b'\1\0\1', modulus)


def certify(name, role):
    """A user certificate by the Ed25519 CA, or a host certificate by the RSA CA, with its exact command."""
    if role == 'user':
        options = ['-s', 'ca-ed25519', '-I', f'user {name}', '-z', '42', '-n', 'alpha,beta',
                   '-V', '20200102030405Z:20300102030405Z', '-O', 'force-command=/bin/true', '-O', 'no-pty']
    else:
        options = ['-s', 'ca-rsa', '-t', 'rsa-sha2-256', '-h', '-I', f'host {name}', '-z', '18446744073709551615',
                   '-V', 'always:forever']
    run('ssh-keygen', '-q', *options, f'{name}.pub')
    return pathlib.Path(f'{name}-cert.pub').read_text()


def short_keys():
    for bits in CURVES:
        for axis in (0, 1):
            while True:
                line = keygen('short', '-t', 'ecdsa', '-b', bits, comment=f'{bits} short {"xy"[axis]}')
                number = point_of(line)[axis]
                if is_short(number, CURVES[bits]):
                    yield line
                    break


def fingerprint(line, hash_name):
    """One run for each key: of several in a file, ssh-keygen shows one without comment with that of another."""
    pathlib.Path('one.pub').write_text(line)
    return run('ssh-keygen', '-lv', '-E', hash_name, '-f', 'one.pub').decode()


def rs_of_der(der):
    text = run('openssl', 'asn1parse', '-inform', 'DER', input=der).decode()
    return [bytes.fromhex(row.split(':')[-1].zfill(2)) for row in text.splitlines() if 'INTEGER' in row]


def openssl_signatures():
    """Rows of: key, hash, message in hex, then r and s, or the one number of RSA."""
    def sign(key, hash_name, message):
        return run('openssl', 'dgst', f'-{hash_name}', '-sign', key, input=message)

    for bits, hash_name in (('256', 'sha256'), ('384', 'sha384'), ('521', 'sha512')):
        wanted = [lambda r, s: True, lambda r, s: is_short(r, CURVES[bits]), lambda r, s: is_short(s, CURVES[bits])]
        while wanted:
            message = secrets.token_bytes(16)
            r, s = rs_of_der(sign(f'ecdsa-{bits}', hash_name, message))
            if wanted[0](r, s):
                wanted.pop(0)
                yield f'ecdsa-{bits} {hash_name} {message.hex()} {r.hex()} {s.hex()}\n'
    for bits in ('2048', '3072', '4096'):
        for hash_name in ('sha256', 'sha512'):
            message = secrets.token_bytes(16)
            yield f'rsa-{bits} {hash_name} {message.hex()} {sign(f"rsa-{bits}", hash_name, message).hex()}\n'
    while True:
        message = secrets.token_bytes(16)
        signature = sign('rsa-2048', 'sha256', message)
        if signature[0] == 0:
            yield f'rsa-2048 sha256 {message.hex()} {signature.hex()}\n'
            return


def ssh_signature(key):
    pathlib.Path('message.sig').unlink(missing_ok=True)
    run('ssh-keygen', '-q', '-Y', 'sign', '-n', 'file', '-f', key, 'message')
    text = pathlib.Path('message.sig').read_text()
    run('ssh-keygen', '-Y', 'check-novalidate', '-n', 'file', '-s', 'message.sig', input=b'a message\n')
    blob = base64.b64decode(''.join(text.splitlines()[1:-1]))
    value = list(fields(list(fields(blob[10:]))[4]))[1]
    return text, value


def ssh_signatures():
    pathlib.Path('message').write_text('a message\n')
    for bits in CURVES:
        for axis in (0, 1):
            while True:
                text, value = ssh_signature(f'ecdsa-{bits}')
                if is_short(list(fields(value))[axis].lstrip(b'\0'), CURVES[bits]):
                    yield f'ecdsa-{bits}-short-{"rs"[axis]}.sig', text
                    break
    for bits in ('2048', '3072', '4096'):
        yield f'rsa-{bits}.sig', ssh_signature(f'rsa-{bits}')[0]


def main():
    os.environ.update(LC_ALL='C.UTF-8', TZ='UTC0')
    lines = []

    def keep(name, text):
        (OUT / name).write_text(text)

    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for name, line in plain_keys():
            keep(f'{name}.pub', line)
            lines.append(line)
        for name, *parts in made_up_keys():
            blob = string(parts[0]) + b''.join(map(string, parts[1]))
            line = line_of(blob, name.replace('-', ' '))
            pathlib.Path(f'{name}.pub').write_text(line)
            lines.append(line)
        for public in sorted(path.stem for path in pathlib.Path('.').glob('*.pub') if not path.stem.startswith('ca')):
            for role in ('user', 'host'):
                line = certify(public, role)
                lines.append(line)
                if public in ('ecdsa-256', 'ecdsa-384', 'ecdsa-521', 'rsa-2048', 'rsa-3072', 'rsa-4096', 'ed25519'):
                    keep(f'{public}-{role}-cert.pub', line)
        short = list(short_keys())
        keep('short-coordinates.pub', ''.join(short))
        lines += short
        for number in range(8):
            for bits in CURVES:
                lines.append(keygen('more', '-t', 'ecdsa', '-b', bits, comment='' if number == 0 else f'clé nº {number}'))
        keep('all.pub', ''.join(lines))
        for hash_name in ('sha256', 'md5'):
            keep(f'all.{hash_name}', ''.join(fingerprint(line, hash_name) for line in lines))
        keep('certificates.txt', ''.join(run('ssh-keygen', '-L', '-f', path.name, cwd=OUT).decode()
                                         for path in sorted(OUT.glob('*-cert.pub'))))
        keep('openssl-signatures.txt', ''.join(openssl_signatures()))
        for name, text in ssh_signatures():
            keep(name, text)


if __name__ == '__main__':
    sys.exit(main())
