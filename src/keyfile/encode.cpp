#include "base/error.hpp"
#include "der/der.hpp"
#include "keyfile/asn1.hpp"
#include "keyfile/description.hpp"
#include "keyfile/key_file.hpp"
#include "keyfile/marshal.hpp"
#include "keyfile/pem.hpp"

namespace sshtpm::keyfile {

namespace {

const asn1::Oid& oid_of(KeyKind kind) {
    switch (kind) {
    case KeyKind::importable:
        return asn1::importable_key;
    case KeyKind::sealed:
        return asn1::sealed_key;
    case KeyKind::primary:
        throw Error(Errc::unsupported, "a primary key has no file: its TPM makes it anew");
    case KeyKind::loadable:
        break;
    }
    return asn1::loadable_key;
}

der::Writer sequence_of(const std::vector<PolicyCommand>& policy) {
    der::Writer commands;
    for (const auto& command : policy)
        commands.sequence(
            der::Writer()
                .explicit_tag(asn1::command_code, der::Writer().uint32(command.command_code))
                .explicit_tag(asn1::command_policy, der::Writer().octet_string(command.parameters)));
    return der::Writer().sequence(commands);
}

der::Writer sequence_of(const std::vector<AuthPolicy>& auth_policies) {
    der::Writer elements;
    for (const auto& auth_policy : auth_policies) {
        der::Writer fields;
        if (!auth_policy.name.empty())
            fields.explicit_tag(asn1::auth_policy_name, der::Writer().utf8_string(auth_policy.name));
        elements.sequence(fields.explicit_tag(asn1::auth_policy_policy, sequence_of(auth_policy.policy)));
    }
    return der::Writer().sequence(elements);
}

} // namespace

Bytes to_der(const KeyFile& key) {
    der::Writer fields;
    fields.object_identifier(oid_of(key.kind));
    // Empty and false fields are left out, as the draft recommends, except this one: for tpm2-openssl 1.1.1 a
    // file without it has no PIN.
    fields.explicit_tag(asn1::empty_auth, der::Writer().boolean(key.empty_auth));
    if (!key.policy.empty())
        fields.explicit_tag(asn1::policy, sequence_of(key.policy));
    if (!key.secret.empty())
        fields.explicit_tag(asn1::secret, der::Writer().octet_string(key.secret));
    if (!key.auth_policies.empty())
        fields.explicit_tag(asn1::auth_policy, sequence_of(key.auth_policies));
    if (key.rsa_parent)
        fields.explicit_tag(asn1::rsa_parent, der::Writer().boolean(true));
    fields.uint32(key.parent);
    fields.octet_string(marshal_public(key.public_area));
    fields.octet_string(marshal_private(key.private_area));
    return der::Writer().sequence(fields).bytes();
}

std::string to_pem(const KeyFile& key) {
    auto block = encode_pem(to_der(key), asn1::pem_label);
    if (key.description.empty())
        return block;
    check_description(key.description);
    return std::string(asn1::comment_prefix) + key.description + '\n' + block;
}

} // namespace sshtpm::keyfile
