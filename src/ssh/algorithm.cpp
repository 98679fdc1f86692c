#include "ssh/algorithm.hpp"

#include <algorithm>
#include <array>

namespace sshtpm::ssh {

namespace {

constexpr std::array<KeyTypeInfo, 4> key_types{{
    {KeyType::ecdsa_p256, "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256-cert-v01@openssh.com", "ECDSA",
     "nistp256", 256, 32, Hash::sha256},
    {KeyType::ecdsa_p384, "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp384-cert-v01@openssh.com", "ECDSA",
     "nistp384", 384, 48, Hash::sha384},
    {KeyType::ecdsa_p521, "ecdsa-sha2-nistp521", "ecdsa-sha2-nistp521-cert-v01@openssh.com", "ECDSA",
     "nistp521", 521, 66, Hash::sha512},
    // RFC 8332 section 3: the blob of an RSA key says "ssh-rsa" whatever hash its signatures use.
    {KeyType::rsa, "ssh-rsa", "ssh-rsa-cert-v01@openssh.com", "RSA", "", 0, 0, Hash::sha256},
}};

static_assert(std::ranges::is_sorted(key_types, {}, &KeyTypeInfo::type) &&
                  key_types.front().type == KeyType{} && key_types.back().type == KeyType::rsa,
              "info() finds a row by the value of its type");

std::optional<KeyType> find(std::string_view KeyTypeInfo::*member, std::string_view name) {
    const auto found = std::ranges::find(key_types, name, member);
    return found == key_types.end() ? std::nullopt : std::optional(found->type);
}

} // namespace

std::size_t digest_size(Hash hash) {
    switch (hash) {
    case Hash::sha256:
        return 32;
    case Hash::sha384:
        return 48;
    case Hash::sha512:
        return 64;
    }
    return 0;
}

const KeyTypeInfo& info(KeyType type) {
    return key_types[static_cast<std::size_t>(type)];
}

std::optional<KeyType> key_type_named(std::string_view name) {
    return find(&KeyTypeInfo::name, name);
}

std::optional<KeyType> key_type_of_certificate(std::string_view name) {
    return find(&KeyTypeInfo::certificate_name, name);
}

std::optional<SignatureAlgorithm> choose_algorithm(KeyType type, std::uint32_t flags) {
    if (type != KeyType::rsa)
        return SignatureAlgorithm{info(type).name, info(type).hash};
    if ((flags & SSH_AGENT_RSA_SHA2_256) != 0)
        return SignatureAlgorithm{"rsa-sha2-256", Hash::sha256};
    if ((flags & SSH_AGENT_RSA_SHA2_512) != 0)
        return SignatureAlgorithm{"rsa-sha2-512", Hash::sha512};
    return std::nullopt;
}

} // namespace sshtpm::ssh
