// SPDX-License-Identifier: MIT
// ssh-tpm-add -h: destination constraints.

#include "applets/add.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "base/log.hpp"
#include "base/printable.hpp"
#include "os/paths.hpp"
#include "ssh/known_hosts.hpp"

namespace sshtpm::applets {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t max_known_hosts = std::size_t{64} * 1024 * 1024;

fs::path expanded(const std::string& name) {
    return name.starts_with("~/") ? os::home() / name.substr(2) : fs::path(name);
}

std::vector<fs::path> files_to_search(const std::vector<std::string>& named) {
    if (named.empty())
        return {os::ssh_folder() / "known_hosts", os::ssh_folder() / "known_hosts2",
                "/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"};
    std::vector<fs::path> files;
    for (const auto& name : named)
        files.push_back(expanded(name));
    return files;
}

/// The known_hosts files, each read once.
class HostKeys {
  public:
    explicit HostKeys(const std::vector<std::string>& named) : files_(files_to_search(named)) {
        for (const auto& file : files_) {
            try { // caught to ignore a missing file
                contents_.push_back(
                    read_file(file, max_known_hosts, named.empty() ? FileKind::regular : FileKind::any));
            } catch (const Error& error) {
                if (error.code() != Errc::not_found)
                    throw;
                log::debug(printable(error.what()), "; ignored");
            }
        }
    }

    std::vector<protocol::KeySpec> keys_of(std::string_view host) const {
        std::vector<protocol::KeySpec> keys;
        for (const auto& content : contents_)
            for (auto& known : ssh::find_known_hosts(text_of(content), host))
                keys.push_back({.blob = std::move(known.key_blob), .is_ca = known.is_ca});
        if (keys.empty())
            throw Error(Errc::not_found, "No host keys found for destination \"" + std::string(host) + "\"",
                        "log in once, or add its key to a known_hosts file; looked in " + searched());
        log::debug(keys.size(), " host keys for ", printable(host));
        return keys;
    }

  private:
    std::string searched() const {
        std::string text;
        for (const auto& file : files_)
            text += (text.empty() ? "" : ", ") + file.string();
        return text;
    }

    std::vector<fs::path> files_;
    std::vector<Bytes> contents_;
};

[[noreturn]] void refuse_destination(const std::string& destination, const std::string& why) {
    throw Error(Errc::usage, "-h " + destination + ": " + why,
                "HOST, USER@HOST, FROM>HOST or FROM>USER@HOST");
}

/// An address in brackets, without a port, is known by the address alone.
std::string_view without_brackets(std::string_view host) {
    return host.starts_with('[') && host.ends_with(']') ? host.substr(1, host.size() - 2) : host;
}

protocol::Hop read_hop(std::string_view word, const std::string& destination, const HostKeys& known) {
    protocol::Hop hop;
    if (const auto at = word.rfind('@'); at != std::string_view::npos) {
        hop.user = word.substr(0, at);
        word.remove_prefix(at + 1);
        if (hop.user.empty())
            refuse_destination(destination, "an empty user");
    }
    if (hop.user.size() > protocol::max_user_pattern)
        refuse_destination(destination, "the user is longer than " +
                                            std::to_string(protocol::max_user_pattern) + " bytes");
    hop.host = without_brackets(word);
    if (hop.host.empty())
        refuse_destination(destination, "a host is missing");
    hop.keys = known.keys_of(hop.host);
    return hop;
}

protocol::DestinationConstraint read_destination(const std::string& text, const HostKeys& known) {
    protocol::DestinationConstraint constraint;
    std::string_view to = text;
    if (const auto arrow = to.find('>'); arrow != std::string_view::npos) {
        const auto from = to.substr(0, arrow);
        if (from.find('@') != std::string_view::npos)
            refuse_destination(text, "no user can be given for the host in front of \">\"");
        constraint.from = read_hop(from, text, known);
        to.remove_prefix(arrow + 1);
    }
    constraint.to = read_hop(to, text, known);
    return constraint;
}

} // namespace

std::vector<protocol::DestinationConstraint>
read_destinations(const std::vector<std::string>& destinations,
                  const std::vector<std::string>& host_key_files) {
    std::vector<protocol::DestinationConstraint> constraints;
    if (destinations.empty())
        return constraints;
    if (destinations.size() > protocol::max_destinations)
        throw Error(Errc::usage, "-h more than " + std::to_string(protocol::max_destinations) + " times");
    const HostKeys known(host_key_files);
    for (const auto& text : destinations)
        constraints.push_back(read_destination(text, known));
    return constraints;
}

} // namespace sshtpm::applets
