#include "ssh/algorithm.hpp"

#include <algorithm>

namespace sshtpm::ssh {

namespace {

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
