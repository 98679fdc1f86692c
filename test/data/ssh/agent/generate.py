#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes the files of this folder and of ../known_hosts with ssh-add, ssh-agent and ssh-keygen; see their README.md."""

import base64
import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parents[2] / "scenario"))

from add_recorder import Recorder  # noqa: E402
from protocol import (ADD_ID_CONSTRAINED, ADD_IDENTITY, SIGN_RESPONSE, Connection, sign_request,  # noqa: E402
                      string, take_string)

PRIVATE = HERE.parent / "private"
HOSTS = HERE.parent / "known_hosts"
ADDED = ["ecdsa-256", "ecdsa-384", "ecdsa-521", "rsa-2048", "rsa-3072", "rsa-4096"]
SHORT = [f"short-{what}-{bits}" for what in ("scalar", "x", "y") for bits in (256, 384, 521)]
REFUSED = ["refused-ed25519", "refused-dsa", "refused-rsa-1024", "refused-rsa-2304", "refused-token"]


def run(*command, status=0, **more):
    result = subprocess.run(command, capture_output=True, check=False, **more)
    if status is not None and result.returncode != status:
        raise RuntimeError(f"{command}: {result.stderr.decode()}")
    return result


def blob_of(path):
    return base64.b64decode(Path(path).read_text().split()[1])


def sent(recorder, *arguments, status=0):
    """The messages that one ssh-add sends, and how it ended."""
    recorder.requests.clear()
    result = run("ssh-add", *arguments, status=status, env={**os.environ, "SSH_AUTH_SOCK": recorder.path})
    return list(recorder.requests), result


def private_key(name):
    shutil.copy(PRIVATE / f"{name}.openssh", name)
    os.chmod(name, 0o600)
    public = run("ssh-keygen", "-y", "-f", name, status=None).stdout
    if public:
        Path(f"{name}.pub").write_bytes(public)
    return name


def certify(name, *options):
    run("ssh-keygen", "-q", "-s", "ca", "-I", f"the key {name}", "-n", "one,two", *options, f"{name}.pub")


def added(recorder):
    """Rows of: name, "key" or "certificate", what follows the message's number, in hexadecimal."""
    for name in ADDED + SHORT + REFUSED:
        private_key(name)
        if name in ADDED + REFUSED[:2]:
            certify(name)
        messages, _ = sent(recorder, name)
        Path(f"{name}-cert.pub").unlink(missing_ok=True)
        if not messages:
            raise RuntimeError(name)
        for message, what in zip(messages, ("key", "certificate")):
            assert message[0] in (ADD_IDENTITY, ADD_ID_CONSTRAINED)  # of a token, its provider is behind
            yield f"{name} {what} {message[1:].hex()}\n"


def signatures():
    """Rows of: name, flags, key blob, data, signature blob; of the bare key and of its host certificate."""
    path = os.path.abspath("agent")
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.PIPE)
    agent.stdout.readline()  # it listens
    try:
        for name in ADDED + REFUSED[:2]:
            certify(name, "-h")
            run("ssh-add", "-q", name, env={**os.environ, "SSH_AUTH_SOCK": path})
        with Connection(path) as connection:
            for name in ADDED + REFUSED[:2]:
                for flags in (0, 2, 4) if name.startswith("rsa") else (0,):
                    for blob in (blob_of(f"{name}.pub"), blob_of(f"{name}-cert.pub")):
                        data = f"signed by {name} with the flags {flags}".encode()
                        reply = connection.request(sign_request(blob, data, flags))
                        assert reply[0] == SIGN_RESPONSE
                        yield f"{name} {flags} {blob.hex()} {data.hex()} {take_string(reply[1:])[0].hex()}\n"
    finally:
        agent.terminate()
        agent.wait()


def fresh_public(kind, comment):
    for old in ("fresh", "fresh.pub"):
        Path(old).unlink(missing_ok=True)
    run("ssh-keygen", "-q", "-t", kind, "-N", "", "-C", comment, "-f", "fresh")
    return " ".join(Path("fresh.pub").read_text().split()[:2])


def hashed(names, key):
    Path("to_hash").write_text(f"{names} {key}\n")
    run("ssh-keygen", "-q", "-H", "-f", "to_hash")
    return Path("to_hash").read_text().rstrip("\n")


