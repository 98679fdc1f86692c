// SPDX-License-Identifier: MIT
// Endorsement certificates with a chain, and files of a folder of roots. The first octet chooses: a file of
// roots, or whether an extended key usage must be there. Then each certificate has a length of two octets in
// front. A certificate that is taken is signed, so it is one of test/data: no change of one is ever taken.

#include "attest/endorsement.hpp"
#include "fuzz/target.hpp"
#include "support/data.hpp"

#include <algorithm>
#include <cstdint>
#include <set>

using namespace sshtpm;

namespace {

constexpr std::chrono::system_clock::time_point ek_test_time{std::chrono::seconds(1798761600)}; // 2027-01-01

const attest::EkRoots& ek_test_roots() {
    static const auto roots = attest::EkRoots::read(support::data_path("attest/maker"));
    return roots;
}

bool is_good_certificate(const Bytes& certificate) {
    static const auto good = [] {
        std::set<Bytes> all;
        for (const auto* name : {"rsa-2048", "p256", "p384", "p521", "one-rdn", "odd-letters", "below-root",
                                 "by-pss", "no-subject", "no-eku"})
            all.insert(support::data_file(std::string("attest/good/") + name + ".der"));
        return all;
    }();
    return good.contains(certificate);
}

/// Certificates with their lengths in front. The last one may be cut short.
std::vector<Bytes> certificates_in(ByteView bytes) {
    std::vector<Bytes> all;
    while (bytes.size() >= 2 && all.size() < 8) {
        const auto told = static_cast<std::size_t>(bytes[0]) << 8U | bytes[1];
        const auto length = std::min(told, bytes.size() - 2);
        all.push_back(copy_of(bytes.subspan(2, length)));
        bytes = bytes.subspan(2 + length);
    }
    return all;
}

} // namespace

FUZZ_TARGET(ek_certificate) {
    if (size == 0)
        return;
    const auto input = ByteView(data, size).subspan(1);
    if (data[0] == 'F') {
        attempt([&] { attest::EkRoots().add(input); });
        return;
    }
    const auto certificates = certificates_in(input);
    if (certificates.empty())
        return;
    const auto eku = data[0] == 'O' ? attest::Eku::optional : attest::Eku::required;
    const auto facts = taken([&] {
        return ek_test_roots().verify(certificates[0], std::span(certificates).subspan(1), eku, ek_test_time);
    });
    require(!facts || is_good_certificate(certificates[0]));
}
