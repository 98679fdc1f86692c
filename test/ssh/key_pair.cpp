// SPDX-License-Identifier: MIT
#include "private_keys.hpp"
#include "support/refusal.hpp"
#include "wire/reader.hpp"
#include "wire/writer.hpp"

using namespace sshtpm;
using namespace sshtpm::ssh;
using private_keys::numbers;
using private_keys::public_key;
using support::contains;
using support::refusal;

namespace {

/// What ssh-add sent behind the number of the message.
struct AddedKey {
    std::string name; ///< of the key in test/data/ssh/private
    bool certified;
    Bytes body;
};

std::vector<AddedKey> added_keys() {
    std::vector<AddedKey> out;
    for (const auto& line : vectors::lines("agent/added.txt")) {
        const auto words = vectors::words(line);
        out.push_back({words.at(0), words.at(1) == "certificate", support::unhex(words.at(2))});
    }
    return out;
}

Bytes sent(const std::string& name, bool certified = false) {
    for (auto& one : added_keys())
        if (one.name == name && one.certified == certified)
            return one.body;
    throw std::out_of_range(name);
}

KeyPair parsed(ByteView body) {
    wire::Reader reader(body);
    auto pair = read_key_pair(reader);
    reader.expect_end();
    return pair;
}

/// What is said of a key that no TPM can hold.
std::string complaint_about(ByteView body) {
    CHECK(refusal(parsed, body) == Errc::unsupported);
    return support::complaint(parsed, body);
}

/// The strings that a message is made of; all fields of all types are written as strings are.
std::vector<Bytes> fields(ByteView body) {
    std::vector<Bytes> out;
    for (wire::Reader reader(body); !reader.empty();)
        out.push_back(copy_of(reader.string()));
    return out;
}

Bytes joined(const std::vector<Bytes>& fields) {
    wire::Writer writer;
    for (const auto& field : fields)
        writer.string(field);
    return std::move(writer).bytes();
}

/// The message after a change of its fields.
template <class Change>
Bytes changed(const std::string& name, bool certified, Change&& change) {
    auto all = fields(sent(name, certified));
    change(all);
    return joined(all);
}

bool is_held(const AddedKey& one) {
    return !one.name.starts_with("refused");
}

} // namespace

TEST_CASE("the keys and certificates that ssh-add sends have the numbers that openssl gives") {
    const auto expected = numbers();
    std::size_t keys = 0, certificates = 0;
    for (const auto& one : added_keys()) {
        if (!is_held(one))
            continue;
        INFO(one.name << ' ' << one.certified);
        const auto pair = parsed(one.body);
        CHECK(pair.key.public_key == public_key(one.name));
        CHECK(equal(pair.key.sensitive.view(), expected.at(one.name)));
        CHECK(pair.certificate.has_value() == one.certified);
        if (pair.certificate) {
            CHECK(pair.certificate->public_key == pair.key.public_key);
            CHECK(pair.certificate->key_id == "the key " + one.name);
            CHECK(equal(pair.certificate->blob, fields(one.body).at(1)));
        }
        ++(one.certified ? certificates : keys);
    }
    CHECK(keys == 15);
    CHECK(certificates == 6);
}

TEST_CASE("the comment is kept as it is, but for a NUL, and what follows it is left in the reader") {
    CHECK(parsed(sent("ecdsa-256")).key.comment == "ecdsa of 256 bits");
    CHECK(parsed(changed("ecdsa-256", false, [](auto& all) { all.back().clear(); })).key.comment.empty());
    const auto with_comment = [](const std::string& comment) {
        return changed("ecdsa-256", false, [&](auto& all) { all.back() = copy_of(bytes_of(comment)); });
    };
    CHECK(parsed(with_comment("a\n\x1b[2J\xff")).key.comment == "a\n\x1b[2J\xff");
    CHECK(refusal(parsed, with_comment(std::string("a\0b", 3))) == Errc::malformed);
    auto body = sent("rsa-2048", true);
    append(body, bytes_of("behind"));
    wire::Reader reader(body);
    read_key_pair(reader);
    CHECK(text_of(reader.rest()) == "behind");
}

TEST_CASE("every prefix of what ssh-add sends is refused") {
    for (const auto* const name : {"ecdsa-256", "ecdsa-521", "rsa-2048"})
        for (const bool certified : {false, true}) {
            INFO(name << ' ' << certified);
            const auto body = sent(name, certified);
            CHECK(support::accepted_prefixes(body, parsed).empty());
            CHECK_FALSE(refusal(parsed, body));
        }
}

TEST_CASE("a change of any field of a key but its comment is refused, or is of what a TPM computes itself") {
    for (const auto& one : added_keys()) {
        if (one.name != "ecdsa-256" && one.name != "rsa-2048")
            continue;
        const auto all = fields(one.body);
        for (std::size_t field = 0; field + 1 < all.size(); ++field) {
            auto with_change = all;
            with_change[field].back() ^= 1U;
            INFO(one.name << ' ' << one.certified << ", field " << field);
            // The certificate's last bytes are the CA's signature, which is the server's to check; of RSA,
            // the private exponent and the coefficient are not used.
            const bool of_rsa = one.name == "rsa-2048";
            const auto first_unused = one.certified ? 2U : 3U;
            const bool unused = (of_rsa && (field == first_unused || field == first_unused + 1)) ||
                                (one.certified && field == 1);
            CHECK(refusal(parsed, joined(with_change)).has_value() != unused);
        }
    }
}

