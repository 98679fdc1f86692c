#pragma once
// The numbers in the ASN.1 module of draft-bottomley-tpm2-keys, section 3.1.

#include <array>
#include <cstdint>
#include <string_view>

namespace sshtpm::keyfile::asn1 {

inline constexpr std::string_view pem_label = "TSS2 PRIVATE KEY";
/// Of a line in front of the PEM block that holds the description.
inline constexpr std::string_view comment_prefix = "Comment: ";

/// The content octets of id-tpmkey, 2.23.133.10.1, and one arc more: the kind of key.
using Oid = std::array<std::uint8_t, 6>;
inline constexpr Oid loadable_key{0x67, 0x81, 0x05, 0x0A, 0x01, 0x03};
inline constexpr Oid importable_key{0x67, 0x81, 0x05, 0x0A, 0x01, 0x04};
inline constexpr Oid sealed_key{0x67, 0x81, 0x05, 0x0A, 0x01, 0x05};

// TPMKey
inline constexpr unsigned empty_auth = 0;
inline constexpr unsigned policy = 1;
inline constexpr unsigned secret = 2;
inline constexpr unsigned auth_policy = 3;
inline constexpr unsigned description = 4;
inline constexpr unsigned rsa_parent = 5;
inline constexpr unsigned highest = 30; ///< of any one-octet tag

// TPMPolicy
inline constexpr unsigned command_code = 0;
inline constexpr unsigned command_policy = 1;

// TPMAuthPolicy
inline constexpr unsigned auth_policy_name = 0;
inline constexpr unsigned auth_policy_policy = 1;

} // namespace sshtpm::keyfile::asn1
