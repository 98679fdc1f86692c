// SPDX-License-Identifier: MIT
#include "ssh/signature.hpp"

#include "base/base64.hpp"
#include "ssh/digest.hpp"
#include "ssh/vectors.hpp"
#include "support/test.hpp"
#include "wire/reader.hpp"
#include "wire/writer.hpp"

using namespace sshtpm;
using namespace support;
using namespace sshtpm::ssh;

namespace {

Hash hash_named(const std::string& name) {
    return name == "sha256" ? Hash::sha256 : name == "sha384" ? Hash::sha384 : Hash::sha512;
}

struct Signed {
    std::string name; ///< of the key
    Hash hash;
    Bytes message;
    RawSignature signature;
};

/// The signatures that openssl made.
std::vector<Signed> openssl_signatures() {
    std::vector<Signed> out;
    for (const auto& line : vectors::lines("openssl-signatures.txt")) {
        const auto words = vectors::words(line);
        RawSignature signature = RsaSignature{unhex(words.at(3))};
        if (words.size() == 5)
            signature = EcdsaSignature{unhex(words[3]), unhex(words[4])};
        out.push_back({words[0], hash_named(words[1]), unhex(words[2]), signature});
    }
    return out;
}

Signed openssl_signature(const std::string& name) {
    for (auto& one : openssl_signatures())
        if (one.name == name)
            return one;
    throw std::out_of_range(name);
}

bool verified(const Signed& one) {
    return Verifier(vectors::key(one.name)).verify(one.hash, digest(one.hash, one.message), one.signature);
}

/// The numbers of the first signature of a key, changed.
bool verified_with(const std::string& name, RawSignature signature) {
    auto one = openssl_signature(name);
    one.signature = std::move(signature);
    return verified(one);
}

/// A file of `ssh-keygen -Y sign` (PROTOCOL.sshsig).
struct SshSignature {
    Bytes key;
    Bytes signature;   ///< the blob
    Bytes signed_data; ///< what it is over, for the message "a message\n"

    explicit SshSignature(std::string_view file) {
        std::string base64;
        for (const auto& line : vectors::lines(file))
            if (!line.starts_with("-----"))
                base64 += line;
        const auto blob = base64_decode(base64);
        wire::Reader reader(blob);
        REQUIRE(text_of(reader.take(6)) == "SSHSIG");
        REQUIRE(reader.uint32() == 1);
        key = copy_of(reader.string());
        const auto name_space = reader.string();
        const auto reserved = reader.string();
        REQUIRE(reader.text() == "sha512");
        signature = copy_of(reader.string());
        reader.expect_end();
        signed_data = wire::Writer()
                          .raw(bytes_of("SSHSIG"))
                          .string(name_space)
                          .string(reserved)
                          .text("sha512")
                          .string(digest(Hash::sha512, bytes_of("a message\n")))
                          .bytes();
    }
};

/// The numbers within a signature blob, and its algorithm.
std::pair<std::string, RawSignature> decode(ByteView blob, KeyType type) {
    wire::Reader reader(blob);
    const std::string algorithm(reader.text());
    wire::Reader value(reader.string());
    reader.expect_end();
    if (type == KeyType::rsa)
        return {algorithm, RsaSignature{copy_of(value.rest())}};
    const auto r = value.unsigned_mpint();
    const auto s = value.unsigned_mpint();
    value.expect_end();
    return {algorithm, EcdsaSignature{copy_of(r), copy_of(s)}};
}

/// The order of P-256 (SEC 2 section 2.4.2).
const std::string p256_order = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";

} // namespace

TEST_CASE("signatures of openssl are this key's, short numbers and all") {
    const auto all = openssl_signatures();
    REQUIRE(all.size() == 16);
    std::size_t short_ones = 0;
    for (const auto& one : all) {
        INFO(one.name);
        CHECK(verified(one));
        const auto key = vectors::key(one.name);
        if (const auto* pair = std::get_if<EcdsaSignature>(&one.signature)) {
            const auto width = info(key.type()).coordinate_size;
            short_ones += pair->r.size() < width || pair->s.size() < width ? 1 : 0;
        } else {
            short_ones += std::get<RsaSignature>(one.signature).s.front() == 0 ? 1 : 0;
        }
    }
    CHECK(short_ones >= 7);
}

TEST_CASE("numbers may come in any width") {
    for (auto one : openssl_signatures()) {
        if (auto* pair = std::get_if<EcdsaSignature>(&one.signature)) {
            pair->r = fixed_width(pair->r, 70);
            pair->s = copy_of(without_leading_zeros(pair->s));
        } else {
            auto& s = std::get<RsaSignature>(one.signature).s;
            s = s.front() == 0 ? copy_of(without_leading_zeros(s)) : fixed_width(s, s.size() + 3);
        }
        CHECK(verified(one));
    }
}

