// SPDX-License-Identifier: MIT
// ssh-tpm-doctor: ~/.ssh, its key files, and the public keys and certificates beside them.

#include "applets/doctor.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "base/shell_word.hpp"
#include "identity/identity.hpp"
#include "os/key_tree.hpp"
#include "os/paths.hpp"
#include "ssh/authorized_key.hpp"

#include <cerrno>
#include <sys/stat.h>

namespace sshtpm::applets {

namespace {

namespace fs = std::filesystem;
using cli::Verdict;

void check_folder(cli::Findings& findings, const fs::path& folder) {
    try { // caught to report it
        if (!is_there(folder))
            return;
        auto finding = check_path(folder, {.check = "ssh-folder",
                                           .owner = {},
                                           .denied = S_IWGRP | S_IWOTH,
                                           .if_open = Verdict::fail,
                                           .open_text = "other users may write to this folder",
                                           .chmod = "go-w",
                                           .if_foreign = Verdict::warn});
        findings.add(finding ? *std::move(finding)
                             : cli::Finding{Verdict::ok, "ssh-folder", folder.string(),
                                            "only its owner may write to it", ""});
    } catch (const Error& error) {
        findings.add(cli::finding_of_error(Verdict::fail, "ssh-folder", folder.string(), error,
                                           "`ls -ld " + shell_word(folder.native()) + "` shows it"));
    }
}

void check_public_key(cli::Findings& findings, const fs::path& file, const identity::Identity& identity) {
    const auto path = fs::path(file).replace_extension(".pub");
    const auto hint = "`ssh-tpm keygen -y -f " + shell_word(file.native()) + " >" +
                      shell_word(path.native()) + "` writes it";
    if (auto finding = check_link(path, "public-key"))
        return findings.add(*std::move(finding));
    try { // caught to add a hint
        const auto line = ssh::AuthorizedKey::read(path);
        if (!equal(line.blob, identity.public_key.blob()))
            findings.add({Verdict::fail, "public-key", path.string(),
                          "is of another key than the key file beside it", hint});
    } catch (const Error& error) {
        findings.add(cli::finding_of_error(Verdict::warn, "public-key", path.string(),
                                           Error(error.code(), error.what(), hint)));
    }
}

/// "in 3 days", rounded down; "today" for less than one.
std::string in_days(std::chrono::system_clock::duration left) {
    const auto days = std::chrono::floor<std::chrono::days>(left).count();
    return days == 0 ? "within a day" : days == 1 ? "in 1 day" : "in " + std::to_string(days) + " days";
}

void check_certificate(cli::Findings& findings, const fs::path& file, const identity::Identity& identity) {
    constexpr std::chrono::days soon{7};
    const auto path = identity::certificate_file(file);
    const std::string again =
        "have the CA sign the public key again: `ssh-keygen -s CA -I NAME -n USER -V +52w " +
        shell_word(fs::path(file).replace_extension(".pub").native()) + "`";
    try { // caught to report it
        if (!is_there(path))
            return;
        if (auto finding = check_link(path, "certificate"))
            return findings.add(*std::move(finding));
        const auto line = ssh::AuthorizedKey::read(path);
        const auto certificate = ssh::Certificate::from_blob(line.blob);
        const auto now = std::chrono::system_clock::now();
        if (!(certificate.public_key == identity.public_key))
            findings.add({Verdict::fail, "certificate", path.string(),
                          "certifies another key than the one beside it", again});
        else if (certificate.has_expired(now))
            findings.add({Verdict::fail, "certificate", path.string(), "has expired", again});
        else if (certificate.has_expired(now + soon))
            findings.add({Verdict::warn, "certificate", path.string(),
                          "expires " + in_days(std::chrono::seconds(certificate.valid_before) -
                                               now.time_since_epoch()),
                          again});
        else
            findings.add(
                {Verdict::ok, "certificate", path.string(), "is of this key, and has not expired", ""});
    } catch (const Error& error) {
        findings.add(cli::finding_of_error(Verdict::fail, "certificate", path.string(),
                                           Error(error.code(), error.what(), again)));
    }
}

void check_key_file(cli::Findings& findings, const fs::path& file) {
    if (auto finding = check_link(file, "key-file"))
        return findings.add(*std::move(finding));
    try { // caught to report it
        const auto identity = identity::load_identity(file);
        auto finding = check_path(file, {.check = "key-file",
                                         .owner = ::geteuid(),
                                         .denied = S_IRWXG | S_IRWXO,
                                         .if_open = Verdict::warn,
                                         .open_text = identity.needs_pin() ? "other users may use this file"
                                                                           : std::string(open_key_file),
                                         .chmod = "600"});
        findings.add(finding ? *std::move(finding)
                             : cli::Finding{Verdict::ok, "key-file", file.string(),
                                            identity.needs_pin() ? "a key with a PIN" : "a key without a PIN",
                                            ""});
        check_public_key(findings, file, identity);
        check_certificate(findings, file, identity);
    } catch (const Error& error) {
        findings.add(cli::finding_of_error(Verdict::fail, "key-file", file.string(), error,
                                           "`ls -l " + shell_word(file.native()) +
                                               "` shows its owner; a file that is no key needs another "
                                               "ending than .tpm"));
    }
}

} // namespace

std::optional<cli::Finding> check_link(const fs::path& path, const std::string& check) {
    std::error_code failure, ignored;
    if (!fs::is_symlink(path, ignored) || fs::exists(path, failure) ||
        failure == std::errc::permission_denied)
        return std::nullopt;
    return cli::Finding{Verdict::fail, check, path.string(), "a dangling symbolic link",
                        "mount the file system to which it leads, or remove it: `rm " +
                            shell_word(path.native()) + "`"};
}

std::optional<cli::Finding> check_path(const fs::path& path, const PathRule& rule) {
    if (auto finding = check_link(path, rule.check))
        return finding;
    struct stat status = {};
    if (::stat(path.c_str(), &status) != 0) {
        if (errno == ENOENT)
            return std::nullopt;
        throw Error::from_errno(errno, path.string());
    }
    const auto word = shell_word(path.native());
    if ((status.st_mode & rule.denied) != 0)
        return cli::Finding{rule.if_open, rule.check, path.string(), rule.open_text,
                            "`chmod " + rule.chmod + " " + word + "`"};
    if (rule.owner && status.st_uid != *rule.owner)
        return cli::Finding{rule.if_foreign, rule.check, path.string(), "belongs to another user",
                            rule.foreign_hint.empty() ? "`ls -ld " + word + "` shows it" : rule.foreign_hint};
    return std::nullopt;
}

void check_files(cli::Findings& findings) {
    const auto folder = os::ssh_folder();
    check_folder(findings, folder);
    const auto tree = os::read_key_tree(folder);
    for (const auto& problem : tree.problems)
        findings.add(
            {Verdict::warn, "ssh-folder", "", problem,
             "`find " + shell_word(folder.native()) + " -maxdepth 2 -type d -ls` lists the folders"});
    for (const auto& file : tree.files)
        check_key_file(findings, file);
    if (tree.files.empty())
        findings.add({is_root() ? Verdict::ok : Verdict::warn, "key-file", folder.string(), "has no TPM keys",
                      is_root() ? "" : "`ssh-tpm keygen` makes one"});
}

} // namespace sshtpm::applets
