// SPDX-License-Identifier: MIT
#include "applets/pending_requests.hpp"

#include "base/error.hpp"
#include "base/staged_file.hpp"
#include "os/paths.hpp"
#include "ssh/authorized_key.hpp"

#include <algorithm>
#include <functional>
#include <utility>

namespace sshtpm::applets {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t most_requests = 32;
constexpr std::size_t largest_request_file = std::size_t{1024} * 1024;

fs::path request_file(const attest::Digest& request) {
    return os::state_folder() / "attestation" / hex(request);
}

/// Removes the oldest ones but `latest`.
void forget_old_requests(const fs::path& latest) {
    std::vector<std::pair<fs::file_time_type, fs::path>> others;
    std::error_code failure;
    for (fs::directory_iterator entry(latest.parent_path(), failure), end; !failure && entry != end;
         entry.increment(failure)) {
        std::error_code vanished;
        const auto time = entry->last_write_time(vanished);
        if (!vanished && entry->path() != latest)
            others.emplace_back(time, entry->path());
    }
    std::ranges::sort(others, std::greater{});
    for (std::size_t i = most_requests - 1; i < others.size(); ++i)
        fs::remove(others[i].second, failure);
}

} // namespace

void remember_request(const attest::Digest& request, const std::vector<RequestedKey>& keys) {
    std::string text;
    for (const auto& [blob, base] : keys)
        text += ssh::AuthorizedKey::of(ssh::PublicKey::from_blob(blob), base.string()).line();
    const auto file = request_file(request);
    make_folders(file.parent_path(), 0700);
    write_file(file, bytes_of(text), 0600, Existing::replace);
    forget_old_requests(file);
}

std::vector<RequestedKey> find_request(const attest::Digest& request) {
    const auto file = request_file(request);
    if (!is_there(file))
        refuse("this user has not made the request, or has made 32 others since",
               "make a new one with `ssh-tpm attest request`, as the user that installs the answer");
    const auto content = read_file(file, largest_request_file);
    std::vector<RequestedKey> keys;
    for (auto& [key, shown] : ssh::find_keys(text_of(content)))
        keys.push_back({std::move(key.blob), key.comment});
    return keys;
}

} // namespace sshtpm::applets
