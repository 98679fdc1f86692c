#include "tpm/known_tpms.hpp"

#include "base/log.hpp"
#include "base/printable.hpp"
#include "base/staged_file.hpp"
#include "base/time_limits.hpp"
#include "base/unique_fd.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <fcntl.h>
#include <optional>
#include <sys/file.h>
#include <thread>

namespace sshtpm::tpm {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t most_parent = 32;            ///< letters
constexpr std::size_t least_name = 2 + 20;         ///< bytes, with SHA-1
constexpr std::size_t most_name = 2 + 64;          ///< with SHA-512
constexpr std::chrono::milliseconds lock_pause{5}; ///< flock has no deadline to give it

int digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

std::optional<Bytes> from_hex(std::string_view text) {
    if (text.size() % 2 != 0)
        return std::nullopt;
    Bytes bytes;
    for (std::size_t i = 0; i < text.size(); i += 2) {
        const int high = digit(text[i]);
        const int low = digit(text[i + 1]);
        if (high < 0 || low < 0)
            return std::nullopt;
        bytes.push_back(static_cast<std::uint8_t>(high * 16 + low));
    }
    return bytes;
}

bool is_parent(std::string_view text) {
    return !text.empty() && text.size() <= most_parent && std::ranges::all_of(text, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
    });
}

bool is_tcti(std::string_view text) {
    return !text.empty() && std::ranges::none_of(text, [](char c) {
        return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
    });
}

/// Nothing for what is no line. @param line without its newline
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
    return {Errc::malformed, "line " + std::to_string(number) + ": " + reason};
}

/// Other processes that add a line wait meanwhile. @throws Error(io) when they take too long.
UniqueFd lock_folder(const fs::path& folder) {
    UniqueFd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd)
        throw Error::from_errno(errno, folder.string());
    const auto end = std::chrono::steady_clock::now() + time_limits().known_tpms_lock;
    while (::flock(fd.value(), LOCK_EX | LOCK_NB) != 0) {
        if (errno != EINTR && errno != EWOULDBLOCK)
            throw Error::from_errno(errno, folder.string());
        if (std::chrono::steady_clock::now() > end)
            throw Error(Errc::io, folder.string() + ": another program has locked this folder");
        std::this_thread::sleep_for(lock_pause);
    }
    return fd;
}

/// True before the first use, and after somebody has removed the file.
/// @throws Error for a dangling symbolic link on the way: the file may be on a file system that is not
///     mounted now.
bool is_missing(const fs::path& file) {
    for (auto path = file; path.has_relative_path(); path = path.parent_path()) {
        if (!is_there(path))
            continue;
        std::error_code failure;
        if (fs::is_symlink(path, failure) && !fs::exists(path, failure) && !failure)
            throw Error(Errc::io, path.string() + ": a dangling symbolic link");
        return path != file;
    }
    return true;
}

/// A file that cannot be read is not an empty one.
Error refusal(const fs::path& file, const Error& reason) {
    const auto name = printable(file.string(), known_tpms_line_ceiling);
    if (reason.code() == Errc::malformed)
        return {Errc::refused,
                "the file of the known TPMs cannot be understood: " + name + ": " + reason.what(),
                "mend or delete that line; without the file, the TPM is taken for the right one once more"};
    return {
        Errc::refused,
        "the file of the known TPMs cannot be read: " + name + ": " + reason.what() + "; no PIN was sent",
        "let this user read it; or set XDG_STATE_HOME to a folder of this user; without the file, the TPM is "
        "taken for the right one once more"};
}

/// The folder that the file is in, whatever symbolic links lead there: all who write the file lock this one.
fs::path real_folder(const fs::path& file) {
    std::error_code failure;
    const auto real = fs::weakly_canonical(file, failure);
    return (failure ? file : real).parent_path();
}

