// SPDX-License-Identifier: MIT
#include "identity/hierarchy.hpp"

#include "base/error.hpp"
#include "base/log.hpp"
#include "keyfile/usable.hpp"
#include "tpm/capability.hpp"
#include "tpm/create.hpp"
#include "tpm/tpm.hpp"

namespace sshtpm::identity {

Identity hierarchy_identity(tpm::Tpm& tpm, const tpm::Hierarchy& hierarchy, const HostKeyType& type,
                            const std::string& comment) {
    auto key = tpm::make_primary_key(tpm, hierarchy.handle, type.algorithm);
    key.description = comment;
    return make_identity(std::move(key), comment);
}

std::vector<Identity> hierarchy_identities(tpm::Tpm& tpm, const tpm::Hierarchy& hierarchy) {
    std::vector<Identity> out;
    for (const auto& type : host_key_types) {
        if (!tpm::supports(tpm.context(), type.algorithm)) {
            log::warning("this TPM makes no ", tpm::describe(type.algorithm), " keys");
            continue;
        }
        const auto comment = std::string(hierarchy.name) + " " + std::string(type.word) + " host key";
        out.push_back(hierarchy_identity(tpm, hierarchy, type, comment));
    }
    if (out.empty())
        throw no_host_key_type();
    return out;
}

Error no_host_key_type() {
    std::string types;
    for (const auto& type : host_key_types)
        types += (types.empty() ? "" : " nor ") + tpm::describe(type.algorithm);
    return {Errc::unsupported, "this TPM makes neither " + types + " keys"};
}

} // namespace sshtpm::identity
