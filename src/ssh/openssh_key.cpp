// Private keys in OpenSSH's own format (PROTOCOL.key of its source). Botan stretches the passphrase, OpenSSL
// decrypts, and what is in clear is in guarded memory only. (libssh reads these files too, but version 0.10
// has no way to hand out the numbers of an RSA key, and leaves the decrypted section in freed memory.)

#include "base/printable.hpp"
#include "ssh/key_container.hpp"
#include "ssh/key_pair.hpp"
#include "wire/reader.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <botan/ffi.h>
#include <dlfcn.h>
#include <optional>

namespace sshtpm::ssh {

namespace {

using namespace std::string_view_literals;

constexpr auto begin_line = "-----BEGIN OPENSSH PRIVATE KEY-----"sv;
constexpr auto end_line = "-----END OPENSSH PRIVATE KEY-----"sv;
constexpr auto magic = "openssh-key-v1\0"sv;

/// A file asks for its own number of rounds; a thousand take seconds.
constexpr std::uint32_t most_rounds = 10'000;

/// Of the ciphers that ssh-keygen -Z offers, those that OpenSSL has in the same form.
struct Cipher {
    std::string_view name;
    const char* openssl_name;
    std::size_t key, iv, block, tag; ///< bytes
};
constexpr std::array<Cipher, 9> ciphers{{
    {"aes256-ctr", "AES-256-CTR", 32, 16, 16, 0}, // what ssh-keygen takes by itself
    {"aes192-ctr", "AES-192-CTR", 24, 16, 16, 0},
    {"aes128-ctr", "AES-128-CTR", 16, 16, 16, 0},
    {"aes256-cbc", "AES-256-CBC", 32, 16, 16, 0},
    {"aes192-cbc", "AES-192-CBC", 24, 16, 16, 0},
    {"aes128-cbc", "AES-128-CBC", 16, 16, 16, 0},
    {"aes256-gcm@openssh.com", "AES-256-GCM", 32, 12, 16, 16},
    {"aes128-gcm@openssh.com", "AES-128-GCM", 16, 12, 16, 16},
    {"3des-cbc", "DES-EDE3-CBC", 24, 8, 8, 0},
}};

/// Null when it is not known.
const Cipher* find_cipher(std::string_view name) {
    const auto* const found = std::ranges::find(ciphers, name, &Cipher::name);
    return found == ciphers.end() ? nullptr : found;
}

/// From the BEGIN line to the END line.
std::string_view block_of(std::string_view text) {
    const auto block = text.substr(text.find(begin_line));
    const auto at = block.find(end_line);
    if (at == std::string_view::npos)
        malformed("the private key has no END line: the file is cut short");
    return block.substr(0, at + end_line.size());
}

/// The characters between the two lines, white space left out.
Secret base64_of(std::string_view block) {
    const auto body = block.substr(begin_line.size(), block.size() - begin_line.size() - end_line.size());
    Secret text(body.size());
    for (const auto& c : body)
        if (" \t\r\n"sv.find(c) == std::string_view::npos)
            text.append(bytes_of({&c, 1}));
    return text;
}

/// In guarded memory: base64_decode would leave copies.
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
    std::string_view cipher, kdf;
    ByteView kdf_options, public_blob, private_section, tag;
};

void require_known(const Container& container) {
    if (container.cipher == "none") {
        if (container.kdf != "none" || !container.kdf_options.empty() || !container.tag.empty())
            malformed(damaged_private_key);
        return;
    }
    const auto* const cipher = find_cipher(container.cipher);
    if (cipher == nullptr || container.kdf != "bcrypt")
        throw Error(Errc::unsupported,
                    "the private key is encrypted with " + printable(container.cipher, 64) + " and " +
                        printable(container.kdf, 64) + ", which cannot be read here",
                    "ssh-keygen -p -Z aes256-ctr -f FILE");
    wire::Reader options(container.kdf_options);
    const auto salt = options.string();
    const auto rounds = options.uint32();
    options.expect_end();
    if (salt.empty() || rounds == 0 || container.tag.size() != cipher->tag ||
        container.private_section.size() % cipher->block != 0)
        malformed(damaged_private_key);
    if (rounds > most_rounds)
        throw Error(Errc::unsupported, "the passphrase is stretched by " + std::to_string(rounds) +
                                           " rounds of bcrypt, more than anybody would wait for");
}

/// PROTOCOL.key section 1, with one key, as OpenSSH writes and reads it.
Container parse_container(ByteView body) {
    wire::Reader reader(body);
    if (body.size() < magic.size() || text_of(reader.take(magic.size())) != magic)
        malformed("not an OpenSSH private key, though the file says so");
    Container out;
    out.cipher = reader.text();
    out.kdf = reader.text();
    out.kdf_options = reader.string();
    if (reader.uint32() != 1)
        throw Error(Errc::unsupported, "the file holds more than one private key, or none");
    out.public_blob = reader.string();
    out.private_section = reader.string();
    out.tag = reader.rest();
    require_known(out);
    return out;
}

PublicKey usable_public_key(ByteView blob) {
    const auto name = wire::Reader(blob).text();
    if (!key_type_named(name))
        refuse_type(name);
    return PublicKey::from_blob(blob);
}

/// Botan is loaded for the keys that need it and not linked: for this one function it maps 5.7 MB and six
/// more libraries into every start. Once loaded it stays.
/// @throws Error(not_found)
decltype(&botan_pwdhash) load_botan() {
    void* const botan = ::dlopen(SSHTPM_BOTAN, RTLD_NOW | RTLD_LOCAL);
    void* const found = botan == nullptr ? nullptr : ::dlsym(botan, "botan_pwdhash");
    if (found == nullptr)
        throw Error(Errc::not_found,
                    "Botan, which reads encrypted OpenSSH keys, cannot be loaded: " +
                        printable(::dlerror(), 256),
                    "install the package with " SSHTPM_BOTAN
                    ", or give the key a format that OpenSSL reads: ssh-keygen -p -m PKCS8 -f KEY");
    return std::bit_cast<decltype(&botan_pwdhash)>(found);
}

/// The key and the IV that the passphrase gives, one behind the other.
Secret stretch(const Container& container, const Cipher& cipher, const Secret& passphrase) {
    const auto password_hash = load_botan();
    Wiped<std::array<std::uint8_t, 48>> material;
    const auto length = cipher.key + cipher.iv;
    wire::Reader options(container.kdf_options);
    const auto salt = options.string();
    const auto rounds = options.uint32();
    const auto password = text_of(passphrase.view());
    if (password_hash("Bcrypt-PBKDF", rounds, 0, 0, material->data(), length, password.data(),
                      password.size(), salt.data(), salt.size()) != BOTAN_FFI_SUCCESS)
        throw Error(Errc::io, "Botan could not stretch the passphrase");
    return Secret::copy_of(ByteView(*material).first(length));
}

using CipherContext = Owner<EVP_CIPHER_CTX, EVP_CIPHER_CTX_free>;
using CipherAlgorithm = Owner<EVP_CIPHER, EVP_CIPHER_free>;

CipherContext start_decryption(const Cipher& cipher, const Secret& material) {
    const CipherAlgorithm algorithm(EVP_CIPHER_fetch(nullptr, cipher.openssl_name, nullptr));
    CipherContext context(EVP_CIPHER_CTX_new());
    const auto* key = material.view().data();
    openssl::require(
        algorithm && context &&
            EVP_DecryptInit_ex2(context.get(), algorithm.get(), key, key + cipher.key, nullptr) == 1 &&
            EVP_CIPHER_CTX_set_padding(context.get(), 0) == 1,
        Errc::unsupported, "OpenSSL does not have the cipher of the private key");
    return context;
}

/// Of a cipher with a tag: whether the tag is right. Of others, whether OpenSSL is content.
bool finish_decryption(EVP_CIPHER_CTX* context, ByteView tag) {
    Bytes expected = copy_of(tag); // OpenSSL takes it without const
    std::array<std::uint8_t, EVP_MAX_BLOCK_LENGTH> nothing{};
    int length = 0;
    const bool right =
        (tag.empty() || EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, static_cast<int>(expected.size()),
                                            expected.data()) == 1) &&
        EVP_DecryptFinal_ex(context, nothing.data(), &length) == 1;
    ERR_clear_error();
    return right;
}

