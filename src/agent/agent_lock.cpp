// SPDX-License-Identifier: MIT
#include "agent/agent_lock.hpp"

namespace sshtpm::agent {

namespace {

asio::awaitable<std::optional<PasswordHash>> hash_of(Secret password, PasswordHash::Cost cost) {
    co_return PasswordHash(password.view(), cost);
}

asio::awaitable<bool> matches(PasswordHash hash, Secret password) {
    co_return hash.matches(password.view());
}

} // namespace

asio::awaitable<bool> AgentLock::lock(Secret password) {
    if (locked_ || password.empty())
        co_return false;
    locked_ = true;
    ++lockings_;
    try { // caught because an agent without a hash of the password would stay locked for ever
        if (!hashing_)
            hashing_.emplace(1);
        hash_ = co_await asio::co_spawn(*hashing_, hash_of(std::move(password), cost_), asio::use_awaitable);
    } catch (...) {
        locked_ = false;
        throw;
    }
    co_return true;
}

asio::awaitable<bool> AgentLock::unlock(Secret password) {
    if (!locked_ || password.empty() || !hash_)
        co_return false;
    const auto locking = lockings_;
    const bool right =
        co_await asio::co_spawn(*hashing_, matches(*hash_, std::move(password)), asio::use_awaitable);
    if (!right || !locked_ || lockings_ != locking) // unlocked by another client
        co_return false;
    locked_ = false;
    hash_.reset();
    co_return true;
}

} // namespace sshtpm::agent
