// SPDX-License-Identifier: MIT
#include "ssh/openssl.hpp"

#include <algorithm>
#include <array>

#include <openssl/objects.h>

namespace sshtpm::ssh::openssl {

namespace {

/// In the order of KeyType.
constexpr std::array<std::string_view, 3> group_names{SN_X9_62_prime256v1, SN_secp384r1, SN_secp521r1};

using EcGroup = Owner<EC_GROUP, EC_GROUP_free>;
using Digest = Owner<EVP_MD, EVP_MD_free>;

} // namespace

const EC_GROUP* group_of(KeyType curve) {
    static const std::array<EcGroup, 3> groups{
        EcGroup(EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1)),
        EcGroup(EC_GROUP_new_by_curve_name(NID_secp384r1)),
        EcGroup(EC_GROUP_new_by_curve_name(NID_secp521r1)),
    };
    const auto* group = groups.at(static_cast<std::size_t>(curve)).get();
    require(group != nullptr, Errc::unsupported, "OpenSSL does not have the curve of this key");
    return group;
}

const char* group_name(KeyType curve) {
    return group_names.at(static_cast<std::size_t>(curve)).data();
}

std::optional<KeyType> curve_of_group(std::string_view group_name) {
    const auto* const found = std::ranges::find(group_names, group_name);
    return found == group_names.end() ? std::nullopt : std::optional(KeyType(found - group_names.begin()));
}

const EVP_MD* fetched(Hash hash) {
    static const std::array<Digest, 3> digests{
        Digest(EVP_MD_fetch(nullptr, "SHA2-256", nullptr)),
        Digest(EVP_MD_fetch(nullptr, "SHA2-384", nullptr)),
        Digest(EVP_MD_fetch(nullptr, "SHA2-512", nullptr)),
    };
    const auto* algorithm = digests.at(static_cast<std::size_t>(hash)).get();
    require(algorithm != nullptr, Errc::unsupported, "OpenSSL has no SHA-2");
    return algorithm;
}

Number number_of(ByteView integer) {
    Number number(BN_secure_new());
    require(number && BN_bin2bn(integer.data(), static_cast<int>(integer.size()), number.get()) != nullptr,
            Errc::io, "OpenSSL has no memory for a number");
    return number;
}

Bytes bytes_of(const BIGNUM* number) {
    Bytes bytes(static_cast<std::size_t>(BN_num_bytes(number)));
    BN_bn2bin(number, bytes.data());
    return bytes;
}

} // namespace sshtpm::ssh::openssl
