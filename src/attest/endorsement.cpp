// SPDX-License-Identifier: MIT
#include "attest/endorsement.hpp"

#include "base/error.hpp"
#include "base/file.hpp"
#include "base/printable.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <optional>
#include <string_view>
#include <utility>

#include <openssl/core_names.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

namespace sshtpm::attest {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t root_file_ceiling = 1U << 20U;

/// Of OpenSSL: 112 bits, the strength of RSA 2048 and of SHA-224.
constexpr int security_level = 2;

/// The sizes that texts of a certificate are cut to, in bytes.
constexpr std::size_t longest_attribute = 64;
constexpr std::size_t longest_name = 160;

constexpr const char* no_certificate_memory = "OpenSSL has no memory for a certificate";
constexpr std::string_view the_certificate = "the endorsement certificate";
constexpr const char* ek_known_hint = "`--ek-known` takes a TPM by the Name of its endorsement key";

void free_openssl_memory(void* memory) {
    OPENSSL_free(memory);
}

void free_stack(STACK_OF(X509) * certificates) {
    sk_X509_free(certificates); // not what is in it
}

template <class T>
using OpensslMemory = openssl::Owner<T, free_openssl_memory>;
using Certificate = openssl::Owner<X509, X509_free>;
using Certificates = openssl::Owner<STACK_OF(X509), free_stack>;
using VerifyContext = openssl::Owner<X509_STORE_CTX, X509_STORE_CTX_free>;
using AlternativeNames = openssl::Owner<GENERAL_NAMES, GENERAL_NAMES_free>;
using ExtendedUsage = openssl::Owner<EXTENDED_KEY_USAGE, EXTENDED_KEY_USAGE_free>;

[[noreturn]] void refuse_ek(const std::string& message, std::string hint = {}) {
    ERR_clear_error();
    refuse(message, std::move(hint));
}

[[noreturn]] void refuse_ek_that(std::string_view fault) {
    refuse_ek(std::string(the_certificate) + ' ' + std::string(fault));
}

/// Object identifiers of the TCG, 2.23.133…, as their content octets.
using TcgIdentifier = std::array<std::uint8_t, 5>;
constexpr TcgIdentifier tpm_manufacturer{0x67, 0x81, 0x05, 2, 1};
constexpr TcgIdentifier tpm_model{0x67, 0x81, 0x05, 2, 2};
constexpr TcgIdentifier tpm_version{0x67, 0x81, 0x05, 2, 3};
constexpr TcgIdentifier ek_certificate_purpose{0x67, 0x81, 0x05, 8, 1};

bool is_identifier(const ASN1_OBJECT* object, const TcgIdentifier& identifier) {
    return equal({OBJ_get0_data(object), OBJ_length(object)}, identifier);
}

/// Parses one certificate. The signature covers its inner part byte for byte; what is around that must be
/// DER, so that a certificate has one form only.
/// @returns null for anything else
Certificate parse_certificate(ByteView der) {
    const auto* at = der.data();
    Certificate certificate(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
    if (certificate) {
        unsigned char* written = nullptr;
        const auto size = i2d_X509(certificate.get(), &written);
        const OpensslMemory<unsigned char> owner(written);
        if (size < 0 || !equal({written, static_cast<std::size_t>(size)}, der))
            certificate.reset();
    }
    ERR_clear_error();
    return certificate;
}

std::string name_text(const X509_NAME* name) {
    if (X509_NAME_entry_count(name) == 0)
        return "(no name)";
    const openssl::Bio text(BIO_new(BIO_s_mem()));
    constexpr unsigned long utf8_on_one_line = XN_FLAG_ONELINE & ~ASN1_STRFLGS_ESC_MSB;
    BUF_MEM* memory = nullptr;
    openssl::require(text && X509_NAME_print_ex(text.get(), name, 0, utf8_on_one_line) >= 0 &&
                         BIO_get_mem_ptr(text.get(), &memory) == 1,
                     Errc::io, no_certificate_memory);
    return printable({memory->data, memory->length}, longest_name);
}

std::string quoted_name(const X509_NAME* name) {
    return '"' + name_text(name) + '"';
}

std::string quoted_subject(const X509* certificate) {
    return quoted_name(X509_get_subject_name(certificate));
}

/// "2026-11-28"
std::string day_text(const ASN1_TIME* time) {
    std::tm parts{};
    std::array<char, 32> text{};
    if (ASN1_TIME_to_tm(time, &parts) != 1 ||
        std::strftime(text.data(), text.size(), "%Y-%m-%d", &parts) == 0)
        return "a day that cannot be read";
    return text.data();
}

openssl::Number key_number(const EVP_PKEY* key, const char* name) {
    BIGNUM* value = nullptr;
    const bool found = EVP_PKEY_get_bn_param(key, name, &value) == 1;
    openssl::Number owner(value);
    openssl::require(found, Errc::malformed, "the public key in the endorsement certificate is damaged");
    return owner;
}

Bytes padded(const BIGNUM* value, std::size_t width) {
    Bytes bytes(width);
    openssl::require(BN_bn2binpad(value, bytes.data(), static_cast<int>(width)) >= 0, Errc::malformed,
                     "the public key in the endorsement certificate is damaged");
    return bytes;
}

ssh::PublicKey ek_rsa_key(const EVP_PKEY* key) {
    const auto number = [&](const char* name) {
        const auto value = key_number(key, name);
        return padded(value.get(), static_cast<std::size_t>(BN_num_bytes(value.get())));
    };
    return ssh::PublicKey::rsa(number(OSSL_PKEY_PARAM_RSA_N), number(OSSL_PKEY_PARAM_RSA_E));
}

ssh::PublicKey ek_ec_key(const EVP_PKEY* key) {
    struct Curve {
        std::string_view name; ///< OpenSSL's
        ssh::KeyType type;
    };
    static constexpr std::array<Curve, 3> curves{{{"prime256v1", ssh::KeyType::ecdsa_p256},
                                                  {"secp384r1", ssh::KeyType::ecdsa_p384},
                                                  {"secp521r1", ssh::KeyType::ecdsa_p521}}};
    std::array<char, 64> name{};
    std::size_t length = 0;
    if (EVP_PKEY_get_group_name(key, name.data(), name.size(), &length) != 1)
        ERR_clear_error(); // a curve without a name
    const auto* const curve = std::ranges::find(curves, std::string_view(name.data(), length), &Curve::name);
    if (curve == curves.end())
        unsupported("the endorsement certificate has a key on another curve than NIST P-256, P-384 or P-521");
    const auto width = ssh::info(curve->type).coordinate_size;
    return ssh::PublicKey::ecdsa(curve->type, padded(key_number(key, OSSL_PKEY_PARAM_EC_PUB_X).get(), width),
                                 padded(key_number(key, OSSL_PKEY_PARAM_EC_PUB_Y).get(), width));
}

ssh::PublicKey public_key_of(const X509* certificate) {
    const auto* const key = X509_get0_pubkey(certificate);
    if (key != nullptr && EVP_PKEY_is_a(key, "RSA") == 1)
        return ek_rsa_key(key);
    if (key != nullptr && EVP_PKEY_is_a(key, "EC") == 1)
        return ek_ec_key(key);
    ERR_clear_error();
    unsupported("the endorsement certificate has a key of another type than RSA or ECC");
}

void check_key_usage(X509* certificate, const ssh::PublicKey& key) {
    if ((X509_get_extension_flags(certificate) & EXFLAG_KUSAGE) == 0)
        refuse_ek_that("has no key usage");
    const auto usage = X509_get_key_usage(certificate);
    if (key.type() == ssh::KeyType::rsa) {
        if ((usage & KU_KEY_ENCIPHERMENT) == 0)
            refuse_ek_that("of an RSA key has a key usage without keyEncipherment");
    } else if ((usage & KU_KEY_AGREEMENT) == 0) {
        refuse_ek_that("of an ECC key has a key usage without keyAgreement");
    }
}

void check_extended_usage(const X509* certificate, Eku eku) {
    if (eku == Eku::optional && X509_get_ext_by_NID(certificate, NID_ext_key_usage, -1) < 0)
        return;
    const ExtendedUsage usage(
        static_cast<EXTENDED_KEY_USAGE*>(X509_get_ext_d2i(certificate, NID_ext_key_usage, nullptr, nullptr)));
    const auto count = usage ? sk_ASN1_OBJECT_num(usage.get()) : 0;
    for (int i = 0; i < count; ++i)
        if (is_identifier(sk_ASN1_OBJECT_value(usage.get(), i), ek_certificate_purpose))
            return;
    if (usage)
        refuse_ek_that("is for other purposes: its extended key usage lacks 2.23.133.8.1");
    refuse_ek("the endorsement certificate has no extended key usage",
              "some makers leave it out; `--allow-no-eku` takes such certificates");
}

std::string text_of_attribute(const X509_NAME_ENTRY* entry) {
    unsigned char* utf8 = nullptr;
    const auto size = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(entry));
    const OpensslMemory<unsigned char> owner(utf8);
    if (size < 0)
        refuse_ek_that("has a damaged text in its subject alternative name");
    return printable(text_of({utf8, static_cast<std::size_t>(size)}), longest_attribute);
}

/// Takes the attributes of the TPM out of one directory name, whether each has an RDN or all share one.
void take_attributes(const X509_NAME* name, EkCertificate& facts) {
    const std::array<std::pair<const TcgIdentifier*, std::string*>, 3> wanted{
        {{&tpm_manufacturer, &facts.manufacturer},
         {&tpm_model, &facts.model},
         {&tpm_version, &facts.version}}};
    for (int i = 0; i < X509_NAME_entry_count(name); ++i) {
        const auto* const entry = X509_NAME_get_entry(name, i);
        for (const auto& [identifier, value] : wanted) {
            if (!is_identifier(X509_NAME_ENTRY_get_object(entry), *identifier))
                continue;
            if (!value->empty())
                refuse_ek_that("names two manufacturers, models or versions of its TPM");
            *value = text_of_attribute(entry);
        }
    }
}

/// The profile's clause about the subject alternative name.
void take_alternative_name(const X509* certificate, EkCertificate& facts) {
    int critical = 0;
    const AlternativeNames names(
        static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, &critical, nullptr)));
    if (!names)
        refuse_ek_that("has no subject alternative name");
    if (critical != 1 && X509_NAME_entry_count(X509_get_subject_name(certificate)) == 0)
        refuse_ek_that("has no subject, and its subject alternative name is not critical");
    for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i)
        if (const auto* const name = sk_GENERAL_NAME_value(names.get(), i); name->type == GEN_DIRNAME)
            take_attributes(name->d.directoryName, facts);
    for (const auto& [value, what] : {std::pair{&facts.manufacturer, "manufacturer (2.23.133.2.1)"},
                                      std::pair{&facts.model, "model (2.23.133.2.2)"},
                                      std::pair{&facts.version, "version (2.23.133.2.3)"}})
        if (value->empty())
            refuse_ek_that("does not name its TPM's " + std::string(what));
}

