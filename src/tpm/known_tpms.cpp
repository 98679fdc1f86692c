// SPDX-License-Identifier: MIT
#include "tpm/known_tpms.hpp"

#include "base/log.hpp"
#include "base/printable.hpp"
#include "base/shell_word.hpp"
#include "base/staged_file.hpp"
#include "base/time_limits.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <optional>
#include <utility>

namespace sshtpm::tpm {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t most_parent = 32;    ///< letters
constexpr std::size_t least_name = 2 + 20; ///< bytes, with SHA-1
constexpr std::size_t most_name = 2 + 64;  ///< with SHA-512

bool is_parent(std::string_view text) {
    return !text.empty() && text.size() <= most_parent && std::ranges::all_of(text, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
    });
}

bool is_tcti(std::string_view text) {
    return !text.empty() && std::ranges::none_of(text, is_control);
}

/// @param line without its newline
/// @returns nothing for a malformed line
std::optional<KnownParent> parse_line(std::string_view line) {
    const auto first = line.find(' ');
    const auto second = first == std::string_view::npos ? first : line.find(' ', first + 1);
    if (line.size() > known_tpms_line_ceiling || second == std::string_view::npos)
        return std::nullopt;
    auto name = from_hex(line.substr(first + 1, second - first - 1));
    const auto parent = line.substr(0, first);
    const auto tcti = line.substr(second + 1);
    if (!name || name->size() < least_name || name->size() > most_name || !is_parent(parent) ||
        !is_tcti(tcti))
        return std::nullopt;
    return KnownParent{std::string(parent), std::move(*name), std::string(tcti), 0};
}

Error bad_line(std::size_t number, const char* reason) {
    return {Errc::malformed, "line " + std::to_string(number) + ": " + reason, "mend or delete that line"};
}

/// A command that ends the trouble with a path that is no file, or leads to none.
std::string move_away(const fs::path& path) {
    return "move it away: `mv " + shell_word(path.native()) + ' ' + shell_word(path.native() + ".old") + '`';
}

/// Locks the folder of the file, the real one behind symbolic links, as every writer of the file does.
/// @throws Error(io) if another program takes too long
UniqueFd lock_folder_of(const fs::path& file) {
    std::error_code failure;
    const auto real = fs::weakly_canonical(file, failure);
    const auto folder = (failure ? file : real).parent_path();
    auto lock = lock_folder(folder, time_limits().known_tpms_lock);
    if (!lock)
        throw Error(Errc::io, folder.string() + ": another program has locked this folder",
                    "`lslocks` tells which");
    return lock;
}

/// True before the first use, and after the file was removed.
/// @throws Error for a symbolic link on the way that leads nowhere: the file may be on a file system that is
///     not mounted now
bool is_missing(const fs::path& file) {
    fs::path path;
    for (const auto& part : file) {
        path /= part;
        std::error_code failure;
        if (!is_there(path))
            return true;
        if (fs::is_symlink(path, failure) && !fs::exists(path, failure) &&
            (!failure || failure == std::errc::too_many_symbolic_link_levels))
            throw Error(Errc::io, path.string() + ": a dangling symbolic link",
                        "mount the file system to which it leads, or " + move_away(path));
    }
    return false;
}

/// The text without the line of this number, counted from 1.
Bytes without_line(ByteView content, std::size_t number) {
    const auto text = text_of(content);
    std::size_t begin = 0;
    for (; number > 1; --number)
        begin = text.find('\n', begin) + 1;
    const auto end = std::min(text.find('\n', begin), text.size() - 1) + 1;
    return copy_of(bytes_of(std::string(text.substr(0, begin)).append(text.substr(end))));
}

/// The error for a file that cannot be read. Such a file is not taken for an empty one.
Error refusal(const fs::path& file, const Error& reason, bool is_users) {
    const auto path = file.string() + ": ";
    std::string text = reason.what();
    if (text.starts_with(path))
        text.erase(0, path.size());
    const bool is_read = reason.code() == Errc::malformed;
    text = path + "the file of the known TPMs cannot be " + (is_read ? "understood: " : "read: ") + text +
           (is_read ? "" : "; no PIN was sent");
    std::string hint = reason.hint();
    if (hint.empty())
        hint = is_read     ? move_away(file)
               : !is_users ? "let this user read it"
                           : "let this user read it; or set XDG_STATE_HOME to a folder of this user";
    return {Errc::refused, printable(text, known_tpms_line_ceiling),
            hint + "; without the file, the TPM is taken for the right one once more"};
}

} // namespace

std::vector<KnownParent> parse_known_tpms(std::string_view text) {
    std::vector<KnownParent> all;
    for (std::size_t number = 1; !text.empty(); ++number) {
        const auto line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(line.size() + 1, text.size()));
        if (line.empty() || line.front() == '#')
            continue;
        auto known = parse_line(line);
        if (!known)
            throw bad_line(number, "not \"PARENT NAME TCTI\"");
        known->line = number;
        if (std::ranges::any_of(all, [&](const KnownParent& earlier) {
                return earlier.parent == known->parent && earlier.tcti == known->tcti;
            }))
            throw bad_line(number, "a second one about the same parent of the same TPM");
        all.push_back(std::move(*known));
    }
    return all;
}

std::string known_tpms_line(const KnownParent& known) {
    const auto line = known.parent + ' ' + hex(known.name) + ' ' + known.tcti;
    if (!parse_line(line))
        throw Error(Errc::malformed, "a TCTI that does not fit into a line");
    return line + '\n';
}