/// The private section in clear; nothing when the passphrase is seen to be wrong already.
std::optional<Secret> decrypt(const Container& container, const Secret& passphrase) {
    const auto& cipher = *find_cipher(container.cipher);
    const auto context = start_decryption(cipher, stretch(container, cipher, passphrase));
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

/// PROTOCOL.key section 3: behind the comment stand 1, 2, 3 … up to the block size.
void require_padding(ByteView padding) {
    for (std::size_t i = 0; i < padding.size(); ++i)
        if (padding[i] != ((i + 1) & 0xFFU))
            malformed(damaged_private_key);
}

/// Nothing when the check numbers differ, as they do when a section is decrypted with the wrong key.
std::optional<PrivateKey> read_private_section(ByteView section, const PublicKey& public_key) {
    wire::Reader reader(section);
    const auto check = reader.uint32();
    if (reader.uint32() != check)
        return std::nullopt;
    if (wire::Reader(reader).text() != info(public_key.type()).name)
        malformed(damaged_private_key);
    auto key = read_key_pair(reader).key; // an agent is sent the same fields
    require_padding(reader.rest());
    if (key.public_key != public_key)
        malformed("the private half of the key does not belong to its public half");
    return key;
}

} // namespace

bool is_openssh_key(std::string_view text) noexcept {
    const auto first = text.find("-----BEGIN ");
    return first != std::string_view::npos && text.substr(first).starts_with(begin_line);
}

OpenedKey read_openssh_key(std::string_view text, const Secret* passphrase) {
    const auto body = decode(base64_of(block_of(text)));
    const auto container = parse_container(body.view());
    const auto public_key = usable_public_key(container.public_blob);
    if (container.cipher == "none") {
        if (auto key = read_private_section(container.private_section, public_key))
            return std::move(*key);
        malformed(damaged_private_key);
    }
    load_botan(); // or nobody is asked for the passphrase
    if (passphrase == nullptr)
        return NeedsPassphrase{};
    if (passphrase->empty()) // OpenSSH encrypts with none
        return WrongPassphrase{};
    const auto clear = decrypt(container, *passphrase);
    auto key = clear ? read_private_section(clear->view(), public_key) : std::nullopt;
    return key ? OpenedKey(std::move(*key)) : OpenedKey(WrongPassphrase{});
}

} // namespace sshtpm::ssh
