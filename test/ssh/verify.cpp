// SPDX-License-Identifier: MIT
#include "ssh/verify.hpp"

#include "ssh/certificate.hpp"
#include "ssh/vectors.hpp"
#include "support/test.hpp"
#include "wire/reader.hpp"
#include "wire/writer.hpp"

#include <algorithm>
#include <cstdint>

using namespace sshtpm;
using namespace support;
using namespace sshtpm::ssh;

namespace {

/// A signature that ssh-agent made.
struct AgentSignature {
    std::string name;
    std::string flags;
    Bytes key_blob, data, signature;

    /// DSA, and what the flags of SHA-2 were missing for.
    bool is_old() const { return name == "refused-dsa" || (name.starts_with("rsa") && flags == "0"); }
    bool is_certificate() const { return wire::Reader(key_blob).text().ends_with("-cert-v01@openssh.com"); }
};

std::vector<AgentSignature> agent_signatures() {
    std::vector<AgentSignature> out;
    for (const auto& line : vectors::lines("agent/signatures.txt")) {
        const auto words = vectors::words(line);
        out.push_back({words.at(0), words.at(1), unhex(words.at(2)), unhex(words.at(3)), unhex(words.at(4))});
    }
    return out;
}

std::vector<AgentSignature> good_ones() {
    auto all = agent_signatures();
    std::erase_if(all, [](const auto& one) { return one.is_old(); });
    return all;
}

AgentSignature one_of(const std::string& name) {
    for (auto& one : good_ones())
        if (one.name == name)
            return one;
    throw std::out_of_range(name);
}

bool verified(const AgentSignature& one) {
    return verify_signature(one.key_blob, one.signature, one.data);
}

Bytes signature_of(std::string_view algorithm, ByteView value) {
    return wire::Writer().text(algorithm).string(value).bytes();
}

Bytes value_of(ByteView signature) {
    wire::Reader reader(signature);
    reader.text();
    return copy_of(reader.string());
}

std::string algorithm_of(ByteView signature) {
    return std::string(wire::Reader(signature).text());
}

/// The signature after a change of its value.
template <class Change>
bool verified_after(const std::string& name, Change&& change) {
    auto one = one_of(name);
    auto value = value_of(one.signature);
    change(value);
    one.signature = signature_of(algorithm_of(one.signature), value);
    return verified(one);
}

constexpr const char* one_of_each[] = {"ecdsa-256", "ecdsa-384", "ecdsa-521", "rsa-2048", "refused-ed25519"};

} // namespace

TEST_CASE("signatures of ssh-agent are the key's, and those of a certificate the certified key's") {
    std::size_t certificates = 0;
    const auto all = good_ones();
    for (const auto& one : all) {
        INFO(one.name << ' ' << one.flags);
        CHECK(verified(one));
        certificates += one.is_certificate() ? 1U : 0U;
    }
    CHECK(all.size() == 20); // three ECDSA, three RSA with two hashes, Ed25519
    CHECK(certificates == 10);
}

TEST_CASE("signatures with DSA and with SHA-1 are not taken, right as they are") {
    std::size_t count = 0;
    for (const auto& one : agent_signatures())
        if (one.is_old()) {
            ++count;
            CHECK((algorithm_of(one.signature) == "ssh-rsa" || algorithm_of(one.signature) == "ssh-dss"));
            CHECK_FALSE(verified(one));
        }
    CHECK(count == 8);
}

TEST_CASE("signatures over other data, and of other keys, are false") {
    const auto all = good_ones();
    for (auto one : all) {
        one.data.front() ^= 1U;
        CHECK_FALSE(verified(one));
        one.data.clear();
        CHECK_FALSE(verified(one));
    }
    for (const auto& one : all)
        for (const auto& other : all)
            if (one.name != other.name)
                CHECK_FALSE(verify_signature(other.key_blob, one.signature, one.data));
}

TEST_CASE("every prefix of a signature and of a key blob is false, and so is a byte behind them") {
    for (const auto* const name : one_of_each) {
        INFO(name);
        const auto one = one_of(name);
        for (std::size_t length = 0; length < one.signature.size(); ++length)
            CHECK_FALSE(verify_signature(one.key_blob, ByteView(one.signature).first(length), one.data));
        for (std::size_t length = 0; length < one.key_blob.size(); ++length)
            CHECK_FALSE(verify_signature(ByteView(one.key_blob).first(length), one.signature, one.data));
        auto longer = one;
        longer.signature.push_back(0);
        CHECK_FALSE(verified(longer));
        longer = one;
        longer.key_blob.push_back(0);
        CHECK_FALSE(verified(longer));
        CHECK_FALSE(verified_after(name, [](Bytes& value) { value.push_back(0); }));
        CHECK_FALSE(verified_after(name, [](Bytes& value) { value.pop_back(); }));
        CHECK_FALSE(verified_after(name, [](Bytes& value) { value.clear(); }));
        CHECK(verified_after(name, [](Bytes&) {}));
    }
}

TEST_CASE("a signature with any bit changed is false") {
    for (const auto* const name : one_of_each) {
        const auto one = one_of(name);
        for (std::size_t at = 0; at < one.signature.size(); ++at) {
            auto changed = one;
            changed.signature[at] ^= static_cast<std::uint8_t>(1U << (at % 8));
            INFO(name << ", " << at);
            CHECK_FALSE(verified(changed));
        }
    }
}

