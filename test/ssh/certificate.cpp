// SPDX-License-Identifier: MIT
#include "ssh/certificate.hpp"

#include "ssh/fingerprint.hpp"
#include "ssh/vectors.hpp"
#include "support/test.hpp"
#include "wire/reader.hpp"
#include "wire/writer.hpp"

#include <cstdint>
#include <functional>

using namespace sshtpm;
using namespace support;
using namespace sshtpm::ssh;

namespace {

/// The fields of an ECDSA certificate (PROTOCOL.certkeys), to be changed one at a time.
struct CertificateFields {
    std::string name, nonce, curve, point;
    std::uint64_t serial = 0;
    std::uint32_t role = 0;
    std::string key_id, principals;
    std::uint64_t valid_after = 0, valid_before = 0;
    std::string critical_options, extensions, reserved, signature_key, signature;

    explicit CertificateFields(ByteView blob) {
        wire::Reader reader(blob);
        const auto text = [&] { return std::string(reader.text()); };
        name = text();
        nonce = text();
        curve = text();
        point = text();
        serial = reader.uint64();
        role = reader.uint32();
        key_id = text();
        principals = text();
        valid_after = reader.uint64();
        valid_before = reader.uint64();
        critical_options = text();
        extensions = text();
        reserved = text();
        signature_key = text();
        signature = text();
        reader.expect_end();
    }

    Bytes blob() const {
        wire::Writer writer;
        for (const auto* field : {&name, &nonce, &curve, &point})
            writer.text(*field);
        writer.uint64(serial).uint32(role).text(key_id).text(principals);
        writer.uint64(valid_after).uint64(valid_before);
        for (const auto* field : {&critical_options, &extensions, &reserved, &signature_key, &signature})
            writer.text(*field);
        return std::move(writer).bytes();
    }
};

/// The user certificate of the P-256 key after a change.
template <class Change>
Bytes changed(Change&& change) {
    CertificateFields fields(vectors::blob("ecdsa-256-user-cert"));
    change(fields);
    return fields.blob();
}

template <class Change>
std::optional<Errc> refused_after(Change&& change) {
    return refusal(Certificate::from_blob, changed(change));
}

/// A list of strings, as principals are written.
std::string list(std::size_t count, const std::string& item) {
    wire::Writer writer;
    for (std::size_t i = 0; i < count; ++i)
        writer.text(item);
    return std::string(text_of(writer.bytes()));
}

std::string text(ByteView bytes) {
    return std::string(text_of(bytes));
}

} // namespace

TEST_CASE("a certificate of ssh-keygen has the fields it was made with") {
    for (const auto held : vectors::held_keys) {
        const std::string name(held);
        INFO(name);
        const auto user_blob = vectors::blob(name + "-user-cert"),
                   host_blob = vectors::blob(name + "-host-cert");
        const auto certificate = Certificate::from_blob(user_blob);
        CHECK(certificate.blob == user_blob);
        CHECK(certificate.public_key == vectors::key(name));
        CHECK(certificate.key_id == "user " + name);
        const auto user = read_certificate(user_blob), host = read_certificate(host_blob);
        CHECK((user.plain_blob == vectors::blob(name) && host.plain_blob == vectors::blob(name)));
        CHECK((user.role == user_role && host.role == host_role));
        CHECK((user.key_id == "user " + name && host.key_id == "host " + name));
        CHECK(user.principals == std::vector<std::string_view>{"alpha", "beta"});
        CHECK(host.principals.empty());
        CHECK(user.valid_after == 1577934245);  // 2020-01-02T03:04:05Z
        CHECK(user.valid_before == 1893553445); // 2030-01-02T03:04:05Z
        CHECK((host.valid_after == 0 && host.valid_before == 18446744073709551615U));
        CHECK(equal(user.signature_key, vectors::blob("ca-ed25519")));
        CHECK(equal(host.signature_key, vectors::blob("ca-rsa")));
        CHECK((user.signature_algorithm == "ssh-ed25519" && host.signature_algorithm == "rsa-sha2-256"));
    }
}

TEST_CASE("a certificate is valid from its beginning until its end") {
    const auto user_blob = vectors::blob("ecdsa-256-user-cert"),
               host_blob = vectors::blob("ecdsa-256-host-cert");
    const auto user = read_certificate(user_blob), host = read_certificate(host_blob);
    const auto same = Certificate::from_blob(user_blob);
    const auto at = [](std::int64_t seconds) {
        return std::chrono::system_clock::time_point(std::chrono::seconds(seconds));
    };
    for (const std::int64_t time : {-1, 0, 1577934244})
        CHECK((!user.has_begun(at(time)) && !user.has_expired(at(time))));
    for (const std::int64_t time : {1577934245, 1893553444})
        CHECK((user.has_begun(at(time)) && !user.has_expired(at(time))));
    CHECK((user.has_begun(at(1893553445)) && user.has_expired(at(1893553445))));
    CHECK((same.has_expired(at(1893553445)) && !same.has_expired(at(1893553444))));
    for (const std::int64_t time : {std::int64_t{-1}, std::int64_t{0}, std::int64_t{9000000000}})
        CHECK((host.has_begun(at(time)) && !host.has_expired(at(time))));
}

TEST_CASE("every prefix of a certificate is refused, and so is a byte behind it") {
    for (const auto name : vectors::held_keys) {
        for (const auto* role : {"-user-cert", "-host-cert"}) {
            auto blob = vectors::blob(std::string(name) + role);
            CHECK(accepted_prefixes(blob, Certificate::from_blob).empty());
            blob.push_back(0);
            CHECK(refusal(Certificate::from_blob, blob) == Errc::malformed);
        }
    }
}

