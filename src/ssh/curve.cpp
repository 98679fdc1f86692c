#include "ssh/curve.hpp"

#include <algorithm>
#include <array>

#include <openssl/objects.h>

namespace sshtpm::ssh::openssl {

namespace {

struct Curve {
    KeyType type;
    int nid;
    const char* name;
};

constexpr std::array<Curve, 3> curves{{
    {KeyType::ecdsa_p256, NID_X9_62_prime256v1, SN_X9_62_prime256v1},
    {KeyType::ecdsa_p384, NID_secp384r1, SN_secp384r1},
    {KeyType::ecdsa_p521, NID_secp521r1, SN_secp521r1},
}};
static_assert(std::ranges::is_sorted(curves, {}, &Curve::type) && curves.front().type == KeyType{},
              "a row is found by the value of its type");

} // namespace

const EC_GROUP* group_of(KeyType curve) {
    static const std::array<EcGroup, 3> groups{
        EcGroup(EC_GROUP_new_by_curve_name(curves[0].nid)),
        EcGroup(EC_GROUP_new_by_curve_name(curves[1].nid)),
        EcGroup(EC_GROUP_new_by_curve_name(curves[2].nid)),
    };
    const auto* group = groups.at(static_cast<std::size_t>(curve)).get();
    require(group != nullptr, Errc::unsupported, "OpenSSL does not have the curve of this key");
    return group;
}

const char* group_name(KeyType curve) {
    return curves.at(static_cast<std::size_t>(curve)).name;
}

std::optional<KeyType> curve_of_group(std::string_view group_name) {
    const auto found = std::ranges::find(curves, group_name, &Curve::name);
    return found == curves.end() ? std::nullopt : std::optional(found->type);
}

} // namespace sshtpm::ssh::openssl
