#include "agent/tpm_service.hpp"

#include "identity/seal.hpp"

namespace sshtpm::agent {

namespace asio = boost::asio;

// Jobs are named first: GCC 12 destroys the captures of a lambda written inside a co_await expression twice.

asio::awaitable<identity::SignResult> LaneService::sign(std::shared_ptr<const identity::Identity> identity,
                                                        tpm::Auth auth, ssh::Hash hash, Bytes digest) {
    auto job = [identity = std::move(identity), auth = std::move(auth), hash, digest = std::move(digest)](
                   tpm::Device& device) { return identity::sign(device, *identity, auth, hash, digest); };
    co_return co_await lane_.run(std::move(job));
}

asio::awaitable<tpm::Lockout> LaneService::lockout() {
    auto job = [](tpm::Device& device) { return tpm::read_lockout(device.context()); };
    co_return co_await lane_.run(std::move(job));
}

asio::awaitable<void> LaneService::make_ready(std::shared_ptr<const identity::Identity> identity) {
    auto job = [identity = std::move(identity)](tpm::Device& device) {
        device.keys().make_ready(identity->key);
        return true; // the lane's jobs have a value
    };
    co_await lane_.run(std::move(job));
}

asio::awaitable<std::shared_ptr<const identity::Identity>> LaneService::seal(ssh::PrivateKey key,
                                                                             std::string comment) {
    auto job = [key = std::move(key), comment = std::move(comment)](tpm::Device& device) {
        return std::make_shared<const identity::Identity>(
            identity::seal(device, key, nullptr, TPM2_RH_OWNER, comment));
    };
    co_return co_await lane_.run(std::move(job));
}

} // namespace sshtpm::agent
