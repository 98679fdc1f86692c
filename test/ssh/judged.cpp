// SPDX-License-Identifier: MIT
#include "base/base64.hpp"
#include "ssh/vectors.hpp"
#include "ssh/verify.hpp"
#include "support/catch.hpp"
#include "wire/writer.hpp"

#include <algorithm>

using namespace sshtpm;
using namespace sshtpm::ssh;
using std::chrono::sys_days;
using wire::Writer;
using namespace std::chrono_literals;

namespace {

constexpr auto today = sys_days(2026y / 6 / 1);

Bytes named(std::string_view name) {
    for (const auto& line : vectors::lines("host_certificates.txt"))
        if (const auto words = vectors::words(line); words.at(0) == name)
            return base64_decode(words.at(2));
    throw std::invalid_argument("no such vector");
}

bool certifies(std::string_view certificate, std::string_view authority, std::string_view host,
               std::chrono::system_clock::time_point now = today) {
    return certifies_host(named(certificate), named(authority), host, now);
}

Bytes ecdsa_256(ByteView point) {
    return Writer().text("ecdsa-sha2-nistp256").text("nistp256").string(point).bytes();
}

Bytes token(std::string_view application) {
    return Writer().text("sk-ssh-ed25519@openssh.com").string(Bytes(32)).text(application).bytes();
}

} // namespace

TEST_CASE("a certificate is told from a key by its type") {
    CHECK(is_certificate(named("host-cert")));
    CHECK_FALSE(is_certificate(named("host")));
    CHECK_FALSE(is_certificate(Bytes{}));
    CHECK_FALSE(is_certificate(Bytes{0, 0, 0, 9, 'x'}));
}

TEST_CASE("a host certificate speaks for the hosts that it names, by the word of its authority") {
    const auto [certificate, authority, host, speaks] =
        GENERATE(table<std::string, std::string, std::string, bool>({
            {"host-cert", "ca", "alpha", true},
            {"host-cert", "ca", "beta", true},
            {"host-cert", "ca", "bota.example.com", true},
            {"by-ecdsa", "ecdsa-ca", "alpha", true},
            {"by-rsa-sha2", "rsa-ca", "alpha", true},
            {"host-cert", "ca", "gamma", false},
            {"host-cert", "ca", "Alpha", false},
            {"host-cert", "ca", "bta", false},
            {"host-cert", "ca", "", false},
            {"host-cert", "other-ca", "alpha", false},
            {"host-cert", "host", "alpha", false},
            {"of-a-user", "ca", "alpha", false},
            {"no-principals", "ca", "alpha", false},
            {"critical-option", "ca", "alpha", false},
            {"by-rsa-sha1", "rsa-ca", "alpha", false},
            {"host", "ca", "alpha", false}, // no certificate
            {"ca", "ca", "alpha", false},
        }));
    INFO(certificate << " of " << authority << " for " << host);
    CHECK(certifies(certificate, authority, host) == speaks);
    CHECK_FALSE(certifies_host({}, named("ca"), "alpha", today));
}

TEST_CASE("a host certificate speaks from its first second to the one before its last") {
    const auto from = sys_days(2020y / 1 / 2) + 3h + 4min + 5s;
    const auto until = sys_days(2030y / 1 / 2) + 3h + 4min + 5s;
    CHECK(certifies("until-2030", "ca", "alpha", from));
    CHECK(certifies("until-2030", "ca", "alpha", until - 1s));
    CHECK_FALSE(certifies("until-2030", "ca", "alpha", from - 1s));
    CHECK_FALSE(certifies("until-2030", "ca", "alpha", until));
    CHECK_FALSE(certifies("host-cert", "ca", "alpha", sys_days(1969y / 12 / 31)));
}

TEST_CASE("a host certificate that is changed in any byte speaks for no host") {
    const auto good = named("host-cert");
    for (std::size_t at = 0; at < good.size(); ++at) {
        auto bad = good;
        bad[at] ^= 1U;
        INFO("byte " << at);
        CHECK_FALSE(certifies_host(bad, named("ca"), "alpha", today));
    }
}