/// Checks a certificate by itself.
EkCertificate check_profile(X509* certificate, Eku eku) {
    if (X509_get_version(certificate) != X509_VERSION_3)
        refuse_ek_that("is not of X.509 version 3");
    const auto flags = X509_get_extension_flags(certificate);
    if ((flags & EXFLAG_INVALID) != 0)
        refuse_ek_that("has a damaged extension");
    // An authority by basicConstraints, or by keyUsage where there are no basicConstraints.
    if ((flags & EXFLAG_CA) != 0 || X509_check_ca(certificate) != 0)
        refuse_ek_that("is that of an authority (CA)");
    EkCertificate facts{
        .manufacturer = {}, .model = {}, .version = {}, .root = {}, .public_key = public_key_of(certificate)};
    check_key_usage(certificate, facts.public_key);
    check_extended_usage(certificate, eku);
    take_alternative_name(certificate, facts);
    return facts;
}

/// What a failed path says about one of its certificates.
std::string path_fault(int error, const X509* certificate) {
    switch (error) {
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return "is not valid before " + day_text(X509_get0_notBefore(certificate));
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return "expired on " + day_text(X509_get0_notAfter(certificate));
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
        return "is not signed by its issuer";
    case X509_V_ERR_EE_KEY_TOO_SMALL:
    case X509_V_ERR_CA_KEY_TOO_SMALL:
        return "has too weak a key, such as RSA of less than 2048 bits";
    case X509_V_ERR_CA_MD_TOO_WEAK:
        return "is signed with too weak a hash, such as SHA-1";
    case X509_V_ERR_INVALID_CA:
        return "is not that of an authority (CA)";
    case X509_V_ERR_UNHANDLED_CRITICAL_EXTENSION:
        return "has a critical extension that this program does not know";
    case X509_V_ERR_EC_KEY_EXPLICIT_PARAMS:
        return "has a key on a curve that is not named";
    default:
        return std::string("is refused: ") + X509_verify_cert_error_string(error);
    }
}

