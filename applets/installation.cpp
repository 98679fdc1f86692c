// SPDX-License-Identifier: MIT
#include "applets/installation.hpp"

#include "base/error.hpp"
#include "base/file.hpp"
#include "base/printable.hpp"
#include "os/environment.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <iostream>
#include <optional>
#include <sys/stat.h>
#include <utility>

namespace sshtpm::applets {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t max_file = 64 * 1024;

/// systemd.syntax(7): C escapes inside double quotes; a percent sign begins a specifier, doubled it is one.
/// Bytes outside ASCII are escaped too: systemd drops lines that are not UTF-8.
std::string quoted(std::string_view text) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string out = "\"";
    for (const char each : text) {
        const auto c = static_cast<unsigned char>(each);
        if (is_control(each) || c >= 0x80)
            out.append("\\x").append({digits[c >> 4U], digits[c & 15U]});
        else if (c == '"' || c == '\\')
            out.append({'\\', each});
        else if (c == '%')
            out.append("%%");
        else
            out.push_back(each);
    }
    return out + '"';
}

/// A symbolic link that leads to no regular file: one to /dev/null masks a unit (`systemctl mask`).
bool is_empty_link(const fs::path& path) {
    std::error_code ignored;
    return fs::is_symlink(path, ignored) && !fs::is_regular_file(path, ignored);
}

std::optional<Bytes> installed_content(const fs::path& path) {
    if (!is_there(path))
        return std::nullopt;
    std::error_code ignored;
    return fs::is_regular_file(path, ignored) ? read_file(path, max_file) : Bytes{};
}

Error changed(const fs::path& path) {
    if (is_empty_link(path))
        return {Errc::exists, path.string() + ": is a link to " + fs::read_symlink(path).string(),
                "such a link masks a unit (`systemctl mask`); remove it, or replace it with --force"};
    return {Errc::exists, path.string() + ": differs from the file that this program installs",
            "move it away, or use --force: its content is then lost"};
}

/// The beginning of an ExecStart= line (systemd.service(5)) that runs the program at `path`, whatever bytes
/// the path has. systemd refuses quotes, backslashes, control characters and (262) bytes that are not UTF-8
/// in a program's own name, so such a path goes through a shell as an argument, which may have them.
std::string exec_word(std::string_view path) {
    const auto is_refused = [](char c) {
        return is_control(c) || std::string_view("\"'\\").find(c) != std::string_view::npos;
    };
    const bool plain = is_utf8(path) && std::ranges::none_of(path, is_refused);
    // ":" has systemd leave "$" alone.
    return (plain ? ":" : R"(:/bin/sh -c "exec \"$0\" \"$@\"" )") + quoted(path);
}

/// The text of a file, with the running program's path in it.
std::string text_to_install(std::string_view source) {
    constexpr std::string_view placeholder = "@PROGRAM@";
    std::string out;
    for (;;) {
        const auto at = std::min(source.find(placeholder), source.size());
        out += source.substr(0, at);
        source.remove_prefix(at);
        if (source.empty())
            return out;
        out += exec_word(running_program().native());
        source.remove_prefix(placeholder.size());
    }
}

/// The links that `systemctl enable` made for these units. They are removed together with the units:
/// `systemctl disable` of systemd 262 fails when the unit's file is gone, and leaves the unit running.
std::vector<fs::path> links_that_enable(const std::vector<fs::path>& units) {
    std::vector<fs::path> links;
    if (units.empty())
        return links;
    const auto root = destdir();
    const fs::path folder = root + "/etc/systemd/system";
    if (!root.empty())
        require_inside(root, folder);
    std::error_code ignored;
    for (const auto& wants : fs::directory_iterator(folder, ignored)) {
        const auto kind = wants.path().extension();
        if ((kind != ".wants" && kind != ".requires") || wants.is_symlink(ignored))
            continue;
        for (const auto& link : fs::directory_iterator(wants.path(), ignored)) {
            const auto target = fs::read_symlink(link.path(), ignored);
            const auto unit = target.is_absolute() ? fs::path(root + target.string())
                                                   : (wants.path() / target).lexically_normal();
            if (std::ranges::find(units, unit) != units.end())
                links.push_back(link.path());
        }
    }
    return links;
}

} // namespace

std::string destdir() {
    const auto root = os::variable("DESTDIR").value_or("");
    if (root.empty())
        return {};
    auto canonical = fs::weakly_canonical(fs::absolute(root)).string();
    while (canonical.ends_with('/'))
        canonical.pop_back();
    return canonical;
}

void require_inside(const fs::path& root, const fs::path& folder) {
    const auto real_root = fs::weakly_canonical(fs::absolute(root));
    const auto real = fs::weakly_canonical(fs::absolute(folder));
    auto base = real_root.string();
    if (!base.ends_with('/'))
        base += '/';
    if (real != real_root && !real.string().starts_with(base))
        throw Error(Errc::refused,
                    folder.string() + ": a symbolic link leads out of " + root.string() + ", to " +
                        real.string(),
                    "make the link relative, or work inside the tree (chroot)");
}

