# SPDX-License-Identifier: MIT
"""Signatures checked by OpenSSL's library, for tests with thousands of them: no process for each."""

import base64
import ctypes

import keyfile
from agent import HASHES

_lib = ctypes.CDLL('libcrypto.so.3')
for _name in ('d2i_PUBKEY', 'EVP_MD_CTX_new', 'EVP_get_digestbyname'):
    getattr(_lib, _name).restype = ctypes.c_void_p


class Verifier:
    """For one key, which it keeps to the end of the program."""

    def __init__(self, lab, key):
        lines = lab.public_pem(key).splitlines()
        der = base64.b64decode(''.join(line for line in lines if not line.startswith('-----')))
        pointer = ctypes.c_char_p(der)
        self.key = _lib.d2i_PUBKEY(None, ctypes.byref(pointer), ctypes.c_long(len(der)))
        if not self.key:
            raise AssertionError(f'not a public key: {der.hex()}')

    def is_good(self, signed, data):
        """`signed` is the algorithm and the signature proper, as protocol.Connection.sign returns them."""
        algorithm, signature = signed
        if not algorithm.startswith('rsa'):
            signature = keyfile.ecdsa_der(signature)
        digest = ctypes.c_void_p(_lib.EVP_get_digestbyname(HASHES[algorithm].encode()))
        context = ctypes.c_void_p(_lib.EVP_MD_CTX_new())
        try:
            if _lib.EVP_DigestVerifyInit(context, None, digest, None, ctypes.c_void_p(self.key)) != 1:
                raise AssertionError('EVP_DigestVerifyInit failed')
            return _lib.EVP_DigestVerify(context, signature, ctypes.c_size_t(len(signature)), data,
                                         ctypes.c_size_t(len(data))) == 1
        finally:
            _lib.EVP_MD_CTX_free(context)
            _lib.ERR_clear_error()