[[noreturn]] void refuse_ek_path(X509_STORE_CTX* context, const std::string& folder) {
    const auto error = X509_STORE_CTX_get_error(context);
    const auto* const certificate = X509_STORE_CTX_get_current_cert(context);
    if (certificate == nullptr)
        refuse_ek("OpenSSL could not check the endorsement certificate");
    const auto hint = "put the root certificate of the TPM's maker, and those between, into " + folder;
    switch (error) {
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        refuse_ek("no certificate of the issuer " + quoted_name(X509_get_issuer_name(certificate)) +
                      " is in " + folder,
                  hint);
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        refuse_ek_that("is signed by itself");
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        refuse_ek("the root " + quoted_subject(certificate) + " is not in " + folder, hint);
    default:
        break;
    }
    const bool own = X509_STORE_CTX_get_error_depth(context) == 0;
    const auto subject =
        own ? std::string(the_certificate) : "the certificate of the issuer " + quoted_subject(certificate);
    refuse_ek(subject + ' ' + path_fault(error, certificate),
              error == X509_V_ERR_CERT_HAS_EXPIRED ? ek_known_hint : "");
}

bool is_among(const X509* certificate, const STACK_OF(X509) * path) {
    for (int i = 0; i < sk_X509_num(path); ++i)
        if (X509_cmp(certificate, sk_X509_value(path, i)) == 0)
            return true;
    return false;
}

