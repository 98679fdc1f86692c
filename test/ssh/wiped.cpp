// SPDX-License-Identifier: MIT
// A program of its own, with the free() of ssh-tpm (base/zeroing_free.cpp).

#include "base/error.hpp"
#include "base/unique_fd.hpp"
#include "ssh/private_key.hpp"
#include "support/test.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <unistd.h>

using namespace sshtpm;
using namespace support;

namespace {

constexpr std::size_t window = 16; ///< bytes of a secret that must not be found in a row
constexpr std::uint64_t mask = 0x5A5A'5A5A'5A5A'5A5A;

/// Gives the bytes a form that is not found when they are looked for. Eight at a time: there are many.
void hide(std::span<std::uint8_t> bytes) {
    for (std::size_t at = 0; at < bytes.size(); at += sizeof mask) {
        const auto size = std::min(sizeof mask, bytes.size() - at);
        std::uint64_t word = 0;
        std::memcpy(&word, bytes.data() + at, size);
        word ^= mask;
        std::memcpy(bytes.data() + at, &word, size);
    }
}

Bytes hidden(ByteView bytes) {
    auto out = copy_of(bytes);
    hide(out);
    return out;
}

/// Whether any part of the secret stands in the memory; both are hidden.
bool holds_part(ByteView hidden_memory, ByteView hidden_secret) {
    for (std::size_t part = 0; part + window <= hidden_secret.size(); part += window / 2)
        if (text_of(hidden_memory).find(text_of(hidden_secret.subspan(part, window))) !=
            std::string_view::npos)
            return true;
    return false;
}

bool all_the_same(ByteView bytes) {
    return bytes.empty() || std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0;
}

struct Region {
    std::uintptr_t from, to;
};

/// What this process can write to, apart from the shadow memory of a sanitizer.
std::vector<Region> writable_memory() {
    constexpr std::uintptr_t huge = std::uintptr_t{1} << 30U;
    std::vector<Region> out;
    std::ifstream maps("/proc/self/maps");
    for (std::string line; std::getline(maps, line);) {
        const auto dash = line.find('-'), space = line.find(' ');
        const Region region{std::stoul(line.substr(0, dash), nullptr, 16),
                            std::stoul(line.substr(dash + 1, space - dash - 1), nullptr, 16)};
        if (line.substr(space + 1, 2) == "rw" && region.to - region.from < huge)
            out.push_back(region);
    }
    return out;
}

/// In how many places of this process' memory a part of the secret stands, forwards or backwards (as OpenSSL
/// keeps numbers).
int places_of(const Bytes& hidden_secret) {
    const Bytes backwards(hidden_secret.rbegin(), hidden_secret.rend());
    const UniqueFd memory(::open("/proc/self/mem", O_RDONLY | O_CLOEXEC));
    REQUIRE(memory);
    int found = 0;
    Bytes page(std::size_t{1} << 16U);
    for (const auto& region : writable_memory())
        for (auto at = region.from; at < region.to; at += page.size() - window) {
            std::ranges::fill(page, std::uint8_t{0}); // or what was read would be found here
            const auto wanted = std::min<std::uintptr_t>(page.size(), region.to - at);
            const auto got = ::pread(memory.value(), page.data(), wanted, static_cast<off_t>(at));
            const auto part = std::span(page).first(got < 0 ? 0 : static_cast<std::size_t>(got));
            if (all_the_same(part)) // as most of the heap is
                continue;
            hide(part);
            found += holds_part(part, hidden_secret) || holds_part(part, backwards) ? 1 : 0;
        }
    return found;
}

/// Opens the key and gives it up. @returns its sensitive part, hidden.
Bytes opened_and_gone(const std::string& name) {
    const auto file = Secret::copy_of(data_file("ssh/private/" + name));
    const auto passphrase = Secret::copy_of(bytes_of("correct horse"));
    const auto key = ssh::open_private_key(file, &passphrase);
    return hidden(std::get<ssh::PrivateKey>(key).sensitive.view());
}

} // namespace

TEST_CASE("nothing of a private key stays in memory") {
    for (const auto* const name : {"ecdsa-256", "rsa-2048"})
        for (const auto* const container :
             {"openssh", "openssh-encrypted", "pem", "pem-encrypted", "pkcs8", "pkcs8-encrypted"}) {
            const auto file = std::string(name) + '.' + container;
            INFO(file);
            CHECK(places_of(opened_and_gone(file)) == 0);
        }
}

TEST_CASE("what stays in memory is found") {
    const auto secret = Secret::copy_of(bytes_of("the search must be able to find something"));
    CHECK(places_of(hidden(secret.view())) > 0);
}
