#include "ssh/host_certificate.hpp"

#include "base/base64.hpp"
#include "ssh/vectors.hpp"
#include "support/catch.hpp"

using namespace sshtpm;
using namespace sshtpm::ssh;
using std::chrono::sys_days;
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

} // namespace

TEST_CASE("a certificate is told from a key by its type") {
    CHECK(is_certificate(named("host-cert")));
    CHECK_FALSE(is_certificate(named("host")));
    CHECK_FALSE(is_certificate(Bytes{}));
    CHECK_FALSE(is_certificate(Bytes{0, 0, 0, 9, 'x'}));
}

TEST_CASE("a host certificate speaks for the hosts that it names, by the word of its authority") {
    CHECK(certifies("host-cert", "ca", "alpha"));
    CHECK(certifies("host-cert", "ca", "beta"));
    CHECK(certifies("host-cert", "ca", "bota.example.com"));
    CHECK(certifies("by-ecdsa", "ecdsa-ca", "alpha"));
    CHECK(certifies("by-rsa-sha2", "rsa-ca", "alpha"));

    CHECK_FALSE(certifies("host-cert", "ca", "gamma"));
    CHECK_FALSE(certifies("host-cert", "ca", "Alpha"));
    CHECK_FALSE(certifies("host-cert", "ca", "bta"));
    CHECK_FALSE(certifies("host-cert", "ca", ""));
    CHECK_FALSE(certifies("host-cert", "other-ca", "alpha"));
    CHECK_FALSE(certifies("host-cert", "host", "alpha"));
}

TEST_CASE("a certificate of a user, without principals, or with critical options speaks for no host") {
    CHECK_FALSE(certifies("of-a-user", "ca", "alpha"));
    CHECK_FALSE(certifies("no-principals", "ca", "alpha"));
    CHECK_FALSE(certifies("critical-option", "ca", "alpha"));
}

TEST_CASE("a certificate signed with SHA-1 speaks for no host") {
    CHECK_FALSE(certifies("by-rsa-sha1", "rsa-ca", "alpha"));
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

TEST_CASE("what is not a certificate speaks for no host") {
    CHECK_FALSE(certifies("host", "ca", "alpha"));
    CHECK_FALSE(certifies("ca", "ca", "alpha"));
    CHECK_FALSE(certifies_host({}, named("ca"), "alpha", today));
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