/// Checks what OpenSSL does not: each issuer but the root is an authority by basicConstraints (RFC 5280
/// section 6.1.4 (k)), and all that was sent is of use.
void check_path(const STACK_OF(X509) * path, const std::vector<Certificate>& sent) {
    const auto length = sk_X509_num(path);
    if (length < 2)
        refuse_ek_that("is signed by itself");
    for (int i = 1; i < length - 1; ++i)
        if (X509_check_ca(sk_X509_value(path, i)) != 1)
            refuse_ek("the certificate of the issuer " + quoted_subject(sk_X509_value(path, i)) +
                      " is not that of an authority (CA)");
    for (auto certificate = sent.begin(); certificate != sent.end(); ++certificate)
        if (std::any_of(sent.begin(), certificate,
                        [&](const auto& other) { return X509_cmp(other.get(), certificate->get()) == 0; }))
            refuse_ek("the certificate of " + quoted_subject(certificate->get()) + " came along twice");
    for (const auto& certificate : sent)
        if (!is_among(certificate.get(), path))
            refuse_ek("the certificate of " + quoted_subject(certificate.get()) +
                      " came along, and does not belong to the path of the endorsement certificate");
}

void push_to(const Certificates& stack, const Certificate& certificate) {
    openssl::require(sk_X509_push(stack.get(), certificate.get()) > 0, Errc::io, no_certificate_memory);
}

/// DER of more than 127 bytes; text never begins so.
bool looks_like_der(ByteView file) {
    return file.size() > 2 && file[0] == 0x30 && file[1] >= 0x80;
}

/// The content of the next PEM block. @returns nothing at the end of the text
std::optional<Bytes> next_block(BIO* text) {
    char *label = nullptr, *header = nullptr;
    unsigned char* data = nullptr;
    long size = 0;
    const bool found = PEM_read_bio(text, &label, &header, &data, &size) == 1;
    const OpensslMemory<char> label_owner(label), header_owner(header);
    const OpensslMemory<unsigned char> data_owner(data);
    const auto reason = ERR_GET_REASON(ERR_peek_last_error());
    ERR_clear_error();
    if (!found && reason == PEM_R_NO_START_LINE)
        return std::nullopt;
    if (!found)
        malformed("a PEM block is damaged or cut short");
    if (std::string_view(label) != "CERTIFICATE")
        malformed("the PEM block \"" + printable(label, longest_attribute) + "\" is no certificate");
    return copy_of({data, static_cast<std::size_t>(size)});
}

} // namespace

EkRoots::EkRoots() : folder_("the folder of roots"), store_(X509_STORE_new()) {
    openssl::require(store_ != nullptr, Errc::io, no_certificate_memory);
}