void make_folders(const fs::path& folder) {
    std::error_code ignored;
    if (folder.empty() || fs::is_directory(folder, ignored))
        return;
    make_folders(folder.parent_path());
    make_folder(folder, 0700);
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

KnownTpms::KnownTpms(fs::path file, std::string tcti) : file_(std::move(file)), tcti_(std::move(tcti)) {}

KnownTpms::Verdict KnownTpms::judge(std::string_view parent, ByteView name) {
    reload();
    const auto* known = find(parent);
    if (known == nullptr)
        return Verdict::unknown;
    return equal(known->name, name) ? Verdict::same : Verdict::other;
}

void KnownTpms::require(std::string_view parent, ByteView name) {
    if (judge(parent, name) == Verdict::other)
        throw other_name(*find(parent), name);
}

void KnownTpms::accept(std::string_view parent, ByteView name) {
    require(parent, name);
    if (find(parent) != nullptr)
        return;
    KnownParent known{.parent = std::string(parent), .name = copy_of(name), .tcti = tcti_, .line = 0};
    if (!add_to_file(known))
        this_run_.push_back(std::move(known));
}

/// The file's line before what this run has seen: others may have written one since.
const KnownParent* KnownTpms::find(std::string_view parent) const {
    for (const auto* list : {&known_, &this_run_}) {
        const auto found = std::ranges::find_if(
            *list, [&](const KnownParent& known) { return known.parent == parent && known.tcti == tcti_; });
        if (found != list->end())
            return &*found;
    }
    return nullptr;
}

Error KnownTpms::other_name(const KnownParent& known, ByteView name) const {
    const auto what_to_do = known.line == 0 ? std::string("start this program anew")
                                            : "delete line " + std::to_string(known.line) + " of " +
                                                  printable(file_.string(), known_tpms_line_ceiling);
    return {Errc::refused,
            "the TPM's storage key \"" + known.parent +
                "\" is not the one that is known: the TPM was cleared or "
                "replaced, or somebody sits between it and this program (its Name is " +
                hex(name) + ", not " + hex(known.name) + "); no PIN was sent",
            "if you know why it changed, " + what_to_do + " to accept the new one"};
}

void KnownTpms::reload() {
    if (file_.empty())
        return;
    const auto stamp = stamp_of(file_);
    if (stamp == stamp_ && stamp != FileStamp{})
        return;
    read();
    stamp_ = stamp; // of before: what was written meanwhile is read the next time
}

void KnownTpms::read() {
    stamp_ = {};
    content_.clear();
    known_.clear();
    try { // caught to say what depends on the file
        if (is_missing(file_))
            return;
        content_ = read_file(file_, known_tpms_ceiling);
        known_ = parse_known_tpms(text_of(content_));
    } catch (const Error& error) {
        throw refusal(file_, error);
    }
}

/// False when there is no place to keep it in: a TPM can be used all the same, as under sudo in a home that
/// is another's.
bool KnownTpms::add_to_file(const KnownParent& known) {
    if (file_.empty())
        return false;
    try { // caught to go on without
        add(known);
        return true;
    } catch (const Error& error) {
        if (error.code() == Errc::refused)
            throw;
        say_once(error.what());
        return false;
    }
}

void KnownTpms::add(const KnownParent& known) {
    auto line = known_tpms_line(known);
    make_folders(file_.parent_path());
    const auto lock = lock_folder(real_folder(file_));
    const auto stamp = stamp_of(file_);
    read(); // what others have written
    require(known.parent, known.name);
    if (find(known.parent) != nullptr)
        return;
    auto content = content_;
    if (!content.empty() && content.back() != '\n')
        line.insert(0, 1, '\n');
    append(content, bytes_of(line));
    if (content.size() > known_tpms_ceiling)
        throw Error(Errc::io, file_.string() + ": full");
    if (stamp == FileStamp{})
        write_file(file_, content, 0600, Existing::keep);
    else
        rewrite_file(file_, content, stamp);
    log::debug("this TPM's storage key \"", known.parent,
               "\" is known from now on: ", printable(file_.string(), known_tpms_line_ceiling));
}

void KnownTpms::say_once(std::string_view reason) {
    if (!said_)
        log::info("the TPM's storage key is not remembered beyond this run: ",
                  printable(reason, known_tpms_line_ceiling));
    said_ = true;
}

} // namespace sshtpm::tpm
