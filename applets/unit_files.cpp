#include "applets/unit_files.hpp"

#include "applets/installed_files.hpp"
#include "applets/tree.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "base/staged_file.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <iostream>
#include <unistd.h>

namespace sshtpm::applets {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t max_file = 64 * 1024;
constexpr std::string_view placeholder = "@PROGRAM@";

bool is_control(unsigned char c) {
    return c < 0x20 || c == 0x7f;
}

/// systemd.syntax(7): C escapes inside double quotes; a percent sign begins a specifier, doubled it is one.
/// Bytes outside ASCII are escaped too: systemd drops lines that are not UTF-8.
std::string quoted(std::string_view text) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string out = "\"";
    for (const char each : text) {
        const auto c = static_cast<unsigned char>(each);
        if (is_control(c) || c >= 0x80)
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

/// A link to nothing that could be read: one to /dev/null masks a unit (systemctl mask), another one dangles.
bool is_empty_link(const fs::path& path) {
    std::error_code ignored;
    return fs::is_symlink(path, ignored) && !fs::is_regular_file(path, ignored);
}

std::optional<Bytes> content_of(const fs::path& path) {
    if (!is_there(path))
        return std::nullopt;
    if (is_empty_link(path))
        return Bytes{};
    return read_file(path, max_file);
}

Error changed(const fs::path& path) {
    if (is_empty_link(path))
        return {Errc::exists, path.string() + ": is a link to " + fs::read_symlink(path).string(),
                "somebody wants no such file (systemctl mask); remove the link, or give --force to lose it"};
    return {Errc::exists, path.string() + ": has another content than this program writes",
            "move it away, or give --force to lose it"};
}

} // namespace

std::string exec_word(std::string_view path) {
    // ":" has systemd leave "$" alone.
    const bool plain = std::ranges::none_of(path, [](char c) {
        return is_control(static_cast<unsigned char>(c)) ||
               std::string_view("\"'\\").find(c) != std::string_view::npos;
    });
    return (plain ? ":" : R"(:/bin/sh -c "exec \"$0\" \"$@\"" )") + quoted(path);
}

fs::path running_program() {
    auto path = fs::read_symlink("/proc/self/exe");
    std::error_code ignored;
    if (!fs::exists(path, ignored))
        throw Error(Errc::not_found, path.string() + ": this program is not there any more",
                    "run the one that is installed now");
    const auto root = destdir();
    if (!root.empty() && path.string().starts_with(root + "/"))
        return path.string().substr(root.size());
    return path;
}

void Installation::add(std::string_view name, const fs::path& folder, MissingFolder missing) {
    const auto table = installed_files();
    const auto found = std::ranges::find(table, name, &InstalledFile::name);
    if (found == table.end())
        throw Error(Errc::not_found, std::string(name) + ": no such file to install");
    std::string text(found->text);
    for (std::size_t at = 0; (at = text.find(placeholder, at)) != std::string::npos;) {
        const auto word = exec_word(running_program().native());
        text.replace(at, placeholder.size(), word);
        at += word.size();
    }
    files_.push_back({destdir() + (folder / fs::path(name).filename()).string(), std::move(text), missing});
}

void Installation::require_in_tree() const {
    if (const auto root = destdir(); !root.empty())
        for (const auto& file : files_)
            require_inside(root, file.path.parent_path());
}

void Installation::install(bool force) {
    require_in_tree();
    std::vector<const File*> to_write;
    for (const auto& file : files_) {
        const auto folder = file.path.parent_path();
        std::error_code ignored;
        if (destdir().empty() && file.missing == MissingFolder::refused && !fs::is_directory(folder, ignored))
            throw Error(Errc::not_found, folder.string() + ": no such folder",
                        "what reads it is not installed here; DESTDIR makes folders for another tree");
        const auto there = content_of(file.path);
        if (there && text_of(*there) == file.text)
            continue;
        if (there && !force)
            throw changed(file.path);
        to_write.push_back(&file);
    }
    try { // caught to leave everything as it was
        for (const auto* file : to_write) {
            make_folders(file->path.parent_path());
            before_.push_back(look_at(file->path));
            write_file(file->path, bytes_of(file->text), 0644, Existing::replace);
        }
    } catch (...) {
        take_back();
        throw;
    }
}

void Installation::tell(std::string_view done) const {
    for (const auto& before : before_)
        std::cout << done << ' ' << before.path.string() << '\n';
}

Installation::Before Installation::look_at(const fs::path& path) {
    Before before{.path = path, .content = content_of(path)};
    if (!before.content)
        return before;
    if (fs::is_symlink(path))
        before.link = fs::read_symlink(path);
    else if (::stat(path.c_str(), &before.status) != 0)
        throw Error::from_errno(errno, path.string());
    return before;
}

void Installation::put_back(const Before& before) {
    if (before.content && before.link.empty()) {
        write_file(before.path, *before.content, before.status.st_mode & 07777, Existing::replace);
        if (::lchown(before.path.c_str(), before.status.st_uid, before.status.st_gid) != 0)
            throw Error::from_errno(errno, before.path.string());
        return;
    }
    fs::remove(before.path);
    if (before.content)
        fs::create_symlink(before.link, before.path);
}

void Installation::make_folders(const fs::path& folder) {
    if (fs::is_directory(folder))
        return;
    make_folders(folder.parent_path());
    fs::create_directory(folder);
    made_.push_back(folder);
}

void Installation::take_back() noexcept {
    const auto attempt = [](const auto& step) {
        try { // caught to go on with the others
            step();
        } catch (const std::exception& error) {
            std::cerr << "not taken back: " << error.what() << '\n';
        }
    };
    for (const auto& before : before_)
        attempt([&] { put_back(before); });
    for (auto folder = made_.rbegin(); folder != made_.rend(); ++folder)
        attempt([&] { fs::remove(*folder); });
    before_.clear();
    made_.clear();
}

bool Installation::uninstall(bool force) {
    require_in_tree();
    std::vector<fs::path> there;
    for (const auto& file : files_) {
        const auto content = content_of(file.path);
        if (!content || (is_empty_link(file.path) && !force))
            continue;
        if (text_of(*content) != file.text && !force)
            throw changed(file.path);
        there.push_back(file.path);
    }
    try { // caught to leave everything as it was
        for (const auto& path : there) {
            before_.push_back(look_at(path));
            fs::remove(path);
        }
    } catch (...) {
        take_back();
        throw;
    }
    return !there.empty();
}

} // namespace sshtpm::applets