fs::path running_program() {
    auto path = fs::read_symlink("/proc/self/exe");
    std::error_code ignored;
    if (!fs::exists(path, ignored))
        throw Error(Errc::not_found, path.string() + ": this program was replaced or removed",
                    "run the one that is installed now");
    const auto root = destdir();
    if (!root.empty() && path.string().starts_with(root + "/"))
        return path.string().substr(root.size());
    return path;
}

Installation::~Installation() {
    staged_.clear();
    std::error_code ignored;
    for (auto folder = made_.rbegin(); folder != made_.rend(); ++folder)
        fs::remove(*folder, ignored);
}

void Installation::add(std::string_view kind, const fs::path& parent, std::string_view name,
                       MissingFolder missing) {
    for (const auto& file : installed_files())
        if (file.name.starts_with(kind)) {
            const auto named = name / fs::path(file.name).filename();
            files_.push_back(
                {destdir() + (parent / named).string(), named, text_to_install(file.text), missing});
        }
}

void Installation::add_text(const fs::path& parent, std::string_view name, std::string text,
                            bool (*is_former)(std::string_view text), std::string missing_hint) {
    files_.push_back({destdir() + (parent / name).string(), name, std::move(text), MissingFolder::refused,
                      is_former, std::move(missing_hint)});
}

bool Installation::is_ours(std::string_view there, const File& file) {
    return there == file.text || (file.is_former && file.is_former(there));
}

/// Whether systemd reads the same text from where packages and meson install it, and nothing is in /etc or in
/// the user's folder, which come first. A copy there would hide the next version of the package's file.
bool Installation::is_packaged(const File& file) {
    if (is_there(file.path))
        return false;
    for (const auto* folder : {"/usr/local/lib", "/usr/lib"}) // in systemd's order
        if (const auto there = installed_content(destdir() + (folder / file.name).string()))
            return text_of(*there) == file.text;
    return false;
}

void Installation::require_in_tree() const {
    if (const auto root = destdir(); !root.empty())
        for (const auto& file : files_)
            require_inside(root, file.path.parent_path());
}

void Installation::install(bool force) {
    require_in_tree();
    // All or none: a unit that starts another program needs its own socket beside it.
    if (std::ranges::all_of(files_, is_packaged))
        return;
    std::vector<std::pair<const File*, Existing>> to_write;
    for (const auto& file : files_) {
        const auto folder = file.path.parent_path();
        std::error_code ignored;
        if (destdir().empty() && file.missing == MissingFolder::refused && !fs::is_directory(folder, ignored))
            throw Error(
                Errc::not_found, folder.string() + ": no such folder",
                file.missing_hint.empty()
                    ? "the program that reads it is not installed here; with DESTDIR, folders are made"
                    : file.missing_hint);
        auto existing = Existing::replace;
        if (!force) {
            const auto there = installed_content(file.path);
            if (there && text_of(*there) == file.text)
                continue;
            if (there && !is_ours(text_of(*there), file))
                throw changed(file.path);
            if (!there)
                existing = Existing::keep;
        }
        to_write.emplace_back(&file, existing);
    }
    for (const auto& [file, existing] : to_write) {
        make_folders(file->path.parent_path());
        staged_.emplace_back(file->path, bytes_of(file->text), 0644, existing);
        done_.push_back(file->path);
    }
    for (auto& file : staged_)
        file.take_place();
}

bool Installation::uninstall(bool force) {
    require_in_tree();
    for (const auto& file : files_) {
        if (!is_there(file.path) || (is_empty_link(file.path) && !force))
            continue;
        if (!force && !is_ours(text_of(*installed_content(file.path)), file))
            throw changed(file.path);
        staged_.emplace_back(file.path);
        done_.push_back(file.path);
    }
    for (const auto& link : links_that_enable(done_)) {
        staged_.emplace_back(link);
        done_.push_back(link);
    }
    for (auto& file : staged_)
        file.take_place();
    return !done_.empty();
}

void Installation::keep(std::string_view done) {
    for (auto& file : staged_)
        file.accept();
    made_.clear();
    for (const auto& path : done_)
        std::cout << done << ' ' << printable(path.native(), path.native().size()) << '\n';
    std::cout << std::flush; // a signal may have come
}

void Installation::make_folders(const fs::path& folder) {
    std::error_code ignored;
    if (fs::is_directory(folder, ignored))
        return;
    make_folders(folder.parent_path());
    if (::mkdir(folder.c_str(), 0777) == 0)
        made_.push_back(folder);
    else if (const int reason = errno; reason != EEXIST || !fs::is_directory(folder, ignored))
        throw Error::from_errno(reason, folder.string()); // else another program has made it meanwhile
}

} // namespace sshtpm::applets
