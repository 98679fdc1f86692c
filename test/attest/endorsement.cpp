// SPDX-License-Identifier: MIT
#include "attest/endorsement.hpp"

#include "base/error.hpp"
#include "base/printable.hpp"
#include "support/test.hpp"

#include <algorithm>
#include <cstdint>

using namespace sshtpm;
using namespace support;
using attest::EkRoots;
using attest::Eku;

namespace {

/// The certificates but "expired" and "short-lived" are valid from 2026-11-28 to 9966.
constexpr std::chrono::system_clock::time_point new_year_2027{std::chrono::seconds(1798761600)};

Bytes vector(std::string_view name) {
    return data_file("attest/" + std::string(name) + ".der");
}

std::vector<Bytes> vectors(const std::vector<std::string>& names) {
    std::vector<Bytes> all;
    for (const auto& name : names)
        all.push_back(vector(name));
    return all;
}

const EkRoots& maker() {
    static const auto roots = EkRoots::read(data_path("attest/maker"));
    return roots;
}

/// The maker's root without the authorities below it.
EkRoots bare_root() {
    EkRoots roots;
    roots.add(data_file("attest/maker/root.pem"));
    return roots;
}

attest::EkCertificate verified(const EkRoots& roots, ByteView certificate,
                               const std::vector<Bytes>& chain = {}, Eku eku = Eku::required) {
    return roots.verify(certificate, chain, eku, new_year_2027);
}

Error refused(const EkRoots& roots, ByteView certificate, const std::vector<Bytes>& chain = {}) {
    const auto error = thrown([&] { verified(roots, certificate, chain); });
    CHECK(is_printable(error.what()));
    return error;
}

bool contains(ByteView bytes, ByteView part) {
    return !std::ranges::search(bytes, part).empty();
}

bool ends_with(ByteView bytes, ByteView end) {
    return bytes.size() >= end.size() && equal(bytes.last(end.size()), end);
}

/// True if this is the key of a SubjectPublicKeyInfo, which ends in the numbers of the key.
bool is_key_of(const ssh::PublicKey& key, ByteView info) {
    if (const auto* const rsa = std::get_if<ssh::RsaNumbers>(&key.numbers()))
        return contains(info, rsa->n) && ends_with(info, unhex("0203010001")) && hex(rsa->e) == "010001";
    return ends_with(info, key.sec1_point());
}

void write(const fs::path& path, ByteView content) {
    put(path, text_of(content));
}

} // namespace

TEST_CASE("the certificates that swtpm_setup makes are taken") {
    const auto roots = EkRoots::read(data_path("attest/swtpm/roots"));
    const auto keys = data_text("attest/swtpm/keys.txt"); // the modulus; "x=X,y=Y,id=CURVE"
    for (const std::string name : {"rsa-2048", "p384"}) {
        INFO(name);
        const auto facts = verified(roots, vector("swtpm/" + name));
        CHECK(facts.manufacturer == "id:00001014");
        CHECK(facts.model == "swtpm");
        CHECK(facts.version == "id:20191023");
        CHECK(facts.root == "CN = swtpm-localca-rootca");
        if (const auto* const rsa = std::get_if<ssh::RsaNumbers>(&facts.public_key.numbers())) {
            CHECK(keys.starts_with(hex(rsa->n) + '\n'));
            CHECK(hex(rsa->e) == "010001");
        } else {
            const auto& point = std::get<ssh::EcdsaPoint>(facts.public_key.numbers());
            CHECK(keys.ends_with("\nx=" + hex(point.x) + ",y=" + hex(point.y) + ",id=secp384r1\n"));
        }
    }
}