TEST_CASE("whatever ssh-keygen reads may be listed") {
    for (const auto& line : vectors::lines("all.pub")) {
        const auto words = vectors::words(line);
        INFO(line);
        CHECK_FALSE(spoils_list(base64_decode(words.at(1))));
    }
}

TEST_CASE("types that OpenSSH does not know may be listed, whatever follows") {
    CHECK_FALSE(spoils_list(Writer().text("new@example.com").raw(Bytes{1, 2}).bytes()));
    CHECK_FALSE(spoils_list(Writer().text("").bytes()));
}

TEST_CASE("every beginning of a key spoils a list, and so does a byte behind it") {
    for (const auto name : {"ecdsa-256", "ecdsa-521", "rsa-2048", "ed25519", "dsa", "ecdsa-256-user-cert",
                            "ed25519-host-cert"}) {
        auto blob = vectors::blob(name);
        const auto type = vectors::words(text_of(blob).substr(4)).at(0).size(); // at least
        for (std::size_t size = 4 + std::min<std::size_t>(type, 11); size < blob.size(); ++size) {
            INFO(name << " " << size);
            CHECK(spoils_list(ByteView(blob).first(size)));
        }
        blob.push_back(0);
        CHECK(spoils_list(blob));
    }
    CHECK(spoils_list(Bytes{}));
}

TEST_CASE("a type with a NUL spoils a list") {
    using namespace std::string_view_literals;
    CHECK(spoils_list(Writer().text("new\0@example.com"sv).bytes()));
    CHECK(spoils_list(Writer().text("ssh-ed25519\0"sv).string(Bytes(32)).bytes()));
    CHECK_FALSE(spoils_list(Writer().text("ssh-mldsa44-ed25519").string(Bytes(1344)).bytes()));
    CHECK(spoils_list(Writer().text("ssh-mldsa44-ed25519").string(Bytes(1343)).bytes()));
    CHECK_FALSE(spoils_list(token("ssh:")));
    CHECK(spoils_list(token("ssh:\0x"sv)));
}

TEST_CASE("a name that OpenSSH takes for another type's spoils a list") {
    for (const auto name :
         {"RSA", "rsa", "Ed25519", "ecdsa-SK", "rsa-sha2-256", "rsa-sha2-512-cert-v01@openssh.com",
          "webauthn-sk-ecdsa-sha2-nistp256@openssh.com"})
        CHECK(spoils_list(Writer().text(name).string(Bytes(32)).bytes()));
}

TEST_CASE(
    "an Ed25519 key of ten bytes, a token without its application, and an RSA key of nothing spoil a list") {
    CHECK(spoils_list(Writer().text("ssh-ed25519").string(Bytes(10)).bytes()));
    CHECK(spoils_list(Writer().text("sk-ssh-ed25519@openssh.com").string(Bytes(32)).bytes()));
    CHECK(spoils_list(Writer().text("ssh-rsa").bytes()));
}

TEST_CASE("a small RSA key and a point that no key has by chance spoil a list") {
    Bytes modulus(96, 0xff);
    CHECK(spoils_list(Writer().text("ssh-rsa").mpint(Bytes{1, 0, 1}).mpint(modulus).bytes()));
    Bytes point(65);
    point.front() = 4;
    CHECK(spoils_list(ecdsa_256(point)));
    // x = 5 is on P-256.
    const auto y = base64_decode("RZJDuapYGAb+kTvOmYF63hHKUDxk2aPFM0FcCDJI+8w=");
    point[32] = 5;
    std::copy(y.begin(), y.end(), point.begin() + 33);
    CHECK(spoils_list(ecdsa_256(point)));
}

TEST_CASE("a certificate that its authority has not signed spoils a list") {
    for (const auto name : {"ecdsa-256-user-cert", "rsa-2048-host-cert"}) {
        auto blob = vectors::blob(name);
        CHECK_FALSE(spoils_list(blob));
        blob.back() ^= 1U;
        CHECK(spoils_list(blob));
    }
}
