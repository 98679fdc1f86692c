// SPDX-License-Identifier: MIT
#include "applets/hostkeys_renew_text.hpp"

#include "applets/host_units.hpp"
#include "applets/installation.hpp"
#include "base/log.hpp"
#include "base/printable.hpp"
#include "os/host_names.hpp"
#include "ssh/authorized_key.hpp"

#include <algorithm>
#include <iostream>
#include <string_view>

namespace sshtpm::applets {

namespace {

using Kind = StoredHostKey::Kind;

constexpr std::size_t most_shown = 4096; ///< bytes of an error

auto kind_is(Kind kind) {
    return [kind](const StoredHostKey& key) { return key.kind == kind; };
}

/// Why the TPM has other keys. @param whose the name of a hierarchy or of a storage key
std::string causes(std::string_view whose) {
    const bool ends_with_clear = whose.starts_with("owner") || whose.starts_with("0x");
    return std::string(ends_with_clear             ? "the TPM was cleared or replaced"
                       : whose.starts_with("null") ? "the TPM was reset"
                                                   : "the TPM was replaced or has a new seed (clearing it "
                                                     "changes nothing here)") +
           ", or an attacker answers in its place";
}

/// What the Names tell about the TPM, for each storage key that there is something to say about.
std::vector<std::string> judgements(const HostKeyTrial& found,
                                    const std::optional<tpm::Hierarchy>& hierarchy) {
    std::vector<std::string> out;
    const auto is_dead = [&](Kind kind) { return std::ranges::any_of(found.dead, kind_is(kind)); };
    if (is_dead(Kind::derived))
        out.push_back("no Name is known for the keys of a hierarchy: these may be of another one than " +
                      std::string(hierarchy->name) + ", " + causes(hierarchy->name));
    for (const auto& parent : found.parents) {
        const auto shown = "the storage key \"" + parent.present.parent + "\"";
        if (parent.is_other())
            out.push_back(shown + " is not the known one: " + causes(parent.present.parent));
        else if (!parent.known)
            out.push_back("no Name of " + shown +
                          " is known, so nothing was compared: this may be another TPM, or an attacker may "
                          "answer in its place");
        else if (is_dead(Kind::in_file) && !found.has_other_parent())
            out.push_back(shown +
                          " is the known one, so the TPM was not cleared, unless an earlier --renew was "
                          "interrupted. The file of a dead key is damaged or from another machine, its "
                          "parent was removed, or an attacker answers in the TPM's place");
    }
    return out;
}

void explain_dead(const StoredHostKey& key) {
    std::cout << (key.kind == Kind::in_file
                      ? "This host key belongs to another TPM, or to this one before it was cleared:\n  "
                  : key.kind == Kind::damaged
                      ? "The file of this host key is damaged, or of no use here, and the key lost:\n  "
                      : "The TPM derives another host key than this one now:\n  ")
              << (key.kind == Kind::damaged ? printable(key.damage, most_shown) : key.shown()) << '\n';
    if (const auto line = key.former_line(); !line.empty())
        std::cout << "  " << line << '\n';
}

} // namespace

void explain_renewal(const HostKeyTrial& found, const std::optional<tpm::Hierarchy>& hierarchy,
                     const std::string& suffix, bool asks) {
    for (const auto& parent : found.parents)
        std::cout << "Storage key \"" << parent.present.parent << "\" of the TPM:\n"
                  << "  known Name:   " << (parent.known ? hex(*parent.known) : "none") << '\n'
                  << "  present Name: " << hex(parent.present.name) << '\n';
    for (const auto& text : judgements(found, hierarchy)) {
        if (asks)
            std::cout << "Note: " << text << ".\n";
        else
            log::warning(text);
    }
    for (const auto& key : found.alive)
        std::cout << "This host key works, and stays:\n  " << key.shown() << '\n';
    for (const auto& key : found.dead)
        explain_dead(key);
    std::cout << "If you go on,\n";
    if (!std::ranges::all_of(found.parents, &PresentParent::is_known))
        std::cout << "- the present storage key becomes the known one;\n";
    if (!found.dead.empty())
        std::cout
            << "- the files of each dead key are kept under names with " << suffix << " behind them;\n"
            << "- a new key of the same type and size takes its place. Clients then report that the host "
               "key has changed, until they know the new one.\n";
    std::cout << std::flush;
}

void print_new_keys(std::vector<StoredHostKey> keys, const std::filesystem::path& socket) {
    std::erase_if(keys, [](const StoredHostKey& key) { return !key.is_new; });
    if (keys.empty())
        return;
    const auto host = os::host_name();
    std::cout << "To publish:\n";
    for (const auto& key : keys)
        std::cout << "  " << key_line(key.identity->public_key, key.identity->key->description) << '\n';
    std::cout << "In known_hosts of clients, in place of the old lines:\n";
    for (const auto& key : keys)
        std::cout << "  " << host << ' ' << ssh::AuthorizedKey::of(key.identity->public_key, "").line();
    std::cout << "In the DNS, the SSHFP records of:\n";
    for (const auto& key : keys)
        std::cout << "  ssh-keygen -r " << host << " -f " << printable(key.paths.pub.string()) << '\n';
    std::cout << "If host certificates are in use, have the new .pub files signed, and run `"
              << for_tree(destdir()) << "ssh-tpm hostkeys --install-sshd-config" << hierarchy_option(socket)
              << "`.\n";
}

} // namespace sshtpm::applets
