// SPDX-License-Identifier: MIT
#include "keyfile/key_file.hpp"

#include "base/error.hpp"
#include "base/lines.hpp"
#include "base/pem.hpp"
#include "base/printable.hpp"
#include "der/der.hpp"
#include "keyfile/marshal.hpp"
#include "keyfile/names.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <type_traits>
#include <utility>

namespace sshtpm::keyfile {

namespace {

// The numbers in the ASN.1 module of the draft, section 3.1.

struct Kind {
    KeyKind kind;
    std::array<std::uint8_t, 6> oid; ///< content octets
};

constexpr std::array<Kind, 3> kinds{{
    {KeyKind::loadable, {0x67, 0x81, 0x05, 0x0A, 0x01, 0x03}}, // 2.23.133.10.1.3
    {KeyKind::importable, {0x67, 0x81, 0x05, 0x0A, 0x01, 0x04}},
    {KeyKind::sealed, {0x67, 0x81, 0x05, 0x0A, 0x01, 0x05}},
}};

namespace asn1 {

// TPMKey
constexpr unsigned empty_auth = 0;
constexpr unsigned policy = 1;
constexpr unsigned secret = 2;
constexpr unsigned auth_policy = 3;
constexpr unsigned description = 4;
constexpr unsigned rsa_parent = 5;
constexpr unsigned highest = 30; ///< of any one-octet tag

// TPMPolicy
constexpr unsigned command_code = 0;
constexpr unsigned command_policy = 1;

// TPMAuthPolicy
constexpr unsigned auth_policy_name = 0;
constexpr unsigned auth_policy_policy = 1;

} // namespace asn1

/// Reads one field; an error in it gets the field's name in front.
template <class Read>
auto in_field(const char* name, Read read) {
    try {
        return read();
    } catch (const Error& error) {
        throw error.about(name);
    }
}

/// Reads the whole content of an EXPLICIT tag.
template <class Read>
auto explicit_field(der::Reader& fields, unsigned number, Read read) {
    auto content = fields.explicit_tag(number);
    auto value = std::invoke(read, content);
    content.expect_end();
    return value;
}

/// Reads an OPTIONAL field; @returns an empty value if it is absent.
template <class Read>
auto optional_field(der::Reader& fields, unsigned number, const char* name, Read read) {
    if (!fields.next_is_explicit(number))
        return std::invoke_result_t<Read, der::Reader&>{};
    return in_field(name, [&] { return explicit_field(fields, number, read); });
}

/// Reads a SEQUENCE OF SEQUENCE.
template <class Read>
auto read_list(der::Reader& reader, Read read_one) {
    std::vector<std::invoke_result_t<Read, der::Reader&>> list;
    for (auto elements = reader.sequence(); !elements.empty();) {
        auto fields = elements.sequence();
        list.push_back(read_one(fields));
        fields.expect_end();
    }
    return list;
}

KeyKind read_kind(der::Reader& fields) {
    const auto oid = fields.object_identifier();
    const auto found = std::ranges::find_if(kinds, [&](const Kind& kind) { return equal(kind.oid, oid); });
    if (found == kinds.end())
        unsupported("unknown type of key " + printable(der::dotted(oid), 100));
    return found->kind;
}

PolicyCommand read_policy_command(der::Reader& fields) {
    PolicyCommand command;
    command.command_code = explicit_field(fields, asn1::command_code, &der::Reader::uint32);
    command.parameters = copy_of(explicit_field(fields, asn1::command_policy, &der::Reader::octet_string));
    return command;
}

std::vector<PolicyCommand> read_policy(der::Reader& reader) {
    return read_list(reader, read_policy_command);
}

std::string read_text(der::Reader& reader) {
    const auto text = reader.utf8_string();
    check_description(text);
    return std::string(text);
}

AuthPolicy read_auth_policy(der::Reader& fields) {
    AuthPolicy auth_policy;
    auth_policy.name = optional_field(fields, asn1::auth_policy_name, "name", read_text);
    auth_policy.policy = explicit_field(fields, asn1::auth_policy_policy, read_policy);
    return auth_policy;
}

std::vector<AuthPolicy> read_auth_policies(der::Reader& reader) {
    return read_list(reader, read_auth_policy);
}

Bytes read_secret(der::Reader& reader) {
    const auto tpm2b = reader.octet_string();
    if (content_of_tpm2b(tpm2b).size() > sizeof(TPM2B_ENCRYPTED_SECRET::secret))
        malformed("a TPM2B_ENCRYPTED_SECRET of " + std::to_string(tpm2b.size()) + " bytes");
    return copy_of(tpm2b);
}

/// The draft allows hierarchies and persistent handles only. tpm2-openssl reads 0 as the owner hierarchy.
TPM2_HANDLE read_parent(der::Reader& fields) {
    const auto handle = fields.uint32();
    if (handle == 0)
        return TPM2_RH_OWNER;
    const bool hierarchy = handle == TPM2_RH_OWNER || handle == TPM2_RH_ENDORSEMENT ||
                           handle == TPM2_RH_PLATFORM || handle == TPM2_RH_NULL;
    if (!hierarchy && handle >> TPM2_HR_SHIFT != TPM2_HT_PERSISTENT)
        unsupported(handle_name(handle) + " is neither a hierarchy nor a persistent handle");
    return handle;
}

/// tpm2-openssl (1.1.1 at least) writes a file for a persistent key too. Its private area is made of the
/// bytes of the handle in the memory of a little-endian machine: the low half as the size, the high half as
/// the first bytes. A private area begins with the size of a digest, which is smaller (Part 2, 12.3.7).
TPM2B_PRIVATE read_private(der::Reader& fields) {
    constexpr std::size_t shortest = 4;
    const auto tpm2b = fields.octet_string();
    if (tpm2b.size() >= 2 && (tpm2b.size() < shortest || tpm2b[3] == TPM2_HT_PERSISTENT))
        unsupported(
            "a reference to a key at a persistent handle of the TPM, not a private key",
            "use the file from which that key was made persistent, or make a new key with `ssh-tpm keygen`");
    return unmarshal_private(tpm2b);
}

/// Refuses further fields, which the draft allows: they may change the meaning of the key.
void refuse_more_optional_fields(const der::Reader& fields) {
    for (unsigned number = 0; number <= asn1::highest; ++number) {
        if (!fields.next_is_explicit(number))
            continue;
        if (number <= asn1::rsa_parent)
            malformed("the field [" + std::to_string(number) + "] is there twice or out of order");
        unsupported("a field [" + std::to_string(number) + "] that is not known here");
    }
}

void check_kind(const KeyFile& key) {
    if (key.kind == KeyKind::importable && key.secret.empty())
        malformed("an importable key without the secret that it is wrapped with");
    if (key.kind != KeyKind::importable && !key.secret.empty())
        malformed("a secret in a key that is not importable");
    if (key.kind == KeyKind::sealed && key.public_area.type != TPM2_ALG_KEYEDHASH)
        malformed("sealed data that is of type " + algorithm_name(key.public_area.type));
}

der::Writer written(const std::vector<PolicyCommand>& policy) {
    der::Writer commands;
    for (const auto& command : policy)
        commands.sequence(
            der::Writer()
                .explicit_tag(asn1::command_code, der::Writer().uint32(command.command_code))
                .explicit_tag(asn1::command_policy, der::Writer().octet_string(command.parameters)));
    return der::Writer().sequence(commands);
}

der::Writer written(const std::vector<AuthPolicy>& auth_policies) {
    der::Writer elements;
    for (const auto& auth_policy : auth_policies) {
        der::Writer fields;
        if (!auth_policy.name.empty())
            fields.explicit_tag(asn1::auth_policy_name, der::Writer().utf8_string(auth_policy.name));
        elements.sequence(fields.explicit_tag(asn1::auth_policy_policy, written(auth_policy.policy)));
    }
    return der::Writer().sequence(elements);
}

} // namespace

SplitText take_comments(std::string_view text) {
    SplitText out;
    bool in_block = false;
    while (!text.empty()) {
        const auto from = text;
        const auto line = take_line(text);
        if (line.starts_with("-----BEGIN ") || line.starts_with("---- BEGIN ")) // the latter in RFC 4716
            in_block = true;
        else if (line.starts_with("-----END ") || line.starts_with("---- END "))
            in_block = false;
        if (!in_block && line.starts_with(comment_prefix))
            out.comments.emplace_back(line.substr(comment_prefix.size()));
        else
            out.rest += from.substr(0, from.size() - text.size());
    }
    return out;
}

void check_description(std::string_view text) {
    if (text.size() > longest_description)
        malformed("text of " + std::to_string(text.size()) + " bytes where " +
                  std::to_string(longest_description) + " are the most");
    if (!is_utf8(text))
        malformed("text that is not UTF-8");
    if (!is_printable(text))
        malformed("text with control or invisible characters: " + printable(text, 80));
    // Some readers of PEM find this string anywhere in a line.
    if (text.find("-----BEGIN") != std::string_view::npos)
        malformed("text with \"-----BEGIN\" in it");
}

KeyFile parse_der(ByteView der) {
    der::Reader file(der);
    auto fields = file.sequence();
    file.expect_end();
    KeyFile key;
    key.kind = in_field("type", [&] { return read_kind(fields); });
    key.empty_auth = optional_field(fields, asn1::empty_auth, "emptyAuth", &der::Reader::boolean);
    key.policy = optional_field(fields, asn1::policy, "policy", read_policy);
    key.secret = optional_field(fields, asn1::secret, "secret", read_secret);
    key.auth_policies = optional_field(fields, asn1::auth_policy, "authPolicy", read_auth_policies);
    key.description = optional_field(fields, asn1::description, "description", read_text);
    key.rsa_parent = optional_field(fields, asn1::rsa_parent, "rsaParent", &der::Reader::boolean);
    refuse_more_optional_fields(fields);
    key.parent = in_field("parent", [&] { return read_parent(fields); });
    key.public_area = in_field("pubkey", [&] { return unmarshal_public(fields.octet_string()); });
    key.private_area = in_field("privkey", [&] { return read_private(fields); });
    fields.expect_end();
    check_kind(key);
    return key;
}

KeyFile parse_pem(std::string_view text) {
    if (text.size() > max_file_size)
        malformed("larger than " + std::to_string(max_file_size) + " bytes");
    const auto block = decode_pem(text, pem_label);
    auto key = parse_der(block.content);
    const auto comments = take_comments(block.before).comments;
    if (key.description.empty() && !comments.empty()) {
        in_field("comment", [&] { check_description(comments.front()); });
        key.description = comments.front();
    }
    return key;
}

Bytes to_der(const KeyFile& key) {
    const auto kind = std::ranges::find(kinds, key.kind, &Kind::kind);
    if (kind == kinds.end())
        unsupported("a primary key has no file: its TPM makes it anew");
    der::Writer fields;
    fields.object_identifier(kind->oid);
    // The draft recommends to leave out empty and false fields. emptyAuth is written nevertheless, because
    // tpm2-openssl 1.1.1 takes a file without it for a key without a PIN.
    fields.explicit_tag(asn1::empty_auth, der::Writer().boolean(key.empty_auth));
    if (!key.policy.empty())
        fields.explicit_tag(asn1::policy, written(key.policy));
    if (!key.secret.empty())
        fields.explicit_tag(asn1::secret, der::Writer().octet_string(key.secret));
    if (!key.auth_policies.empty())
        fields.explicit_tag(asn1::auth_policy, written(key.auth_policies));
    if (!key.description.empty()) {
        check_description(key.description);
        fields.explicit_tag(asn1::description, der::Writer().utf8_string(key.description));
    }
    if (key.rsa_parent)
        fields.explicit_tag(asn1::rsa_parent, der::Writer().boolean(true));
    fields.uint32(key.parent);
    fields.octet_string(marshal_public(key.public_area));
    fields.octet_string(marshal_private(key.private_area));
    return der::Writer().sequence(fields).bytes();
}

std::string to_pem(KeyFile key) {
    const auto description = std::exchange(key.description, {});
    check_description(description);
    const auto line = description.empty() ? std::string() : std::string(comment_prefix) + description + '\n';
    return line + encode_pem(to_der(key), pem_label);
}

} // namespace sshtpm::keyfile
