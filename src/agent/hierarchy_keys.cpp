#include "agent/hierarchy_keys.hpp"

#include "base/log.hpp"
#include "identity/hierarchy.hpp"

namespace sshtpm::agent {

namespace asio = boost::asio;

asio::awaitable<void> keep_hierarchy_keys(TpmLane& lane, const ServerOptions& options, State& state) {
    if (!options.hierarchy)
        co_return;
    const auto& hierarchy = *options.hierarchy;
    if (hierarchy.handle == TPM2_RH_NULL)
        log::info(
            "warning: the null hierarchy's keys change at every reset of the TPM, and so at every boot");
    log::info("making the keys of the ", hierarchy.name, " hierarchy");
    auto job = [hierarchy](tpm::Device& device) { return identity::hierarchy_identities(device, hierarchy); };
    auto identities = co_await lane.run(std::move(job));
    std::vector<HeldKey> keys;
    for (auto& identity : identities)
        keys.push_back({.identity = std::make_shared<const identity::Identity>(std::move(identity)),
                        .origin = HeldKey::Origin::hierarchy,
                        .constraints = options.key_dir_terms});
    state.keep(std::move(keys));
}

} // namespace sshtpm::agent