EkRoots EkRoots::read(const fs::path& folder) {
    EkRoots roots;
    roots.folder_ = folder.string();
    for (const auto& file : entries_of(folder)) {
        if (file.filename().string().starts_with('.'))
            continue;
        const auto content = read_file(file, root_file_ceiling);
        naming(file.string(), [&] { roots.add(content); });
    }
    if (roots.empty())
        throw Error(Errc::not_found,
                    folder.string() + ": holds no root, which is a certificate that signs itself",
                    "put the root certificate of the TPM's maker there, as PEM or DER");
    return roots;
}

void EkRoots::add(ByteView file) {
    if (file.empty())
        malformed("the file is empty");
    if (looks_like_der(file)) {
        auto certificate = parse_certificate(file);
        if (!certificate)
            malformed("not one certificate in DER");
        take(std::move(certificate));
        return;
    }
    const openssl::Bio text(BIO_new_mem_buf(file.data(), static_cast<int>(file.size())));
    openssl::require(text != nullptr, Errc::io, no_certificate_memory);
    bool any = false;
    while (const auto der = next_block(text.get())) {
        auto certificate = parse_certificate(*der);
        if (!certificate)
            malformed("a damaged certificate in PEM");
        take(std::move(certificate));
        any = true;
    }
    if (!any)
        malformed("no certificate, neither in PEM nor in DER");
}

void EkRoots::take(Certificate certificate) {
    // -1 if OpenSSL does not know the key: nothing below such a certificate can be verified.
    const bool root = X509_self_signed(certificate.get(), 1) == 1;
    ERR_clear_error();
    if (!root) {
        intermediates_.push_back(std::move(certificate));
        return;
    }
    openssl::require(X509_STORE_add_cert(store_.get(), certificate.get()) == 1, Errc::io,
                     no_certificate_memory);
    ++roots_;
}

EkCertificate EkRoots::verify(ByteView certificate, std::span<const Bytes> chain, Eku eku,
                              std::chrono::system_clock::time_point now) const {
    const auto own = parse_certificate(certificate);
    if (!own)
        malformed("the endorsement certificate is not one certificate in DER");
    auto facts = check_profile(own.get(), eku);

    // Of certificates with the same name, OpenSSL takes the first that fits.
    const Certificates untrusted(sk_X509_new_null());
    openssl::require(untrusted != nullptr, Errc::io, no_certificate_memory);
    std::vector<Certificate> sent;
    for (const auto& der : chain) {
        sent.push_back(parse_certificate(der));
        if (!sent.back())
            malformed("the chain holds something else than a certificate in DER");
        push_to(untrusted, sent.back());
    }
    for (const auto& other : intermediates_)
        push_to(untrusted, other);

    const VerifyContext context(X509_STORE_CTX_new());
    openssl::require(context &&
                         X509_STORE_CTX_init(context.get(), store_.get(), own.get(), untrusted.get()) == 1,
                     Errc::io, no_certificate_memory);
    auto* const parameters = X509_STORE_CTX_get0_param(context.get());
    X509_VERIFY_PARAM_set_auth_level(parameters, security_level);
    X509_VERIFY_PARAM_set_time(parameters, std::chrono::system_clock::to_time_t(now));
    if (X509_verify_cert(context.get()) != 1)
        refuse_ek_path(context.get(), folder_);
    const auto* const path = X509_STORE_CTX_get0_chain(context.get());
    check_path(path, sent);
    facts.root = name_text(X509_get_subject_name(sk_X509_value(path, sk_X509_num(path) - 1)));
    ERR_clear_error();
    return facts;
}

std::vector<Bytes> issuers_of(ByteView certificate, std::span<const Bytes> candidates, std::size_t most) {
    std::vector<Bytes> issuers;
    auto last = parse_certificate(certificate);
    while (last && issuers.size() < most && X509_check_issued(last.get(), last.get()) != X509_V_OK) {
        Certificate next;
        for (const auto& candidate : candidates) {
            next = parse_certificate(candidate);
            const bool is_issuer = next && X509_check_issued(next.get(), last.get()) == X509_V_OK;
            if (is_issuer && std::ranges::find(issuers, candidate) == issuers.end()) {
                issuers.push_back(candidate);
                break;
            }
            next.reset();
        }
        last = std::move(next);
    }
    return issuers;
}

} // namespace sshtpm::attest