TEST_CASE("a certificate by the profile is taken, and its facts are told") {
    const auto [name, key] = GENERATE(table<std::string, std::string>({{"rsa-2048", "ek-rsa"},
                                                                       {"p256", "ek"},
                                                                       {"p384", "ek-p384"},
                                                                       {"p521", "ek-p521"},
                                                                       {"one-rdn", "ek"},
                                                                       {"no-subject", "ek"},
                                                                       {"below-root", "ek"},
                                                                       {"by-pss", "ek"}}));
    INFO(name);
    const auto facts = verified(maker(), vector("good/" + name));
    CHECK(facts.manufacturer == "id:4D414B52");
    CHECK(facts.model == "Model 1");
    CHECK(facts.version == "id:00010002");
    CHECK(facts.root == "O = Maker, CN = Maker TPM Root");
    CHECK(is_key_of(facts.public_key, data_file("attest/good/" + key + ".pub")));
}

TEST_CASE("texts of a certificate are printable") {
    CHECK(verified(maker(), vector("good/odd-letters")).model == "Model?[2J\xC3\x82?x");
}

TEST_CASE("a certificate without an extended key usage is taken on request alone") {
    const auto certificate = vector("good/no-eku");
    const auto error = refused(maker(), certificate);
    CHECK(error.code() == Errc::refused);
    CHECK(error.what() == std::string("the endorsement certificate has no extended key usage"));
    CHECK(error.hint().find("--allow-no-eku") != std::string::npos);
    CHECK(verified(maker(), certificate, {}, Eku::optional).model == "Model 1");
    CHECK(verified(maker(), vector("good/p256"), {}, Eku::optional).model == "Model 1");
    // One for other purposes is no endorsement certificate.
    CHECK(refusal([&] { verified(maker(), vector("bad/other-eku"), {}, Eku::optional); }) == Errc::refused);
}

TEST_CASE("a certificate that deviates from the profile is refused, and the error says in what") {
    using std::string;
    const auto [name, code, fault] = GENERATE(
        table<string, Errc, string>({{"v1", Errc::refused, "not of X.509 version 3"},
                                     {"is-ca", Errc::refused, "that of an authority"},
                                     {"is-ca-by-constraints", Errc::refused, "that of an authority"},
                                     {"is-ca-by-usage", Errc::refused, "that of an authority"},
                                     {"no-key-usage", Errc::refused, "has no key usage"},
                                     {"rsa-with-key-agreement", Errc::refused, "without keyEncipherment"},
                                     {"ec-with-key-encipherment", Errc::refused, "without keyAgreement"},
                                     {"other-eku", Errc::refused, "for other purposes"},
                                     {"no-san", Errc::refused, "no subject alternative name"},
                                     {"other-san", Errc::refused, "manufacturer (2.23.133.2.1)"},
                                     {"no-manufacturer", Errc::refused, "manufacturer (2.23.133.2.1)"},
                                     {"no-model", Errc::refused, "model (2.23.133.2.2)"},
                                     {"no-version", Errc::refused, "version (2.23.133.2.3)"},
                                     {"two-models", Errc::refused, "two manufacturers, models or versions"},
                                     {"no-subject-plain-san", Errc::refused, "not critical"},
                                     {"unknown-critical", Errc::refused, "critical extension"},
                                     {"damaged-extension", Errc::refused, "damaged extension"},
                                     {"expired", Errc::refused, "expired on 2026-11-29"},
                                     {"by-sha1", Errc::refused, "too weak a hash"},
                                     {"rsa-1024", Errc::refused, "too weak a key"},
                                     {"rsa-pss", Errc::unsupported, "another type than RSA or ECC"},
                                     {"ed25519", Errc::unsupported, "another type than RSA or ECC"},
                                     {"secp256k1", Errc::unsupported, "another curve"},
                                     {"explicit-curve", Errc::refused, "a curve that is not named"}}));
    const auto error = refused(maker(), vector("bad/" + name));
    INFO(name << ": " << error.what());
    CHECK(error.code() == code);
    CHECK(string(error.what()).find("the endorsement certificate") == 0);
    CHECK(string(error.what()).find(fault) != string::npos);
}

