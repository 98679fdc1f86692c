// SPDX-License-Identifier: MIT
// What an agent in its sandbox may ask its opener: whatever it sends, only the files that it was made for are
// opened.

#include "fuzz/target.hpp"
#include "os/opener.hpp"

using namespace sshtpm;

namespace {

bool ends_as_a_key(std::string_view path) {
    return path.ends_with(".tpm") || path.ends_with("-cert.pub");
}

} // namespace

FUZZ_TARGET(open_request) {
    const auto request = os::parse_open_request({data, size});
    if (!request)
        return;
    const std::string_view path = request->path;
    require(path.size() + 1 == size && path.starts_with('/') && path.find('\0') == path.npos);
    const os::Openable openable{.key_folder = "/home/u/.ssh",
                                .readable = "/etc/known",
                                .device = "/dev/tpm",
                                .sockets = {"/run/agent"},
                                .own_socket = "/run/own"};
    if (!os::may_open(*request, openable))
        return;
    const bool in_folder = path.starts_with("/home/u/.ssh/") && path.find("/../") == path.npos;
    switch (request->kind) {
    case os::OpenKind::device:
        return require(path == "/dev/tpm");
    case os::OpenKind::socket:
        return require(path == "/run/agent");
    case os::OpenKind::removal:
        return require(path == "/run/own");
    case os::OpenKind::folder:
        return require(path == "/home/u/.ssh" || (in_folder && !path.ends_with("/..")));
    case os::OpenKind::file:
        require(path == "/etc/known" || (in_folder && ends_as_a_key(path)) ||
                (path.starts_with("/proc/") && path.ends_with("/stat") && path.find("..") == path.npos));
    }
}
