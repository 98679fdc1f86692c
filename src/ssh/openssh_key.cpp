// SPDX-License-Identifier: MIT
// Private keys in OpenSSH's own format (PROTOCOL.key of its source). Botan stretches the passphrase, OpenSSL
// decrypts, and the clear text is in guarded memory only. (libssh 0.10 reads these files too, but cannot hand
// out the numbers of an RSA key, and leaves the decrypted section in freed memory.)

#include "base/lines.hpp"
#include "base/pem.hpp"
#include "base/printable.hpp"
#include "ssh/key_container.hpp"
#include "wire/reader.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <botan/ffi.h>
#include <cstdint>
#include <dlfcn.h>
#include <optional>

namespace sshtpm::ssh {

namespace {

using namespace std::string_view_literals;

constexpr auto end_line = "-----END OPENSSH PRIVATE KEY-----"sv;
constexpr auto magic = "openssh-key-v1\0"sv;

/// The file sets the number of rounds of bcrypt. A thousand take seconds.
constexpr std::uint32_t most_rounds = 10'000;

/// A cipher of ssh-keygen -Z that OpenSSL has too.
struct Cipher {
    std::string_view name;
    const char* openssl_name;
    std::size_t key, iv, block, tag; ///< bytes
};
constexpr std::array<Cipher, 9> ciphers{{
    {"aes256-ctr", "AES-256-CTR", 32, 16, 16, 0}, // the default of ssh-keygen
    {"aes192-ctr", "AES-192-CTR", 24, 16, 16, 0},
    {"aes128-ctr", "AES-128-CTR", 16, 16, 16, 0},
    {"aes256-cbc", "AES-256-CBC", 32, 16, 16, 0},
    {"aes192-cbc", "AES-192-CBC", 24, 16, 16, 0},
    {"aes128-cbc", "AES-128-CBC", 16, 16, 16, 0},
    {"aes256-gcm@openssh.com", "AES-256-GCM", 32, 12, 16, 16},
    {"aes128-gcm@openssh.com", "AES-128-GCM", 16, 12, 16, 16},
    {"3des-cbc", "DES-EDE3-CBC", 24, 8, 8, 0},
}};

/// The characters between the BEGIN and the END line without white space.
Secret base64_of(std::string_view block) {
    take_line(block);
    const auto end = block.find(end_line);
    if (end == std::string_view::npos)
        malformed("the private key has no END line: the file is cut short");
    const auto body = block.substr(0, end);
    Secret text(body.size());
    for (const auto& c : body)
        if (white_space.find(c) == std::string_view::npos)
            text.append(bytes_of({&c, 1}));
    return text;
}

/// base64_decode would leave copies outside guarded memory.
Secret decode(const Secret& base64) {
    constexpr std::size_t step = 64;
    Secret out(base64.size() / 4 * 3);
    for (auto rest = base64.view(); !rest.empty();) {
        const auto part = rest.first(std::min(step, rest.size()));
        rest = rest.subspan(part.size());
        Wiped<std::array<std::uint8_t, step / 4 * 3 + 1>> bytes;
        const auto length = EVP_DecodeBlock(bytes->data(), part.data(), static_cast<int>(part.size()));
        const auto padding = std::ranges::count(part, std::uint8_t{'='});
        if (length < 0 || part.size() % 4 != 0 || padding > 2 || (padding > 0 && !rest.empty()))
            malformed("the base64 text is damaged");
        out.append(ByteView(*bytes).first(static_cast<std::size_t>(length - padding)));
    }
    return out;
}

struct Container {
    const Cipher* cipher = nullptr; ///< null: not encrypted
    ByteView salt;                  ///< for bcrypt
    std::uint32_t rounds = 0;
    ByteView public_blob, private_section, tag;
};

void read_encryption(std::string_view cipher, std::string_view kdf, wire::Reader options, Container& out) {
    if (cipher == "none") {
        if (kdf != "none" || !options.empty())
            malformed(damaged_private_key);
        return;
    }
    const auto* const found = std::ranges::find(ciphers, cipher, &Cipher::name);
    if (found == ciphers.end() || kdf != "bcrypt")
        unsupported("the private key is encrypted with " + printable(cipher, 64) + " and " +
                        printable(kdf, 64) + ", which cannot be read here",
                    "`ssh-keygen -p -Z aes256-ctr -f FILE`");
    out.cipher = found;
    out.salt = options.string();
    out.rounds = options.uint32();
    options.expect_end();
    if (out.salt.empty() || out.rounds == 0)
        malformed(damaged_private_key);
    if (out.rounds > most_rounds)
        unsupported("the passphrase is stretched by " + std::to_string(out.rounds) +
                    " rounds of bcrypt, more than anybody would wait for");
}

/// Parses the container (PROTOCOL.key section 1) of exactly one key: OpenSSH writes and reads no other
/// number.
Container parse_container(ByteView body) {
    wire::Reader reader(body);
    if (body.size() < magic.size() || text_of(reader.take(magic.size())) != magic)
        malformed("not an OpenSSH private key, though the file says so");
    Container out;
    const auto cipher = reader.text(), kdf = reader.text();
    const wire::Reader options(reader.string());
    if (reader.uint32() != 1)
        unsupported("the file holds more than one private key, or none");
    out.public_blob = reader.string();
    out.private_section = reader.string();
    out.tag = reader.rest();
    read_encryption(cipher, kdf, options, out);
    const auto block = out.cipher == nullptr ? 1 : out.cipher->block;
    if (out.tag.size() != (out.cipher == nullptr ? 0 : out.cipher->tag) ||
        out.private_section.size() % block != 0)
        malformed(damaged_private_key);
    return out;
}

PublicKey usable_public_key(ByteView blob) {
    const auto name = wire::Reader(blob).text();
    if (!key_type_named(name))
        refuse_type(name);
    return PublicKey::from_blob(blob);
}

/// Botan is loaded at the first use and not linked, because most runs do not need it: for this one function
/// it would map 5.7 MB and six more libraries. It stays loaded.
/// @throws Error(not_found)
decltype(&botan_pwdhash) load_botan() {
    void* const botan = ::dlopen(SSHTPM_BOTAN, RTLD_NOW | RTLD_LOCAL);
    void* const found = botan == nullptr ? nullptr : ::dlsym(botan, "botan_pwdhash");
    if (found == nullptr)
        throw Error(Errc::not_found,
                    "Botan, which reads encrypted OpenSSH keys, cannot be loaded: " +
                        printable(::dlerror(), 256),
                    "install the package with " SSHTPM_BOTAN
                    ", or give the key a format that OpenSSL reads: `ssh-keygen -p -m PKCS8 -f KEY`");
    return std::bit_cast<decltype(&botan_pwdhash)>(found);
}

/// @returns the key, then the IV
Secret stretch(const Container& container, const Secret& passphrase) {
    const auto password_hash = load_botan();
    Wiped<std::array<std::uint8_t, 48>> material;
    const auto length = container.cipher->key + container.cipher->iv;
    const auto password = text_of(passphrase.view());
    if (password_hash("Bcrypt-PBKDF", container.rounds, 0, 0, material->data(), length, password.data(),
                      password.size(), container.salt.data(), container.salt.size()) != BOTAN_FFI_SUCCESS)
        throw Error(Errc::io, "Botan could not stretch the passphrase");
    return Secret::copy_of(ByteView(*material).first(length));
}

using CipherAlgorithm = openssl::Owner<EVP_CIPHER, EVP_CIPHER_free>;

openssl::CipherContext start_decryption(const Cipher& cipher, const Secret& material) {
    const CipherAlgorithm algorithm(EVP_CIPHER_fetch(nullptr, cipher.openssl_name, nullptr));
    openssl::CipherContext context(EVP_CIPHER_CTX_new());
    const auto* key = material.view().data();
    openssl::require(
        algorithm && context &&
            EVP_DecryptInit_ex2(context.get(), algorithm.get(), key, key + cipher.key, nullptr) == 1 &&
            EVP_CIPHER_CTX_set_padding(context.get(), 0) == 1,
        Errc::unsupported, "OpenSSL does not have the cipher of the private key");
    return context;
}

/// @returns false if the cipher has a tag, and it is wrong
bool finish_decryption(EVP_CIPHER_CTX* context, ByteView tag) {
    Bytes expected = copy_of(tag); // OpenSSL's parameter has no const
    std::array<std::uint8_t, EVP_MAX_BLOCK_LENGTH> nothing{};
    int length = 0;
    const bool right =
        (tag.empty() || EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, static_cast<int>(expected.size()),
                                            expected.data()) == 1) &&
        EVP_DecryptFinal_ex(context, nothing.data(), &length) == 1;
    ERR_clear_error();
    return right;
}

/// @returns the decrypted private section; nothing if the tag shows that the passphrase is wrong
std::optional<Secret> decrypt(const Container& container, const Secret& passphrase) {
    const auto context = start_decryption(*container.cipher, stretch(container, passphrase));
    constexpr std::size_t step = 4096;
    Secret out(container.private_section.size());
    for (auto rest = container.private_section; !rest.empty();) {
        const auto part = rest.first(std::min(step, rest.size()));
        rest = rest.subspan(part.size());
        Wiped<std::array<std::uint8_t, step + EVP_MAX_BLOCK_LENGTH>> clear;
        int length = 0;
        openssl::require(EVP_DecryptUpdate(context.get(), clear->data(), &length, part.data(),
                                           static_cast<int>(part.size())) == 1,
                         Errc::malformed, damaged_private_key);
        out.append(ByteView(*clear).first(static_cast<std::size_t>(length)));
    }
    return finish_decryption(context.get(), container.tag) ? std::optional(std::move(out)) : std::nullopt;
}

/// The padding is 1, 2, 3 … up to the block size (PROTOCOL.key section 3).
void require_padding(ByteView padding) {
    for (std::size_t i = 0; i < padding.size(); ++i)
        if (padding[i] != ((i + 1) & 0xFFU))
            malformed(damaged_private_key);
}

/// @returns nothing if the check numbers differ, as they do after decryption with a wrong key
std::optional<PrivateKey> read_private_section(ByteView section, const PublicKey& public_key) {
    wire::Reader reader(section);
    const auto check = reader.uint32();
    if (reader.uint32() != check)
        return std::nullopt;
    if (wire::Reader(reader).text() != info(public_key.type()).name)
        malformed(damaged_private_key);
    auto key = read_key_pair(reader).key; // ssh-add sends the same fields to an agent
    require_padding(reader.rest());
    if (key.public_key != public_key)
        malformed("the private half of the key does not belong to its public half");
    return key;
}

} // namespace

OpenedKey read_openssh_key(std::string_view text, const Secret* passphrase) {
    const auto body = decode(base64_of(text));
    const auto container = parse_container(body.view());
    const auto public_key = usable_public_key(container.public_blob);
    if (container.cipher == nullptr) {
        if (auto key = read_private_section(container.private_section, public_key))
            return std::move(*key);
        malformed(damaged_private_key);
    }
    load_botan(); // now, so that it does not fail after a person has typed the passphrase
    if (passphrase == nullptr)
        return NeedsPassphrase{};
    if (passphrase->empty()) // OpenSSH never encrypts with an empty one
        return WrongPassphrase{};
    const auto clear = decrypt(container, *passphrase);
    auto key = clear ? read_private_section(clear->view(), public_key) : std::nullopt;
    return key ? OpenedKey(std::move(*key)) : OpenedKey(WrongPassphrase{});
}

} // namespace sshtpm::ssh