TEST_CASE("a digest of another length than its hash makes is not verified") {
    for (const auto* name : {"ecdsa-256", "rsa-2048"}) {
        const auto one = openssl_signature(name);
        const Verifier verifier(vectors::key(name));
        auto value = digest(one.hash, one.message);
        CHECK(verifier.verify(one.hash, value, one.signature));
        CHECK_FALSE(verifier.verify(Hash::sha512, value, one.signature));
        value.push_back(0);
        CHECK_FALSE(verifier.verify(one.hash, value, one.signature));
        CHECK_FALSE(verifier.verify(one.hash, {}, one.signature));
    }
}

TEST_CASE("a signature of the other kind of key is false") {
    for (const auto& [signer, other] : {std::pair("ecdsa-256", "rsa-2048"), {"rsa-2048", "ecdsa-256"}}) {
        const auto one = openssl_signature(signer);
        CHECK_FALSE(
            Verifier(vectors::key(other)).verify(one.hash, digest(one.hash, one.message), one.signature));
    }
}

TEST_CASE("ECDSA numbers out of range are false") {
    const auto [r, s] = std::get<EcdsaSignature>(openssl_signature("ecdsa-256").signature);
    CHECK(verified_with("ecdsa-256", EcdsaSignature{r, s}));
    const Bytes order = unhex(p256_order);
    for (const auto& bad :
         {Bytes{}, Bytes(32, 0), order, Bytes(32, 0xff), Bytes(33, 0xff), Bytes(4096, 0x41)}) {
        CHECK_FALSE(verified_with("ecdsa-256", EcdsaSignature{bad, s}));
        CHECK_FALSE(verified_with("ecdsa-256", EcdsaSignature{r, bad}));
        CHECK_FALSE(verified_with("ecdsa-256", EcdsaSignature{bad, bad}));
    }
}

TEST_CASE("RSA numbers out of range are false") {
    const auto key = vectors::key("rsa-2048");
    const auto& n = std::get<RsaNumbers>(key.numbers()).n;
    for (const auto& bad : {Bytes{}, Bytes(256, 0), n, Bytes(256, 0xff), Bytes(257, 0x41), Bytes(4096, 0x41)})
        CHECK_FALSE(verified_with("rsa-2048", RsaSignature{bad}));
}

TEST_CASE("the signatures of ssh-keygen verify, and are encoded as it encodes them") {
    for (const auto* file :
         {"ecdsa-256-short-r.sig", "ecdsa-256-short-s.sig", "ecdsa-384-short-r.sig", "ecdsa-384-short-s.sig",
          "ecdsa-521-short-r.sig", "ecdsa-521-short-s.sig", "rsa-2048.sig", "rsa-3072.sig", "rsa-4096.sig"}) {
        INFO(file);
        const SshSignature made(file);
        const auto key = PublicKey::from_blob(made.key);
        const auto algorithm = choose_algorithm(key.type(), SSH_AGENT_RSA_SHA2_512).value();
        const auto [name, numbers] = decode(made.signature, key.type());
        CHECK(name == algorithm.name);
        CHECK(Verifier(key).verify(algorithm.hash, digest(algorithm.hash, made.signed_data), numbers));
        CHECK(encode_signature(key, algorithm, numbers) == made.signature);
    }
}

TEST_CASE("ECDSA numbers are encoded the same, with zeros in front or without") {
    const SshSignature made("ecdsa-256-short-r.sig");
    const auto key = PublicKey::from_blob(made.key);
    auto pair = std::get<EcdsaSignature>(decode(made.signature, key.type()).second);
    pair.r = fixed_width(pair.r, 32);
    pair.s = fixed_width(pair.s, 40);
    CHECK(encode_signature(key, choose_algorithm(key.type(), 0).value(), pair) == made.signature);
}

TEST_CASE("an RSA signature is encoded in the width of its modulus") {
    for (const auto& one : openssl_signatures()) {
        if (one.name != "rsa-2048")
            continue;
        const auto& s = std::get<RsaSignature>(one.signature).s;
        const RsaSignature shortened{copy_of(without_leading_zeros(s))};
        const auto blob = encode_signature(vectors::key(one.name), {"rsa-sha2-256", Hash::sha256}, shortened);
        CHECK(blob == wire::Writer().text("rsa-sha2-256").string(s).bytes());
    }
}

TEST_CASE("a signature that cannot be the key's is not encoded") {
    const SignatureAlgorithm algorithm{"rsa-sha2-256", Hash::sha256};
    const auto encoding = [&](const char* name, const RawSignature& signature) {
        return refusal([&] { encode_signature(vectors::key(name), algorithm, signature); });
    };
    CHECK_FALSE(encoding("rsa-2048", RsaSignature{Bytes(256, 1)}));
    CHECK(encoding("rsa-2048", RsaSignature{Bytes(257, 1)}) == Errc::malformed);
    CHECK(encoding("rsa-2048", EcdsaSignature{Bytes(32, 1), Bytes(32, 1)}) == Errc::malformed);
    CHECK(encoding("ecdsa-256", RsaSignature{Bytes(64, 1)}) == Errc::malformed);
}