KnownTpms::KnownTpms(fs::path file, std::string tcti, KnownTpmsUse use)
    : file_(std::move(file)), tcti_(std::move(tcti)), use_(use) {}

KnownTpms::Verdict KnownTpms::judge(std::string_view parent, ByteView name) {
    const auto* known = read_and_find(parent);
    if (known == nullptr)
        return Verdict::unknown;
    return equal(known->name, name) ? Verdict::same : Verdict::other;
}

void KnownTpms::require(std::string_view parent, ByteView name) {
    const auto* known = read_and_find(parent);
    if (known != nullptr && !equal(known->name, name))
        throw other_name(*known, name);
}

std::optional<Bytes> KnownTpms::known_name(std::string_view parent) {
    const auto* known = read_and_find(parent);
    return known == nullptr ? std::nullopt : std::optional(known->name);
}

void KnownTpms::accept(std::string_view parent, ByteView name) {
    require(parent, name);
    if (find(parent) != nullptr)
        return;
    KnownParent known{.parent = std::string(parent), .name = copy_of(name), .tcti = tcti_, .line = 0};
    try { // caught to go on without the file, as under sudo in another user's home
        if (use_ != KnownTpmsUse::read_only && !file_.empty())
            return add(known);
    } catch (const Error& error) {
        if (error.code() == Errc::refused)
            throw;
        if (!std::exchange(said_, true))
            log::info("the TPM's storage key is not remembered beyond this run: ",
                      printable(error.what(), known_tpms_line_ceiling));
    }
    this_run_.push_back(std::move(known));
}

/// A line of the file takes precedence over a parent of this run, because another program may have written it
/// since.
const KnownParent* KnownTpms::find(std::string_view parent) const {
    for (const auto* list : {&known_, &this_run_}) {
        const auto found = std::ranges::find_if(
            *list, [&](const KnownParent& known) { return known.parent == parent && known.tcti == tcti_; });
        if (found != list->end())
            return &*found;
    }
    return nullptr;
}

const KnownParent* KnownTpms::read_and_find(std::string_view parent) {
    read(stamp_of(file_));
    return find(parent);
}

Error KnownTpms::other_name(const KnownParent& known, ByteView name) const {
    const bool is_hosts = use_ == KnownTpmsUse::host && !file_.empty();
    const auto what_to_do = is_hosts          ? std::string("use `ssh-tpm hostkeys --renew`")
                            : known.line == 0 ? std::string("start this program anew")
                                              : "delete line " + std::to_string(known.line) + " of " +
                                                    printable(file_.string(), known_tpms_line_ceiling);
    return {Errc::refused,
            "the TPM's storage key \"" + known.parent +
                "\" is not the known one: the TPM was cleared or "
                "replaced, or somebody sits between it and this program (its Name is " +
                hex(name) + ", not " + hex(known.name) + "); no PIN was sent",
            "if you know why it changed, " + what_to_do + " to accept the new one"};
}

/// @param now the file's stamp; a missing file is looked for each time
void KnownTpms::read(const FileStamp& now) {
    if (now == stamp_ && now != FileStamp{})
        return;
    stamp_ = {};
    content_.clear();
    known_.clear();
    try { // caught to name the file
        if (!file_.empty() && !is_missing(file_)) {
            content_ = read_file(file_, known_tpms_ceiling);
            known_ = parse_known_tpms(text_of(content_));
        }
    } catch (const Error& error) {
        throw refusal(file_, error, use_ != KnownTpmsUse::host);
    }
    stamp_ = now; // from before the reading, so that a later change is read next time
}

void KnownTpms::add(const KnownParent& known) {
    if (use_ == KnownTpmsUse::user)
        make_folders(file_.parent_path(), 0700);
    const auto locked = lock();
    const auto stamp = stamp_of(file_);
    read(stamp); // another program may have added lines
    require(known.parent, known.name);
    if (find(known.parent) == nullptr)
        write(known, stamp);
}

void KnownTpms::replace(std::string_view parent, ByteView name) {
    const auto locked = lock();
    const auto stamp = stamp_of(file_);
    read(stamp);
    write({.parent = std::string(parent), .name = copy_of(name), .tcti = tcti_, .line = 0}, stamp);
}

/// @param stamp the file's, from before it was read
void KnownTpms::write(const KnownParent& known, const FileStamp& stamp) {
    std::error_code ignored;
    if (use_ == KnownTpmsUse::host && fs::is_symlink(file_, ignored)) // it could lead out of an image's tree
        throw Error(Errc::io, file_.string() + ": a symbolic link, which is not written to");
    auto line = known_tpms_line(known);
    const auto* old = find(known.parent);
    auto content = old != nullptr && old->line != 0 ? without_line(content_, old->line) : content_;
    if (!content.empty() && content.back() != '\n')
        line.insert(0, 1, '\n');
    append(content, bytes_of(line));
    if (content.size() > known_tpms_ceiling)
        throw Error(Errc::io, file_.string() + ": full");
    if (stamp == FileStamp{})
        write_file(file_, content, use_ == KnownTpmsUse::host ? 0644 : 0600, Existing::keep);
    else
        rewrite_file(file_, content, stamp);
    log::debug("this TPM's storage key \"", known.parent,
               "\" is known from now on: ", printable(file_.string(), known_tpms_line_ceiling));
}

/// Not for the file of host keys: every user can open its folder, and could lock it. Of two programs that
/// write it at the same time, the second finds another stamp, and fails.
UniqueFd KnownTpms::lock() const {
    return use_ == KnownTpmsUse::host ? UniqueFd() : lock_folder_of(file_);
}

} // namespace sshtpm::tpm
