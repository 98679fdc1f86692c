// SPDX-License-Identifier: MIT
#include "ssh/algorithm.hpp"

#include <algorithm>
#include <cstdint>

namespace sshtpm::ssh {

namespace {

std::optional<KeyType> find(decltype(&KeyTypeInfo::name) member, std::string_view name) {
    const auto found = std::ranges::find(key_types, name, member);
    return found == key_types.end() ? std::nullopt : std::optional(found->type);
}

constexpr std::array rsa_algorithms{
    SignatureAlgorithm{"rsa-sha2-512", Hash::sha512, SSH_AGENT_RSA_SHA2_512},
    SignatureAlgorithm{"rsa-sha2-256", Hash::sha256, SSH_AGENT_RSA_SHA2_256},
};

/// In the order of KeyType.
constexpr std::array ecdsa_algorithms{
    SignatureAlgorithm{info(KeyType::ecdsa_p256).name, info(KeyType::ecdsa_p256).hash},
    SignatureAlgorithm{info(KeyType::ecdsa_p384).name, info(KeyType::ecdsa_p384).hash},
    SignatureAlgorithm{info(KeyType::ecdsa_p521).name, info(KeyType::ecdsa_p521).hash},
};

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

std::span<const SignatureAlgorithm> algorithms_of(KeyType type) {
    if (type == KeyType::rsa)
        return rsa_algorithms;
    return std::span(ecdsa_algorithms).subspan(static_cast<std::size_t>(type), 1);
}

std::optional<SignatureAlgorithm> choose_algorithm(KeyType type, std::uint32_t flags) {
    const auto algorithms = algorithms_of(type);
    if (type != KeyType::rsa)
        return algorithms.front();
    const auto asked = std::find_if(algorithms.rbegin(), algorithms.rend(),
                                    [&](const auto& algorithm) { return (flags & algorithm.flag) != 0; });
    return asked == algorithms.rend() ? std::nullopt : std::optional(*asked);
}

} // namespace sshtpm::ssh