TEST_CASE("the certificates of a path come from the folder, with the endorsement certificate, or from both") {
    const auto roots = bare_root();
    const auto certificate = vector("good/p256");
    auto both = vectors({"maker/issuer", "above/middle"});
    CHECK(verified(roots, certificate, both).root == "O = Maker, CN = Maker TPM Root");
    std::ranges::reverse(both);
    CHECK(verified(roots, certificate, both).model == "Model 1");
    CHECK(verified(maker(), certificate, both).model == "Model 1");
    both.push_back(vector("above/root"));
    CHECK(verified(roots, certificate, both).model == "Model 1");

    EkRoots with_middle = bare_root();
    with_middle.add(data_file("attest/maker/middle.pem"));
    CHECK(verified(with_middle, certificate, vectors({"maker/issuer"})).model == "Model 1");
    CHECK(refusal([&] { verified(with_middle, certificate); }) == Errc::refused);
}

TEST_CASE("a missing issuer is named, and the hint says where it belongs") {
    const auto at_issuer = refused(bare_root(), vector("good/p256"));
    CHECK(at_issuer.code() == Errc::refused);
    CHECK(at_issuer.what() ==
          std::string("no certificate of the issuer \"O = Maker, CN = Maker TPM Issuer\" is "
                      "in the folder of roots"));
    CHECK(at_issuer.hint().find("root certificate of the TPM's maker") != std::string::npos);
    const auto at_middle = refused(bare_root(), vector("good/p256"), vectors({"maker/issuer"}));
    CHECK(std::string(at_middle.what()).find("CN = Maker TPM Middle\"") != std::string::npos);

    const auto folder = data_path("attest/swtpm/roots").string();
    const auto foreign = refused(EkRoots::read(folder), vector("good/p256"));
    CHECK(std::string(foreign.what()).ends_with("CN = Maker TPM Issuer\" is in " + folder));
    CHECK(foreign.hint().ends_with(folder));
    CHECK(refused(maker(), vector("bad/by-other-maker")).code() == Errc::refused);
}

TEST_CASE("a certificate that is no root does not end a path, wherever it comes from") {
    EkRoots roots;
    roots.add(data_file("attest/maker/other-root.pem"));
    roots.add(vector("maker/issuer"));
    roots.add(data_file("attest/maker/middle.pem"));
    const auto certificate = vector("good/p256");
    CHECK(complaint([&] {
              verified(roots, certificate);
          }).find("issuer \"O = Maker, CN = Maker TPM Root\"") != std::string::npos);
    // A root that the device sends is not trusted.
    const auto error = refused(roots, certificate, vectors({"above/root"}));
    CHECK(error.code() == Errc::refused);
    CHECK(error.what() ==
          std::string("the root \"O = Maker, CN = Maker TPM Root\" is not in the folder of roots"));
    CHECK_FALSE(error.hint().empty());
}

TEST_CASE("a certificate that came along must belong to the path") {
    const auto certificate = vector("good/p256");
    for (const auto* name : {"maker/aside", "good/no-subject", "above/false-root"}) {
        INFO(name);
        const auto error = refused(maker(), certificate, vectors({"maker/issuer", name}));
        CHECK(error.code() == Errc::refused);
        CHECK(std::string(error.what()).find("does not belong to the path") != std::string::npos);
    }
    CHECK(complaint([&] {
              verified(maker(), certificate, vectors({"maker/aside"}));
          }).find("CN = Maker Aside\"") != std::string::npos);
    for (auto junk : {Bytes{}, unhex("3000"), data_file("attest/maker/root.pem")})
        CHECK(refused(maker(), certificate, {junk}).code() == Errc::malformed);
    auto longer = vector("maker/issuer");
    longer.push_back(0);
    CHECK(refused(maker(), certificate, {longer}).code() == Errc::malformed);
}

