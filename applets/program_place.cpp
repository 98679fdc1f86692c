#include "applets/program_place.hpp"

#include "applets/tree.hpp"
#include "base/error.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <sys/stat.h>
#include <unistd.h>

namespace sshtpm::applets {

namespace {

namespace fs = std::filesystem;

/// ProtectHome= makes the first three inaccessible, PrivateTmp= the others empty (systemd.exec(5)).
constexpr std::array hidden{"/home", "/root", "/run/user", "/tmp", "/var/tmp"};

Error no_place(const fs::path& program, const std::string& why) {
    return {Errc::refused, program.string() + ": no place for a program of system units: " + why,
            "install it where root alone may write, as meson install does, and run it from there; --force "
            "names this one in the units all the same"};
}

bool is_below(const fs::path& path, const fs::path& folder) {
    return std::ranges::mismatch(folder, path).in1 == folder.end();
}

/// In a tree, whoever makes it may own what will be root's.
bool may_own(uid_t user) {
    return user == 0 || (!destdir().empty() && user == ::geteuid());
}

} // namespace

std::optional<Error> missing_in_tree(const fs::path& program) {
    const fs::path there = destdir() + program.string();
    if (std::error_code ignored; destdir().empty() || fs::exists(there, ignored))
        return std::nullopt;
    return Error(Errc::not_found,
                 there.string() + ": the program is not in this tree, and the units start it",
                 "install it there, too (meson install --destdir)");
}

void require_place_for_units(const fs::path& program) {
    for (const auto* folder : hidden)
        if (is_below(program, folder))
            throw no_place(program, "services see nothing of " + std::string(folder));
    for (fs::path path = program;; path = path.parent_path()) {
        const fs::path there = destdir() + path.string();
        struct stat status {};
        if (::stat(there.c_str(), &status) != 0)
            throw Error::from_errno(errno, there.string());
        if (!may_own(status.st_uid))
            throw no_place(program, there.string() + " is not root's");
        if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0)
            throw no_place(program, there.string() + " may be written by others");
        if (path == path.root_path())
            return;
    }
}

} // namespace sshtpm::applets