TEST_CASE("an algorithm that is not the key's is false") {
    for (const auto* const name : one_of_each) {
        const auto one = one_of(name);
        for (const auto* const algorithm :
             {"", "ssh-rsa", "rsa-sha2-256", "rsa-sha2-512", "ssh-dss", "ecdsa-sha2-nistp256",
              "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-ed25519", "sk-ssh-ed25519@openssh.com",
              "ecdsa-sha2-nistp256-cert-v01@openssh.com", "rsa-sha2-256-cert-v01@openssh.com"}) {
            INFO(name << ", " << algorithm);
            CHECK(verify_signature(one.key_blob, signature_of(algorithm, value_of(one.signature)),
                                   one.data) == (algorithm == algorithm_of(one.signature)));
        }
    }
}

TEST_CASE("an RSA signature without its leading zero bytes is right, as in OpenSSH, one with more is not") {
    const auto padded = [](Bytes& value) { value.insert(value.begin(), 0); };
    CHECK_FALSE(verified_after("rsa-2048", padded));
    bool found = false;
    for (const auto& line : vectors::lines("openssl-signatures.txt")) {
        const auto words = vectors::words(line);
        if (words[0] != "rsa-2048" || !words[3].starts_with("00"))
            continue;
        found = true;
        const auto value = unhex(words[3]);
        const auto check = [&](ByteView given) {
            return verify_signature(vectors::blob("rsa-2048"), signature_of("rsa-sha2-256", given),
                                    unhex(words[2]));
        };
        CHECK(check(value));
        CHECK(check(without_leading_zeros(value)));
    }
    CHECK(found);
}

TEST_CASE("ECDSA numbers that are zero, negative or of needless length are false") {
    const auto one = one_of("ecdsa-256");
    const auto value = value_of(one.signature);
    wire::Reader reader(value);
    const auto r = copy_of(reader.unsigned_mpint()), s = copy_of(reader.unsigned_mpint());
    const auto with = [&](const Bytes& first, const Bytes& second) {
        const auto numbers = wire::Writer().string(first).string(second).bytes();
        return verify_signature(one.key_blob, signature_of("ecdsa-sha2-nistp256", numbers), one.data);
    };
    const auto mpint = [](ByteView number) {
        const auto written = wire::Writer().mpint(number).bytes();
        return copy_of(ByteView(written).subspan(4));
    };
    CHECK(with(mpint(r), mpint(s)));
    CHECK_FALSE(with({}, mpint(s)));
    CHECK_FALSE(with(mpint(r), {}));
    CHECK_FALSE(with(Bytes(32, 0xff), mpint(s)));
    CHECK_FALSE(with(mpint(r), Bytes(32, 0x80)));
    CHECK_FALSE(with(fixed_width(r, 40), mpint(s)));
    CHECK_FALSE(with(mpint(s), mpint(r)));
}

TEST_CASE("an Ed25519 signature with the order added to its number is false") {
    // RFC 8032 section 5.1.7 wants S below the order; otherwise each signature would have a second form.
    auto order = unhex("1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed");
    std::ranges::reverse(order);
    CHECK_FALSE(verified_after("refused-ed25519", [&](Bytes& value) {
        unsigned carry = 0;
        for (std::size_t i = 0; i < order.size(); ++i) {
            carry += value[32 + i] + order[i];
            value[32 + i] = static_cast<std::uint8_t>(carry);
            carry >>= 8U;
        }
    }));
}

TEST_CASE("keys of security tokens, of unknown types and what is no key are false") {
    for (const auto* const name : one_of_each) {
        auto one = one_of(name);
        for (const auto& blob :
             {Bytes{}, Bytes(4, 0), Bytes(64, 0xff), wire::Writer().text("ssh-unknown").bytes(),
              wire::Writer().text("none").string(one.key_blob).bytes()})
            CHECK_FALSE(verify_signature(blob, one.signature, one.data));
    }
    const auto ed25519 = one_of("refused-ed25519");
    wire::Reader reader(ed25519.key_blob);
    reader.text();
    const auto sk =
        wire::Writer().text("sk-ssh-ed25519@openssh.com").string(reader.string()).text("ssh:").bytes();
    CHECK_FALSE(verify_signature(sk, ed25519.signature, ed25519.data));
    CHECK_FALSE(verify_signature(sk, signature_of("sk-ssh-ed25519@openssh.com", value_of(ed25519.signature)),
                                 ed25519.data));
}

TEST_CASE("signatures of FIDO, DSA, ML-DSA and unknown keys cannot be checked") {
    const auto named = [](std::string_view name) { return wire::Writer().text(name).bytes(); };
    for (const auto* name : {"ssh-rsa", "ssh-ed25519", "ecdsa-sha2-nistp521", "ssh-rsa-cert-v01@openssh.com"})
        CHECK(can_verify(named(name)));
    for (const auto* name : {"sk-ssh-ed25519@openssh.com", "ssh-dss", "ssh-mldsa44-ed25519", "ssh-new", "",
                             "sk-ssh-ed25519-cert-v01@openssh.com"})
        CHECK_FALSE(can_verify(named(name)));
}