TEST_CASE("an issuer that must not sign endorsement certificates is refused") {
    using std::string;
    const auto [name, fault] = GENERATE(
        table<string, string>({{"half-ca", "\"CN = No Constraints\" is not that of an authority"},
                               {"no-ca", "issuer \"CN = No Authority\""},
                               {"small", "issuer \"CN = Small\" has too weak a key"},
                               {"by-sha1", "issuer \"CN = By SHA-1\" is signed with too weak a hash"},
                               {"short-lived", "issuer \"CN = Short-lived\" expired on 2026-11-29"}}));
    const auto error = refused(maker(), vector("above/ek-" + name), {vector("above/" + name)});
    INFO(name << ": " << error.what());
    CHECK(error.code() == Errc::refused);
    CHECK(string(error.what()).find(fault) != string::npos);
}

TEST_CASE("an endorsement certificate that signs itself is refused, in the folder too") {
    const auto certificate = vector("above/self-signed");
    CHECK(refused(maker(), certificate).what() ==
          std::string("the endorsement certificate is signed by itself"));
    EkRoots roots;
    roots.add(certificate);
    CHECK_FALSE(roots.empty());
    CHECK(refused(roots, certificate).what() ==
          std::string("the endorsement certificate is signed by itself"));
}

TEST_CASE("a path is valid at the given time alone") {
    const auto certificate = vector("good/p256");
    const auto at = [&](std::int64_t seconds) {
        return complaint([&] {
            maker().verify(certificate, {}, Eku::required,
                           std::chrono::system_clock::time_point(std::chrono::seconds(seconds)));
        });
    };
    CHECK(at(4102444800).empty());                                                     // 2100-01-01
    CHECK(at(1767225600).find("is not valid before 2026-11-28") != std::string::npos); // 2026-01-01
    CHECK(at(-1).find("is not valid before 2026-11-28") != std::string::npos);
    const auto expired = refused(maker(), vector("bad/expired"));
    CHECK(expired.hint().find("--ek-known") != std::string::npos);
}

TEST_CASE("no certificate is taken after a bit was flipped") {
    // All of one, signed with ECDSA; of those with RSA what the signature does not cover: its algorithm, its
    // length and itself.
    const auto [name, last] = GENERATE(table<std::string, std::size_t>(
        {{"maker good/below-root", 0}, {"maker good/by-pss", 330}, {"swtpm/roots swtpm/rsa-2048", 410}}));
    const auto space = name.find(' ');
    const auto roots = EkRoots::read(data_path("attest/" + name.substr(0, space)));
    const auto good = vector(name.substr(space + 1));
    REQUIRE(verified(roots, good).root.size() > 0);
    const auto first = last == 0 ? 0 : good.size() - last;
    std::vector<std::size_t> taken;
    for (auto bit = first * 8; bit < good.size() * 8; ++bit) {
        auto flipped = good;
        flipped[bit / 8] ^= static_cast<std::uint8_t>(1U << bit % 8);
        if (!refusal([&] { verified(roots, flipped, {}, Eku::optional); }))
            taken.push_back(bit);
    }
    CHECK(taken.empty());
}

TEST_CASE("one certificate in DER is taken, and no more and no less") {
    const auto good = vector("good/p256");
    const auto parse = [&](ByteView certificate) { verified(maker(), certificate); };
    CHECK(accepted_prefixes(good, parse).empty());
    auto longer = good;
    longer.push_back(0);
    CHECK(refusal(parse, longer) == Errc::malformed);
    longer = good;
    append(longer, good);
    CHECK(refusal(parse, longer) == Errc::malformed);
    CHECK(refusal(parse, bytes_of("-----BEGIN CERTIFICATE-----\n")) == Errc::malformed);

    // BER, which OpenSSL reads: lengths that are longer than needed, and none.
    REQUIRE((good[0] == 0x30 && good[1] == 0x82));
    auto long_length = unhex("308300");
    append(long_length, ByteView(good).subspan(2));
    CHECK(refusal(parse, long_length) == Errc::malformed);
    auto no_length = unhex("3080");
    append(no_length, ByteView(good).subspan(4));
    append(no_length, unhex("0000"));
    CHECK(refusal(parse, no_length) == Errc::malformed);
}

