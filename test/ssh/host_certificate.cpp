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
