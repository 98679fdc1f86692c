#include "keyfile/wrap.hpp"

#include "base/error.hpp"
#include "keyfile/marshal.hpp"
#include "parts.hpp"
#include "support/test.hpp"

using namespace sshtpm;
using namespace support;

namespace {

struct Wrapping {
    TPMT_PUBLIC parent = keyfile::parse_parent(data_file("keyfile/parents/ecc-p256.pub"));
    TPMT_PUBLIC key = keyfile_test::key_from("go-ec-p256-importable.tpm").public_area;
    Secret sensitive = Secret::copy_of(Bytes(32, 1));

    keyfile::KeyFile wrap(std::string_view pin = "") const {
        return keyfile::wrap(parent, key, sensitive, bytes_of(pin));
    }
};

} // namespace

TEST_CASE("a wrapped key is an importable key file, and never the same twice") {
    const Wrapping wrapping;
    const auto a = wrapping.wrap("1234"), b = wrapping.wrap("1234"), without = wrapping.wrap();
    CHECK(a.kind == keyfile::KeyKind::importable);
    CHECK_FALSE(a.empty_auth);
    CHECK(without.empty_auth);
    CHECK(a.parent == TPM2_RH_OWNER);
    CHECK(a.secret != b.secret);
    CHECK(keyfile::marshal_private(a.private_area) != keyfile::marshal_private(b.private_area));
    // How long the PIN is cannot be seen.
    CHECK(a.private_area.size == without.private_area.size);
    CHECK(keyfile_test::same(keyfile::parse_pem(keyfile::to_pem(a)), a));
}

TEST_CASE("what does not fit is not wrapped") {
    Wrapping wrapping;
    CHECK(refusal([&] { wrapping.wrap(std::string(33, 'x')); }) == Errc::malformed);
    SECTION("a number that no key has") {
        wrapping.sensitive = Secret::copy_of(Bytes(1000, 'x'));
    }
    SECTION("a point that is not on the curve") {
        wrapping.parent.unique.ecc.y.buffer[31] ^= 1U;
    }
    SECTION("a coordinate that is too wide") {
        wrapping.parent.unique.ecc.x.size = 33;
        wrapping.parent.unique.ecc.x.buffer[0] = 1;
    }
    CHECK(refusal([&] { wrapping.wrap(); }) == Errc::malformed);
}
