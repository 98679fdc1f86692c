#include "base/error.hpp"
#include "base/lines.hpp"
#include "base/printable.hpp"
#include "der/der.hpp"
#include "keyfile/asn1.hpp"
#include "keyfile/description.hpp"
#include "keyfile/key_file.hpp"
#include "keyfile/marshal.hpp"
#include "keyfile/names.hpp"
#include "keyfile/pem.hpp"

namespace sshtpm::keyfile {

namespace {

/// Reads one field; an error in it gets the field's name in front.
template <class Read>
auto in_field(const char* name, Read read) {
    try {
        return read();
    } catch (const Error& error) {
        throw error.about(name);
    }
}

/// Reads an OPTIONAL EXPLICIT field, if there is one: `read` gets the content of the tag.
template <class Read>
void optional_field(der::Reader& fields, unsigned number, const char* name, Read read) {
    if (!fields.next_is_explicit(number))
        return;
    in_field(name, [&] {
        auto inside = fields.explicit_tag(number);
        read(inside);
        inside.expect_end();
    });
}

KeyKind kind_of(ByteView oid) {
    if (equal(oid, asn1::loadable_key))
        return KeyKind::loadable;
    if (equal(oid, asn1::importable_key))
        return KeyKind::importable;
    if (equal(oid, asn1::sealed_key))
        return KeyKind::sealed;
    throw Error(Errc::unsupported, "unknown type of key " + printable(der::dotted(oid), 100));
}

PolicyCommand read_policy_command(der::Reader fields) {
    PolicyCommand command;
    auto code = fields.explicit_tag(asn1::command_code);
    command.command_code = code.uint32();
    code.expect_end();
    auto parameters = fields.explicit_tag(asn1::command_policy);
    command.parameters = copy_of(parameters.octet_string());
    parameters.expect_end();
    fields.expect_end();
    return command;
}

std::vector<PolicyCommand> read_policy(der::Reader commands) {
    std::vector<PolicyCommand> policy;
    while (!commands.empty())
        policy.push_back(read_policy_command(commands.sequence()));
    return policy;
}

AuthPolicy read_auth_policy(der::Reader fields) {
    AuthPolicy auth_policy;
    optional_field(fields, asn1::auth_policy_name, "name", [&](der::Reader& inside) {
        auth_policy.name = inside.utf8_string();
        check_description(auth_policy.name);
    });
    auto policy = fields.explicit_tag(asn1::auth_policy_policy);
    auth_policy.policy = read_policy(policy.sequence());
    policy.expect_end();
    fields.expect_end();
    return auth_policy;
}

std::vector<AuthPolicy> read_auth_policies(der::Reader elements) {
    std::vector<AuthPolicy> auth_policies;
    while (!elements.empty())
        auth_policies.push_back(read_auth_policy(elements.sequence()));
    return auth_policies;
}

Bytes read_secret(ByteView tpm2b) {
    if (content_of_tpm2b(tpm2b).size() > sizeof(TPM2B_ENCRYPTED_SECRET::secret))
        malformed("a TPM2B_ENCRYPTED_SECRET of " + std::to_string(tpm2b.size()) + " bytes");
    return copy_of(tpm2b);
}

/// The draft has permanent and persistent handles only; tpm2-openssl reads 0 as the owner hierarchy.
TPM2_HANDLE parent_handle(std::uint32_t handle) {
    if (handle == 0)
        return TPM2_RH_OWNER;
    const bool hierarchy = handle == TPM2_RH_OWNER || handle == TPM2_RH_ENDORSEMENT ||
                           handle == TPM2_RH_PLATFORM || handle == TPM2_RH_NULL;
    if (!hierarchy && handle >> TPM2_HR_SHIFT != TPM2_HT_PERSISTENT)
        throw Error(Errc::unsupported,
                    handle_name(handle) + " is neither a hierarchy nor a persistent handle");
    return handle;
}

/// The draft allows more fields; they may change the meaning of the key.
void refuse_more_optional_fields(const der::Reader& fields) {
    for (unsigned number = 0; number <= asn1::highest; ++number) {
        if (!fields.next_is_explicit(number))
            continue;
        if (number <= asn1::rsa_parent)
            malformed("the field [" + std::to_string(number) + "] is there twice or out of order");
        throw Error(Errc::unsupported, "a field [" + std::to_string(number) + "] that is not known here");
    }
}

KeyFile read_optional_fields(der::Reader& fields) {
    KeyFile key;
    optional_field(fields, asn1::empty_auth, "emptyAuth",
                   [&](der::Reader& inside) { key.empty_auth = inside.boolean(); });
    optional_field(fields, asn1::policy, "policy",
                   [&](der::Reader& inside) { key.policy = read_policy(inside.sequence()); });
    optional_field(fields, asn1::secret, "secret",
                   [&](der::Reader& inside) { key.secret = read_secret(inside.octet_string()); });
    optional_field(fields, asn1::auth_policy, "authPolicy",
                   [&](der::Reader& inside) { key.auth_policies = read_auth_policies(inside.sequence()); });
    optional_field(fields, asn1::description, "description", [&](der::Reader& inside) {
        key.description = inside.utf8_string();
        check_description(key.description);
    });
    optional_field(fields, asn1::rsa_parent, "rsaParent",
                   [&](der::Reader& inside) { key.rsa_parent = inside.boolean(); });
    refuse_more_optional_fields(fields);
    return key;
}

void check_kind(const KeyFile& key) {
    if (key.kind == KeyKind::importable && key.secret.empty())
        malformed("an importable key without the secret that it is wrapped with");
    if (key.kind != KeyKind::importable && !key.secret.empty())
        malformed("a secret in a key that is not importable");
    if (key.kind == KeyKind::sealed && key.public_area.type != TPM2_ALG_KEYEDHASH)
        malformed("sealed data that is of type " + algorithm_name(key.public_area.type));
}

/// The description in front of the block: its first line.
std::string comment_in(std::string_view preamble) {
    while (!preamble.empty()) {
        const auto line = take_line(preamble);
        if (!line.starts_with(asn1::comment_prefix))
            continue;
        const auto comment = line.substr(asn1::comment_prefix.size());
        in_field("comment", [&] { check_description(comment); });
        return std::string(comment);
    }
    return {};
}

} // namespace

KeyFile parse_der(ByteView der) {
    der::Reader file(der);
    auto fields = file.sequence();
    file.expect_end();
    const auto kind = in_field("type", [&] { return kind_of(fields.object_identifier()); });
    auto key = read_optional_fields(fields);
    key.kind = kind;
    key.parent = in_field("parent", [&] { return parent_handle(fields.uint32()); });
    key.public_area = in_field("pubkey", [&] { return unmarshal_public(fields.octet_string()); });
    key.private_area = in_field("privkey", [&] { return unmarshal_private(fields.octet_string()); });
    fields.expect_end();
    check_kind(key);
    return key;
}

KeyFile parse_pem(std::string_view text) {
    if (text.size() > max_file_size)
        malformed("larger than " + std::to_string(max_file_size) + " bytes");
    const auto block = decode_pem(text, asn1::pem_label);
    auto key = parse_der(block.content);
    if (key.description.empty())
        key.description = comment_in(block.preamble);
    return key;
}

} // namespace sshtpm::keyfile