TEST_CASE("halves of different keys are refused, whichever half is the other key's") {
    const auto swap_field = [](const std::string& name, bool certified, const std::string& other,
                               std::size_t from, std::size_t to) {
        const auto theirs = fields(sent(other, certified));
        return changed(name, certified, [&](auto& all) {
            for (auto i = from; i < to; ++i)
                all.at(i) = theirs.at(i);
        });
    };
    CHECK(refusal(parsed, swap_field("ecdsa-256", false, "short-x-256", 2, 3)) ==
          Errc::malformed); // the point
    CHECK(refusal(parsed, swap_field("ecdsa-256", false, "short-x-256", 3, 4)) ==
          Errc::malformed);                                                              // the scalar
    CHECK(refusal(parsed, swap_field("rsa-2048", false, "rsa-3072", 1, 2)).has_value()); // the modulus
    CHECK(refusal(parsed, swap_field("rsa-2048", false, "rsa-3072", 5, 7)).has_value()); // the primes
    CHECK(refusal(parsed, swap_field("rsa-2048", true, "rsa-3072", 4, 6)).has_value());
    const auto other_scalar = fields(sent("short-x-256")).at(3);
    CHECK(refusal(parsed, changed("ecdsa-256", true, [&](auto& all) { all.at(2) = other_scalar; })) ==
          Errc::malformed);
    CHECK_FALSE(refusal(parsed, swap_field("ecdsa-256", false, "short-x-256", 1, 4)));
}

TEST_CASE("a certificate of another type than the key is refused, and a key where one belongs") {
    const auto with_certificate = [](const std::string& name, const Bytes& blob) {
        return refusal(parsed, changed(name, true, [&](auto& all) { all.at(1) = blob; }));
    };
    const auto certificate_of = [](const std::string& name) { return fields(sent(name, true)).at(1); };
    CHECK_FALSE(with_certificate("ecdsa-256", certificate_of("ecdsa-256")));
    CHECK(with_certificate("ecdsa-256", certificate_of("ecdsa-384")) == Errc::malformed);
    CHECK(with_certificate("ecdsa-256", certificate_of("rsa-2048")) == Errc::malformed);
    CHECK(with_certificate("rsa-2048", certificate_of("ecdsa-256")) == Errc::malformed);
    CHECK(with_certificate("ecdsa-256", copy_of(public_key("ecdsa-256").blob())) == Errc::unsupported);
    CHECK(with_certificate("ecdsa-256", {}) == Errc::malformed);
}

TEST_CASE("scalars and primes out of range are refused") {
    const auto with_scalar = [](const Bytes& scalar) {
        return refusal(parsed, changed("ecdsa-256", false, [&](auto& all) { all.at(3) = scalar; }));
    };
    CHECK(with_scalar({}) == Errc::malformed);
    CHECK(with_scalar({0xff}) == Errc::malformed); // negative
    CHECK(with_scalar(Bytes(33, 0x7f)) == Errc::malformed);
    const auto right = fields(sent("ecdsa-256")).at(3);
    auto padded = Bytes{0, 0};
    append(padded, right);
    CHECK(with_scalar(padded) == Errc::malformed); // not in the shortest form
    CHECK_FALSE(with_scalar(right));
    for (const std::size_t prime : {5U, 6U}) {
        CHECK(refusal(parsed, changed("rsa-2048", false, [&](auto& all) { all.at(prime).clear(); })) ==
              Errc::unsupported);
        CHECK(refusal(parsed, changed("rsa-2048", false, [&](auto& all) { all.at(prime) = {1}; })) ==
              Errc::unsupported);
    }
}

TEST_CASE("keys that a TPM cannot hold are unsupported, certified or not, and the reason is given") {
    CHECK_THAT(complaint_about(sent("refused-ed25519")), contains("Ed25519"));
    CHECK_THAT(complaint_about(sent("refused-ed25519", true)), contains("Ed25519"));
    CHECK_THAT(complaint_about(sent("refused-dsa")), contains("DSA"));
    CHECK_THAT(complaint_about(sent("refused-dsa", true)), contains("DSA"));
    CHECK_THAT(complaint_about(sent("refused-rsa-1024")), contains("1024 bits"));
    CHECK_THAT(complaint_about(sent("refused-rsa-2304")), contains("2304 bits"));
    CHECK_THAT(complaint_about(sent("refused-token")), contains("security token"));
    CHECK_THAT(complaint_about(wire::Writer().text("ssh-\x1b[2J").bytes()), contains("ssh-?[2J"));
    CHECK(refusal(parsed, wire::Writer().text("").bytes()) == Errc::unsupported);
    CHECK(refusal(parsed, Bytes{}) == Errc::malformed);
}
