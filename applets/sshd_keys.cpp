// SPDX-License-Identifier: MIT
#include "applets/sshd_keys.hpp"

#include "applets/host_units.hpp"
#include "applets/keygen_files.hpp"
#include "applets/sshd_drop_in.hpp"
#include "applets/stored_host_keys.hpp"
#include "base/file.hpp"
#include "base/printable.hpp"
#include "base/shell_word.hpp"
#include "identity/hierarchy.hpp"
#include "os/host_names.hpp"
#include "ssh/authorized_key.hpp"

#include <algorithm>

namespace sshtpm::applets {

namespace {

using cli::Verdict;

/// In the line above that of a host key.
constexpr std::string_view stays_in_file = "# ssh-tpm: this key stays in a file";

void report_agent(HostKeyCheck& check, const Error& error) {
    check.agent_failure = cli::finding_of_error(Verdict::fail, "agent", check.socket.string(), error,
                                                hint_for_agent(check.socket, error.code()));
    check.findings.add(*check.agent_failure);
    check.served.reset();
}

/// A connection with a limit of what is left of the time. @throws Error as Client; Error(io) at the end
protocol::Client connect_in_time(const HostKeyCheck& check) {
    const auto left =
        std::chrono::floor<std::chrono::milliseconds>(check.end - std::chrono::steady_clock::now());
    if (left.count() <= 0)
        throw Error(Errc::io, "the agent does not answer");
    return protocol::Client(check.socket, left);
}

/// Each finding about a key has its path as the subject.
cli::Finding about(const SshdKey& key, std::string_view check, Verdict verdict, std::string text,
                   std::string hint = {}) {
    return {.verdict = verdict,
            .check = std::string(check),
            .subject = key.path,
            .text = std::move(text),
            .hint = std::move(hint)};
}

bool is_same_key(const SshdKey& one, const SshdKey& other) {
    return &one == &other || (!one.blob.empty() && one.blob == other.blob);
}

bool is_offered(std::string_view algorithm, const SshdView& view) {
    return view.settings->host_key_algorithms.empty() ||
           ssh::is_listed(algorithm, view.settings->host_key_algorithms);
}

/// The hint that has sshd offer these algorithms, or no longer: sshd takes the first HostKeyAlgorithms.
std::string hint_for_algorithms(bool offer, const std::string& names, const SshdView& view) {
    if (view.algorithms.empty())
        return "in sshd's configuration, `HostKeyAlgorithms " + std::string(offer ? "+" : "-") + names + "`";
    return (offer ? "allow " : "exclude ") + names + " in HostKeyAlgorithms (" +
           place_of(view.algorithms.front()) + ")";
}

/// A HostKey names a public key file, or a private one, which may be missing, with the public one beside it.
void read_public_half(SshdKey& key) {
    const bool beside = !key.path.ends_with(".pub") && !is_there(key.path);
    auto text = read_file(beside ? key.path + ".pub" : key.path, ssh::max_public_file);
    key.has_file = is_key_file(text_of(text));
    if (key.has_file)
        text = read_file(key.path + ".pub", ssh::max_public_file);
    auto line = naming(base_of(key.path) + ".pub", [&] { return ssh::AuthorizedKey::parse(text_of(text)); });
    key.type = std::move(line.type);
    key.blob = std::move(line.blob);
}

/// @throws Error(exists) if the .pub file is not that of the key file beside it
void require_own_public_half(const SshdKey& key) {
    const auto base = base_of(key.path), file = base + ".tpm";
    if (!identity::has_host_key_name(key.path) || !is_there(file))
        return;
    try { // caught because a file that cannot be read is reported with the agent's answer
        if (equal(read_host_identity(file).public_key.blob(), key.blob))
            return;
    } catch (const Error&) {
        return;
    }
    throw Error(Errc::exists, base + ".pub: holds another key than the one in " + file);
}

Error unreadable_by_sshd(const std::string& path) {
    return {Errc::refused, "sshd cannot read this file",
            "`chmod 600 " + shell_word(path) + "`; a key with a passphrase needs a file without it"};
}

/// Reads a host key; whether it works is not checked yet. @param number of its path, from 0
SshdKey read_host_key(std::size_t number, const SshdView& view,
                      const std::vector<SshdCertificate>& sshd_certificates) {
    SshdKey key;
    key.path = view.settings->host_keys[number];
    const auto loaded = std::ranges::find(view.loaded, number, &ssh::SshdHostKey::number);
    if (loaded != view.loaded.end())
        key.signer = loaded->is_private ? Signer::sshd : Signer::agent;
    try { // caught to report it in its turn
        read_public_half(key);
        require_own_public_half(key);
    } catch (const Error& error) {
        key.blob.clear();
        if (key.signer == Signer::sshd) // it needs no .pub file
            key.type = loaded->type;
        else
            key.error = key.has_file ? unreadable_by_sshd(key.path) : error;
    }
    const bool certified = std::ranges::any_of(sshd_certificates, [&](const auto& named) {
        return named.certificate && named.certificate->key_blob == key.blob;
    });
    for (const auto& algorithm : host_algorithms(key.type))
        if (is_offered(algorithm.name, view) || (certified && is_offered(algorithm.certified, view)))
            key.algorithms.push_back(algorithm.name);
    return key;
}

/// The installed file is not to be edited: its lines follow the .pub files.
std::string remove_line(const SshdKey& key, const HostKeyCheck& check) {
    if (is_in_sshd_drop_in(key.path, check.view.host_keys))
        return "move " + base_of(key.path) +
               (is_there(base_of(key.path) + ".tpm") ? ".tpm and .pub" : ".pub") + " away, and " +
               install_command(check.socket);
    return "remove its HostKey line" + in_line_of(key.path, check.view.host_keys);
}

/// For a key whose public half cannot be read.
std::string hint_for_public_half(const SshdKey& key, const HostKeyCheck& check) {
    if (!identity::has_host_key_name(key.path))
        return remove_line(key, check);
    const auto option = hierarchy_option(check.socket);
    return (key.error->code() == Errc::not_found ? "" : "move " + base_of(key.path) + ".pub away: ") +
           "`ssh-tpm keygen -A" + option + "` writes it again, from " +
           (option.empty() ? "the .tpm file beside it" : "the TPM");
}

Error not_served(const SshdKey& key, const HostKeyCheck& check) {
    const std::string what = "the agent does not serve this key";
    const auto base = base_of(key.path), file = base + ".tpm";
    if (key.has_file)
        return unreadable_by_sshd(key.path);
    if (!identity::has_host_key_name(key.path))
        return {Errc::not_found, what, "if it is no key of the TPM, " + remove_line(key, check)};
    try { // caught to report a damaged file
        if (is_there(file))
            read_host_identity(file);
    } catch (const Error& error) {
        return error;
    }
    const auto option = hierarchy_option(check.socket);
    if (is_there(file))
        return {Errc::not_found, what,
                option.empty()
                    ? "`systemctl restart ssh-tpm-genkeys.service` has the agent read the keys again"
                    : "sshd asks the agent of a hierarchy, and this key is in a file: " +
                          install_command({})};
    if (!option.empty())
        return {Errc::not_found, what,
                "the TPM derives another key now, as after tpm2_clear: `ssh-tpm hostkeys --renew" + option +
                    "`"};
    return {Errc::not_found, what,
            "there is no " + file + ": " + replace_lost_keys() +
                "; for keys of a hierarchy, as after tpm2_clear, `ssh-tpm hostkeys --renew --hierarchy "
                "HIERARCHY`"};
}

/// The algorithm, and that with a certificate if sshd offers it.
std::string all_names(const std::string& algorithm, const SshdKey& key, const SshdView& view) {
    for (const auto& [name, certified] : host_algorithms(key.type))
        if (name == algorithm && is_offered(certified, view))
            return name + "," + certified;
    return algorithm;
}

/// Has the agent sign with each algorithm that sshd offers with this key.
/// @throws Error if a signature fails; Error(io) if the agent does not answer
void require_signatures(SshdKey& key, const HostKeyCheck& check) {
    if (std::ranges::find(*check.served, key.blob, &protocol::AgentKey::blob) == check.served->end())
        throw not_served(key, check);
    std::vector<std::string> good;
    std::optional<Error> bad;
    std::string bad_algorithm;
    for (const auto& algorithm : key.algorithms) {
        try { // caught to try the others
            if (const auto wrong = connect_in_time(check).find_wrong_signature(key.blob, algorithm))
                throw Error(
                    Errc::malformed, "the agent's signature is not this key's (" + printable(*wrong) + ")",
                    "the agent at this socket is not to be trusted: find out which program listens there");
            good.push_back(algorithm);
        } catch (const Error& error) {
            if (error.code() == Errc::io)
                throw;
            if (bad)
                continue;
            bad = error;
            bad_algorithm = algorithm;
        }
    }
    key.signs = !good.empty();
    if (!bad) {
        check.findings.add(about(key, "host-key", Verdict::ok, "the agent signs with " + joined(good)));
        return;
    }
    if (!key.signs)
        throw Error(*bad);
    // A client chooses the first of its algorithms that sshd offers, and gives up if sshd cannot sign so.
    throw Error(bad->code(), bad->what() + ("; it signs with " + joined(good)),
                bad->hint().empty()
                    ? "keep clients from it: " +
                          hint_for_algorithms(false, all_names(bad_algorithm, key, check.view), check.view)
                    : bad->hint());
}

void check_key_of_agent(SshdKey& key, HostKeyCheck& check) {
    try { // caught to report it
        require_signatures(key, check);
    } catch (const Error& error) {
        if (error.code() == Errc::io)
            return report_agent(check, error);
        key.fails = true;
        check.findings.add(cli::finding_of_error(Verdict::fail, "host-key", key.path, error,
                                                 "the agent's log may have the reason: `journalctl -u " +
                                                     agent_unit(check.socket) + ".service`"));
    }
}

void check_key_in_file(const SshdKey& key, const HostKeyCheck& check) {
    if (has_comment(key.path, check.view.host_keys, stays_in_file))
        check.findings.add(
            about(key, "host-key-in-file", Verdict::ok, "in a file on purpose; sshd signs with it"));
    else
        check.findings.add(
            about(key, "host-key-in-file", Verdict::warn, "in a file, not in the TPM; sshd signs with it",
                  in_line_of(key.path, check.view.host_keys)
                          .empty() // without any HostKey line, sshd has its usual keys
                      ? install_command(check.socket) + " has sshd use those in the TPM"
                      : remove_line(key, check) +
                            " once clients know the TPM's keys; or write in the line above it: `" +
                            std::string(stays_in_file) + "`"));
}

/// sshd uses the first host key of each type (get_hostkey_by_type in its sshd.c).
void check_order(const SshdKey& key, const std::vector<SshdKey>& keys, const HostKeyCheck& check) {
    const auto& lines = check.view.host_keys;
    const auto first =
        std::ranges::find_if(keys, [&](const auto& other) { return !other.error && other.type == key.type; });
    if (first == keys.end() || is_same_key(*first, key))
        return;
    check.findings.add(
        about(key, "host-key-order", Verdict::warn,
              "sshd does not use this key, but " + first->path + ", the first one of this type",
              is_in_sshd_drop_in(first->path, lines)
                  ? "remove the HostKey line of this key" + in_line_of(key.path, lines)
                  : "remove the HostKey line of " + first->path + in_line_of(first->path, lines) +
                        ", or move it behind that of this key"));
}

/// sshd takes each HostKey for a private key first, and finds the .pub file beside that name by itself.
void check_name(const SshdKey& key, const std::vector<SshdKey>& keys, const HostKeyCheck& check) {
    const auto with_name = [&](bool is_pub) {
        return std::ranges::find_if(keys, [&, is_pub](const auto& other) {
            return is_same_key(other, key) && other.path.ends_with(".pub") == is_pub;
        });
    };
    const auto named = with_name(true);
    if (named == keys.end())
        return;
    const auto place = in_line_of(named->path, check.view.host_keys);
    const auto hint = with_name(false) == keys.end() ? "write it without .pub" + place
                                                     : "remove this line, there is one without .pub" + place;
    check.findings.add(about(*named, "host-key-name", Verdict::warn,
                             "sshd logs UNPROTECTED PRIVATE KEY FILE at each login because of this name",
                             hint));
}

void check_key(SshdKey& key, const std::vector<SshdKey>& keys, HostKeyCheck& check) {
    const bool any_offered =
        std::ranges::any_of(keys, [](const auto& other) { return !other.algorithms.empty(); });
    if (key.error) {
        key.fails = true;
        check.findings.add(cli::finding_of_error(Verdict::fail, "host-key", key.path, *key.error,
                                                 hint_for_public_half(key, check)));
    } else if (key.algorithms.empty()) {
        key.fails = !any_offered;
        check.findings.add(
            about(key, "host-key", any_offered ? Verdict::warn : Verdict::fail,
                  "sshd offers no algorithm of this key (" + key.type + "), because of HostKeyAlgorithms",
                  (any_offered ? remove_line(key, check) + ", or " : std::string()) +
                      hint_for_algorithms(true, host_algorithms(key.type).front().name, check.view)));
    } else if (key.signer == Signer::sshd) {
        check_key_in_file(key, check);
    } else if (check.served && key.signer == Signer::none &&
               check.view.settings->host_key_agent == check.socket) {
        key.fails = true;
        check.findings.add(about(key, "host-key", Verdict::fail, "sshd does not use this key",
                                 "`sshd -T -d` shows the reason, such as RequiredRSASize"));
    } else if (check.served) {
        check_key_of_agent(key, check);
    }
    if (!key.fails)
        check_order(key, keys, check);
    if (!key.error)
        check_name(key, keys, check);
}

bool is_first_of_its_key(const SshdKey& key, const std::vector<SshdKey>& keys) {
    return &*std::ranges::find_if(keys, [&](const auto& other) { return is_same_key(other, key); }) == &key;
}

/// @throws Error if sshd does not show it to clients, or they do not believe it
void check_certificate(const SshdCertificate& named, const std::vector<SshdKey>& keys, const HostNames& names,
                       const HostKeyCheck& check) {
    if (named.error)
        throw Error(*named.error);
    const auto& certificate = *named.certificate;
    const auto key = std::ranges::find(keys, certificate.key_blob, &SshdKey::blob);
    if (key == keys.end())
        throw Error(Errc::not_found, "of a key that no HostKey line names");
    if (key->fails)
        throw Error(Errc::refused, "of " + key->path + ", which does not work",
                    "solve the problem of that key");
    std::vector<std::string> all, offered;
    for (const auto& algorithm : host_algorithms(certificate.type)) {
        all.push_back(algorithm.certified);
        if (is_offered(algorithm.certified, check.view))
            offered.push_back(algorithm.certified);
    }
    for (auto& finding : judge_host_certificate(certificate, names, base_of(key->path) + ".pub")) {
        finding.check = "host-certificate";
        finding.subject = named.path;
        if (finding.verdict == Verdict::ok)
            finding.text += offered.empty() ? "" : "; sshd offers " + joined(offered);
        if (finding.verdict != Verdict::ok || !offered.empty())
            check.findings.add(std::move(finding));
    }
    if (offered.empty())
        check.findings.add({Verdict::warn, "host-certificate", named.path,
                            "sshd offers no algorithm of this certificate, because of HostKeyAlgorithms",
                            hint_for_algorithms(true, joined(all), check.view)});
}

/// How to end the trouble with a certificate that sshd does not show to clients.
std::string hint_for_certificate(const std::string& path, const HostNames& names, const HostKeyCheck& check) {
    const auto& lines = check.view.host_certificates;
    if (!is_in_sshd_drop_in(path, lines))
        return "remove its HostCertificate line" + in_line_of(path, lines);
    constexpr std::string_view ending = "-cert.pub";
    return install_command(check.socket) + " takes its line away, unless it is signed anew before: " +
           sign_command(names, path.substr(0, path.size() - ending.size()) + ".pub");
}

/// A certificate beside a key that works, and that no HostCertificate line names. --install-sshd-config
/// leaves out those that clients refuse.
void check_for_certificate(const SshdKey& key, const HostNames& names, const HostKeyCheck& check) {
    const auto base = base_of(key.path), path = base + "-cert.pub";
    const auto& named = check.view.settings->host_certificates;
    std::error_code ignored;
    if (key.fails || std::ranges::find(named, path) != named.end() || !std::filesystem::exists(path, ignored))
        return;
    cli::Finding finding{Verdict::warn, "host-certificate-line", path, "sshd does not show this certificate",
                         identity::has_host_key_name(path) ? install_command(check.socket)
                                                           : "add this line: `HostCertificate " + path + "`"};
    const auto judged = judge_certificate_of(base, names);
    if (const auto bad = std::ranges::find(judged, Verdict::fail, &cli::Finding::verdict);
        bad == judged.end()) {
        finding.text += ", because no HostCertificate line names it";
    } else {
        finding.text += ": " + bad->text;
        finding.hint.insert(0, bad->hint + ", and then ");
    }
    check.findings.add(std::move(finding));
}

} // namespace

bool uses_path(const HostKeysByType& keys, const std::string& path) {
    return std::ranges::any_of(keys, [&](const auto& key) { return key.second == path; });
}

std::string base_of(const std::string& path) {
    constexpr std::string_view pub = ".pub";
    return path.ends_with(pub) ? path.substr(0, path.size() - pub.size()) : path;
}

void check_agent(HostKeyCheck& check) {
    try { // caught to report it
        check.served = connect_in_time(check).list();
        const auto count = check.served->size();
        check.findings.add({Verdict::ok, "agent", check.socket.string(),
                            "answers, and has " + std::to_string(count) + (count == 1 ? " key" : " keys"),
                            ""});
    } catch (const Error& error) {
        report_agent(check, error);
    }
}

std::vector<SshdCertificate> read_certificates(const SshdView& view) {
    std::vector<SshdCertificate> out;
    for (const auto& path : view.settings->host_certificates) {
        SshdCertificate named{.path = path, .certificate = {}, .error = {}};
        try { // caught to report it in its turn
            named.certificate = read_host_certificate(path);
        } catch (const Error& error) {
            named.error = error;
        }
        out.push_back(std::move(named));
    }
    return out;
}

std::vector<SshdKey> read_host_keys(const SshdView& view,
                                    const std::vector<SshdCertificate>& sshd_certificates) {
    std::vector<SshdKey> keys;
    for (std::size_t number = 0; number < view.settings->host_keys.size(); ++number)
        keys.push_back(read_host_key(number, view, sshd_certificates));
    return keys;
}

void check_keys(std::vector<SshdKey>& keys, const std::vector<std::string>& paths, HostKeyCheck& check) {
    std::vector<const SshdKey*> done;
    for (auto& key : keys) {
        const bool again = std::ranges::any_of(done, [&](const auto* one) { return is_same_key(*one, key); });
        if (again || std::ranges::find(paths, key.path) == paths.end())
            continue;
        done.push_back(&key);
        check_key(key, keys, check);
    }
}

// A client that has logged in with one key asks sshd to prove the others (UpdateHostKeys). Before 10.0, sshd
// asks the agent for a signature by an algorithm without a name, and then refuses that signature (OpenSSH's
// 84023656d); before 8.9 with RSA too (0fa336832). A new client prefers ECDSA to RSA, and so has only the RSA
// key to learn.
void check_learning(const std::vector<SshdKey>& keys, const HostKeyCheck& check) {
    constexpr ssh::SshdVersion mended{10, 0}, mended_for_rsa{8, 9};
    const auto& version = check.view.version;
    if (!version || *version >= mended)
        return;
    const bool learns_rsa = *version >= mended_for_rsa;
    const auto was_there = [&](const SshdKey& key) { return uses_path(check.former, base_of(key.path)); };
    for (const auto& key : keys) {
        const bool others = std::ranges::any_of(keys, [&](const auto& other) {
            return other.signer == Signer::sshd || (was_there(other) && !was_there(key));
        });
        if (!others || key.fails || key.signer != Signer::agent || !is_first_of_its_key(key, keys) ||
            (learns_rsa && key.type == ssh::info(ssh::KeyType::rsa).name))
            continue;
        check.findings.add(about(
            key, "host-key-learning", Verdict::warn,
            "this sshd (OpenSSH " + std::to_string(version->major) + '.' + std::to_string(version->minor) +
                ") may end sessions of clients that know another host key, and learn this "
                "one (UpdateHostKeys)",
            "until sshd is 10.0 or newer, " +
                (!learns_rsa ? std::string()
                 : identity::has_host_key_name(key.path)
                     ? "have `ssh-tpm keygen -A -t rsa" + hierarchy_option(check.socket) +
                           "` make the keys (`systemctl edit " + genkeys_unit(check.socket) +
                           "`), since RSA keys are learnt, and " + remove_line(key, check) + "; or "
                     : remove_line(key, check) + "; or ") +
                "put this key into the clients' known_hosts, and ignore this warning"));
    }
}

void check_certificates(const std::vector<SshdCertificate>& sshd_certificates,
                        const std::vector<SshdKey>& keys, const HostKeyCheck& check) {
    const auto names = os::host_names();
    for (const auto& named : sshd_certificates) {
        try { // caught to report it
            check_certificate(named, keys, names, check);
        } catch (const Error& error) {
            check.findings.add(cli::finding_of_error(Verdict::fail, "host-certificate", named.path, error,
                                                     hint_for_certificate(named.path, names, check)));
        }
    }
    for (const auto& key : keys)
        if (is_first_of_its_key(key, keys))
            check_for_certificate(key, names, check);
}

} // namespace sshtpm::applets
