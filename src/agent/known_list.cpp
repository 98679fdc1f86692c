#include "agent/known_list.hpp"

#include "ssh/host_certificate.hpp"
#include "ssh/listed_key.hpp"

namespace sshtpm::agent {

std::vector<protocol::ListedKey> KnownList::take(const std::vector<protocol::ListedKey>& keys) {
    // A certificate costs the check of a signature. Who lists more new ones at once has the others shown from
    // the next lists on.
    constexpr int most_new_certificates = 64;
    int new_certificates = 0;
    std::vector<protocol::ListedKey> out;
    std::unordered_set<std::string> shown, spoiling;
    left_out_.clear();
    for (const auto& key : keys) {
        const std::string blob(text_of(key.blob));
        bool sound = shown_.contains(blob) || shown.contains(blob);
        if (!sound && !spoiling_.contains(blob) && !spoiling.contains(blob)) {
            if (ssh::is_certificate(key.blob) && ++new_certificates > most_new_certificates)
                continue;
            const auto reason = ssh::spoils_list(key.blob);
            sound = !reason;
            if (reason)
                left_out_ = *reason;
        }
        (sound ? shown : spoiling).insert(blob);
        if (sound)
            out.push_back(key);
    }
    shown_ = std::move(shown);
    spoiling_ = std::move(spoiling);
    return out;
}

} // namespace sshtpm::agent