TEST_CASE("a certificate of a key that the agent cannot hold is unsupported, and so is a bare key") {
    CHECK(refusal(Certificate::from_blob, vectors::blob("ed25519-user-cert")) == Errc::unsupported);
    CHECK(refusal(Certificate::from_blob, vectors::blob("ecdsa-256")) == Errc::unsupported);
    CHECK(refusal(Certificate::from_blob, vectors::blob("rsa-2048")) == Errc::unsupported);
    CHECK(refusal(Certificate::from_blob, wire::Writer().text("rsa-sha2-256-cert-v01@openssh.com").bytes()) ==
          Errc::unsupported);
}

TEST_CASE("fields that mean nothing to an agent may hold anything") {
    CHECK_FALSE(refusal(Certificate::from_blob, changed([](CertificateFields&) {})));
    CHECK_FALSE(refused_after([](auto& f) { f.nonce.clear(); }));
    CHECK_FALSE(refused_after([](auto& f) { f.reserved = "anything"; }));
    CHECK_FALSE(refused_after([](auto& f) { f.key_id.clear(); }));
    CHECK(Certificate::from_blob(changed([](auto& f) { f.key_id = "a\x1b[2J"; })).key_id == "a\x1b[2J");
}

TEST_CASE("a field that is not as it should be is refused") {
    using Fields = CertificateFields;
    const auto cut = text(unhex("00000005 61626364")); // a list that ends within an item
    const std::function<void(Fields&)> changes[] = {
        // The certified key is checked as any other.
        [](Fields& f) { f.curve = "nistp384"; }, [](Fields& f) { f.point.back() ^= 1; },
        [](Fields& f) { f.point.clear(); },
        [](Fields& f) { f.name = info(KeyType::ecdsa_p384).certificate_name; },
        [](Fields& f) { f.name = info(KeyType::ecdsa_p521).certificate_name; },
        // It is a user's or a host's.
        [](Fields& f) { f.role = 0; }, [](Fields& f) { f.role = 3; }, [](Fields& f) { f.role = 0x01000000; },
        [](Fields& f) { f.role = 0xffffffff; },
        // Lists end with an item.
        [&](Fields& f) { f.principals = cut; }, [&](Fields& f) { f.critical_options = cut; },
        [&](Fields& f) { f.extensions = cut; }, [](Fields& f) { f.principals += '\0'; },
        // A text has no NUL.
        [](Fields& f) { f.key_id = std::string("a\0b", 3); },
        [](Fields& f) { f.principals = list(1, std::string("root\0", 5)); },
        // The signature is at least written as one.
        [](Fields& f) { f.signature.clear(); }, [](Fields& f) { f.signature.resize(20); }};
    for (const auto& change : changes) {
        INFO("change " << &change - changes);
        CHECK(refused_after(change) == Errc::malformed);
    }
}

TEST_CASE("a certificate has at most 256 principals") {
    const auto with = [](std::size_t count, const std::string& name) {
        return changed([&](auto& f) { f.principals = list(count, name); });
    };
    CHECK(read_certificate(with(0, "")).principals.empty());
    CHECK(read_certificate(with(256, "p")).principals.size() == 256);
    CHECK(refusal(Certificate::from_blob, with(257, "p")) == Errc::malformed);
    CHECK(refusal(Certificate::from_blob, with(100000, "")) == Errc::malformed);
}

TEST_CASE("options and extensions are pairs of a name and its data") {
    const auto name = list(1, "permit-pty");
    const auto empty = list(1, "");
    const auto unknown = list(1, "unknown@example.com").append(list(1, "data"));
    for (auto field : {&CertificateFields::critical_options, &CertificateFields::extensions}) {
        const auto with = [&](const std::string& value) {
            return refused_after([&](auto& f) { f.*field = value; });
        };
        CHECK_FALSE(with(""));
        CHECK_FALSE(with(name + empty));
        CHECK_FALSE(with(name + empty + unknown));
        CHECK(with(name) == Errc::malformed);
        CHECK(with(name + empty + name) == Errc::malformed);
        CHECK(with(empty + empty) == Errc::malformed);
    }
}

TEST_CASE("the key of the CA is a whole key of a known type and no certificate") {
    const auto signed_by = [](const Bytes& key) {
        return refused_after([&](auto& f) { f.signature_key = text(key); });
    };
    for (const auto* name : {"ecdsa-256", "rsa-2048", "ed25519", "dsa"})
        CHECK_FALSE(signed_by(vectors::blob(name)));
    CHECK(signed_by(vectors::blob("ed25519-user-cert")) == Errc::malformed);
    CHECK(signed_by({}) == Errc::malformed);
    CHECK(signed_by(wire::Writer().text("ssh-unknown").bytes()) == Errc::unsupported);
    auto longer = vectors::blob("ed25519");
    longer.push_back(0);
    CHECK(signed_by(longer) == Errc::malformed);
    longer.resize(longer.size() - 2);
    CHECK(signed_by(longer) == Errc::malformed);
}

TEST_CASE("whether the CA signed it is the server's question") {
    CHECK_FALSE(refused_after([](auto& f) { f.signature.back() ^= 1; }));
    CHECK_FALSE(refused_after([](auto& f) { f.serial = 7; }));
}
