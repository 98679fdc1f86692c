// SPDX-License-Identifier: MIT
#pragma once
// Ids and names of processes.

#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>

namespace sshtpm::os {

/// @returns nothing unless `text` is a decimal number above 0
std::optional<pid_t> parse_pid(std::string_view text);

/// The name of a process, at most 15 bytes of any kind (proc(5), comm): the name of the program's file,
/// unless the process has chosen another one.
/// @returns nothing if it has ended, or is hidden
std::optional<std::string> name_of_process(pid_t pid);

/// True for pid 1, and for a process with the name of systemd, such as a user's. As a listening process, it
/// starts the program that serves the socket.
bool is_systemd(pid_t pid);

/// "ssh (pid 4711), child of bash (pid 4700)", or "a process that has ended (pid 4711)"; printable, at most
/// 200 bytes. A process can choose its name (proc(5), comm), so the text helps a person and proves nothing.
/// @param pid below 1 gives "an unknown process": SO_PEERCRED reports 0 for a process in another pid
///     namespace
/// @param parents the number of parents to name at most; init (pid 1) is never named
std::string describe_process(pid_t pid, unsigned parents = 3);

} // namespace sshtpm::os
