// SPDX-License-Identifier: MIT
#include "keyfile/credential.hpp"

#include "base/error.hpp"
#include "keyfile/hashes.hpp"
#include "keyfile/marshal.hpp"
#include "keyfile/names.hpp"
#include "keyfile/object_name.hpp"
#include "keyfile/outer_wrapper.hpp"

#include <array>
#include <cstdint>
#include <iterator>
#include <string>

namespace sshtpm::keyfile {

namespace {

constexpr std::array<std::uint8_t, 4> file_magic{0xBA, 0xDC, 0xC0, 0xDE};
constexpr std::array<std::uint8_t, 4> file_version{0, 0, 0, 1};

void put_checked(ByteView bytes, SizedBuffer auto& sized, const char* type) {
    if (bytes.empty() || bytes.size() > std::size(buffer_of(sized)))
        malformed(std::string(type) + " of " + std::to_string(bytes.size()) + " bytes");
    put(bytes, sized);
}

Credential credential_of(ByteView id_object, ByteView secret) {
    Credential out;
    put_checked(id_object, out.id_object, "a TPM2B_ID_OBJECT");
    put_checked(secret, out.secret, "a TPM2B_ENCRYPTED_SECRET");
    return out;
}

ByteView take(ByteView& rest, std::size_t size) {
    if (rest.size() < size)
        malformed("a credential file that is cut off");
    const auto taken = rest.first(size);
    rest = rest.subspan(size);
    return taken;
}

ByteView take_tpm2b(ByteView& rest) {
    const auto size = take(rest, 2);
    return take(rest, static_cast<std::size_t>(size[0]) << 8U | size[1]);
}

} // namespace

Credential make_credential(const TPMT_PUBLIC& endorsement_key, ByteView name, const Secret& secret) {
    require_storage_key(endorsement_key, "the endorsement key");
    if (endorsement_key.nameAlg == TPM2_ALG_SHA1)
        unsupported("the endorsement key has the name algorithm SHA-1");
    if (!is_object_name(name))
        malformed("a credential for a Name of " + std::to_string(name.size()) +
                  " bytes, where one by SHA-256, SHA-384 or SHA-512 is wanted");
    if (secret.empty() || secret.size() > find_hash(endorsement_key.nameAlg)->digest_size)
        malformed("a credential with a secret of " + std::to_string(secret.size()) +
                  " bytes for an endorsement key with the name algorithm " +
                  algorithm_name(endorsement_key.nameAlg));
    constexpr std::size_t size_field = 2;
    Secret digest(size_field + secret.size()); // TPM2B_DIGEST
    const std::array<std::uint8_t, size_field> size{0, static_cast<std::uint8_t>(secret.size())};
    digest.append(size);
    digest.append(secret.view());
    const auto wrapped = wrap_outer(endorsement_key, for_identity, name, digest.view());
    return credential_of(wrapped.content, content_of_tpm2b(wrapped.secret));
}

Bytes to_file(const Credential& credential) {
    Bytes file = copy_of(file_magic);
    append(file, file_version);
    append(file, tpm2b_around(view_of(credential.id_object)));
    append(file, tpm2b_around(view_of(credential.secret)));
    return file;
}

Credential parse_credential(ByteView file) {
    auto rest = file;
    if (!equal(take(rest, file_magic.size()), file_magic))
        malformed("not a credential file of tpm2_makecredential");
    if (!equal(take(rest, file_version.size()), file_version))
        unsupported("a credential file of another version than 1");
    const auto id_object = take_tpm2b(rest);
    const auto secret = take_tpm2b(rest);
    if (!rest.empty())
        malformed("bytes behind the credential (" + std::to_string(rest.size()) + ")");
    return credential_of(id_object, secret);
}

} // namespace sshtpm::keyfile