def known_hosts():
    keys = [fresh_public(("ed25519", "ecdsa")[i % 2], "") for i in range(12)] + [fresh_public("rsa", "")]
    dsa, ed = fresh_public("dsa", ""), keys[0].split()[1]
    hashes = [hashed(name, keys[i]) for i, name in enumerate(
        ("plain.example.com", "Hashed.Example.com", "[hashed.example.com]:2222", "10.0.0.7", "hashed.example.com"))]
    broken = hashes[4].replace("|1|", "|2|", 1)
    salt = hashes[4].split("|")[2]
    certificate = " ".join(Path("ecdsa-256-cert.pub").read_text().split()[:2])
    return "\n".join([
        "# a comment", "", "   \t", "  # an indented comment",
        f"plain.example.com {keys[0]} with a comment",
        f"plain.example.com,10.0.0.7\t{keys[1]}",
        f"  \tplain.example.com   {keys[2]}   # more",
        f"PLAIN.Example.COM {keys[3]}",
        f"*.example.com,!secret.example.com {keys[4]}",
        f"!secret.example.com,*.example.com {keys[5]}",
        f"!secret.example.com {keys[5]}",
        f"host-?? {keys[6]}",
        f"[plain.example.com]:2222 {keys[7]}",
        f"[*.example.com]:22?? {keys[8]}",
        *hashes,
        f"{hashes[0].split()[0]},plain.example.com {keys[9]}",
        f"plain.example.com,{hashes[4].split()[0]} {keys[9]}",
        broken, hashes[4].replace(salt, salt[:-4]), hashes[4].replace(salt, "*" + salt[1:]),
        hashes[4].replace("|" + salt, "", 1),
        f"@cert-authority *.example.com {keys[10]} a CA",
        f"@cert-authority\t*.example.com {keys[10]}",
        f"@cert-authority\thost-22\t{keys[10]}".replace(" ", "\t"),
        f"@cert-authority  \t host-22 {keys[9]}",
        f"@revoked plain.example.com {keys[0]}",
        f"@revoked * {keys[11]}",
        f"@unknown plain.example.com {keys[11]}", f"@cert-authority @revoked plain.example.com {keys[11]}",
        f"@ plain.example.com {keys[11]}", f"@Cert-Authority plain.example.com {keys[11]}",
        "plain.example.com", "plain.example.com ", "plain.example.com ssh-ed25519", "plain.example.com # no key",
        f"plain.example.com {keys[0][:-1]}", f"plain.example.com {keys[0][:40]}", f"plain.example.com {keys[0]}AAAA",
        f"plain.example.com ssh-unknown {ed}", f"plain.example.com ssh-rsa {ed}", f"plain.example.com 1024 35 {ed}",
        f"plain.example.com\xa0{keys[0]}", f",plain.example.com, {keys[12]}",
        f"plain.example.com {dsa} old",
        f"plain.example.com {certificate}",
        f"!plain.example.com,other.example.org {keys[6]}", f"!! {keys[6]}", f"* {keys[7]}",
        f"{'x' * 1022},long.example.org {keys[8]}", f"{'x' * 1023},long.example.org {keys[9]}",
        f"long.example.org,{'x' * 1023} {keys[10]}",
        f"windows.example.org {keys[0]}\r", f"windows.example.org {keys[1]} comment\r",
        f"nul.example.org {keys[2]} \0 more", f"nul.example.org {keys[4]}\0AAAA",
        f"last.example.org {keys[5]}"])


QUERIES = ["plain.example.com", "PLAIN.EXAMPLE.COM", "Hashed.Example.com", "hashed.example.com", "HASHED.example.com",
           "secret.example.com", "any.example.com", "example.com", ".example.com", "other.example.org", "host-22",
           "host-2", "host-222", "10.0.0.7", "10.0.0.70", "[plain.example.com]:2222", "[any.example.com]:2299",
           "[hashed.example.com]:2222", "[any.example.com]:22", "plain.example.com:2222", "!", "|1|", "long.example.org",
           "x" * 1022, "x" * 1023, "windows.example.org", "nul.example.org", "last.example.org", "*", "?", "#"]


def found_hosts(recorder):
    """Rows of: host, then for each of its keys the blob in hexadecimal, with "ca:" in front of a CA's."""
    for host in QUERIES:
        messages, result = sent(recorder, "-H", HOSTS / "known_hosts", "-h", host, "ecdsa-256", status=None)
        if not messages:
            assert b"No host keys found" in result.stderr, result.stderr
            yield host + "\n"
            continue
        assert messages[0][0] == ADD_ID_CONSTRAINED
        rest = messages[0].split(string(b"restrict-destination-v00@openssh.com"))[1]
        constraint = take_string(take_string(rest)[0])[0]  # of the list, the one constraint
        to = take_string(take_string(constraint)[1])[0]  # behind the hop that it comes from
        for _ in range(3):  # user, host, reserved
            _, to = take_string(to)
        found = []
        while to:
            blob, to = take_string(to)
            found.append(("ca:" if to[0] else "") + blob.hex())
            to = to[1:]
        yield " ".join([host, *found]) + "\n"


def patterns():
    """The first row has all texts; then rows of: list of patterns, the texts that it matches."""
    chance = random.Random(4)
    texts = sorted({"".join(chance.choice("abAB.") for _ in range(chance.randint(1, 6))) for _ in range(60)})
    lists = sorted({"".join(chance.choice("aaabbAB.***???!,,") for _ in range(chance.randint(1, 9)))
                    for _ in range(400)})
    key = fresh_public("ed25519", "")
    Path("patterns").write_text("".join(f"{each} {key}\n" for each in lists))
    matches = {each: [] for each in lists}
    for text in texts:
        shown = run("ssh-keygen", "-F", text, "-f", "patterns", status=None).stdout.decode()
        for line in shown.splitlines():
            if not line.startswith("#"):
                matches[line.split()[0]].append(text)
    yield " ".join(texts) + "\n"
    for each, matched in matches.items():
        yield " ".join([each, *matched]) + "\n"


def main():
    os.environ.update(LC_ALL="C.UTF-8", TZ="UTC0")
    os.environ.pop("SSH_AUTH_SOCK", None)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "ca")
        recorder = Recorder(SimpleNamespace(path=os.path.abspath))
        (HERE / "added.txt").write_text("".join(added(recorder)))
        (HERE / "signatures.txt").write_text("".join(signatures()))
        (HOSTS / "known_hosts").write_text(known_hosts(), encoding="latin-1", newline="")
        for left in Path(".").glob("*-cert.pub"):
            left.unlink()
        (HOSTS / "found.txt").write_text("".join(found_hosts(recorder)))
        (HOSTS / "patterns.txt").write_text("".join(patterns()))


if __name__ == "__main__":
    main()