TEST_CASE("a folder of roots holds PEM, with one or more in a file, and DER") {
    const TempFolder folder;
    put(folder / "bundle.crt", "The roots of our makers\n" + data_text("attest/maker/other-root.pem") +
                                   "and\r\n" + data_text("attest/maker/root.pem"));
    write(folder / "middle.cer", vector("above/middle"));
    write(folder / "issuer", vector("maker/issuer"));
    put(folder / ".git", "not read");
    const auto roots = EkRoots::read(folder.path());
    CHECK_FALSE(roots.empty());
    CHECK(verified(roots, vector("good/p256")).root == "O = Maker, CN = Maker TPM Root");
    CHECK(verified(roots, vector("bad/by-other-maker"), vectors({"above/other-issuer"})).root ==
          "O = Other Maker, CN = Other Root");
}

TEST_CASE("a file that holds no certificate is named") {
    const TempFolder folder;
    put(folder / "a.pem", data_text("attest/maker/root.pem"));
    const auto file = folder / "b";
    const auto read = [&] { return EkRoots::read(folder.path()); };
    const auto complained = [&](std::string_view content, std::string_view fault) {
        put(file, content);
        const auto error = thrown(read);
        INFO(error.what());
        CHECK(error.code() == Errc::malformed);
        CHECK(error.what() == file.string() + ": " + std::string(fault));
    };
    const auto pem = data_text("attest/maker/root.pem");
    const auto der = vector("maker/issuer");
    complained("", "the file is empty");
    complained("Our roots\n", "no certificate, neither in PEM nor in DER");
    complained(pem.substr(0, pem.size() / 2), "a PEM block is damaged or cut short");
    complained(pem + pem.substr(0, pem.size() / 2), "a PEM block is damaged or cut short");
    complained("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n",
               "a damaged certificate in PEM");
    complained(pem + "-----BEGIN PUBLIC KEY-----\nMAA=\n-----END PUBLIC KEY-----\n",
               "the PEM block \"PUBLIC KEY\" is no certificate");
    complained(std::string(text_of(der)) + "\n", "not one certificate in DER");
    complained(text_of(ByteView(der).first(der.size() - 1)), "not one certificate in DER");
    fs::remove(file);
    CHECK_FALSE(read().empty());
    fs::create_directory(file);
    CHECK(complaint(read) == file.string() + ": is a directory");
}

TEST_CASE("a folder without a root is refused, with a hint") {
    const TempFolder folder;
    const auto read = [&] { return EkRoots::read(folder.path()); };
    CHECK(refusal(read) == Errc::not_found);
    write(folder / "issuer.der", vector("maker/issuer"));
    CHECK(refusal(read) == Errc::not_found);
    // It has the root's name as subject and issuer, and another key signed it.
    write(folder / "false.der", vector("above/false-root"));
    const auto error = thrown(read);
    CHECK(error.code() == Errc::not_found);
    CHECK(error.what() ==
          folder.path().string() + ": holds no root, which is a certificate that signs itself");
    CHECK_FALSE(error.hint().empty());
    CHECK(refusal([&] { EkRoots::read(folder / "missing"); }) == Errc::not_found);
    CHECK(refused(EkRoots(), vector("good/p256")).code() == Errc::refused);
}

TEST_CASE("of a TPM's chain, the issuers of one certificate are taken in their order") {
    const auto all = vectors({"above/root", "maker/aside", "above/middle", "above/half-ca", "maker/issuer"});
    const auto path = vectors({"maker/issuer", "above/middle", "above/root"});
    CHECK(attest::issuers_of(vector("good/p256"), all, 7) == path);
    CHECK(attest::issuers_of(vector("good/p256"), all, 2) == vectors({"maker/issuer", "above/middle"}));
    CHECK(attest::issuers_of(vector("good/p256"), {}, 7).empty());
    CHECK(attest::issuers_of(vector("above/root"), all, 7).empty());
    CHECK(attest::issuers_of(bytes_of("no certificate"), all, 7).empty());
}
