#pragma once
// Describes a process to a person who is asked to allow something.

#include <string>
#include <sys/types.h>

namespace sshtpm::os {

/// "ssh (pid 4711), child of bash (pid 4700)", or "a process that has ended (pid 4711)"; printable, at most
/// 200 bytes. A process can choose its name (proc(5), comm), so the text helps a person and proves nothing.
/// @param pid below 1 gives "an unknown process": SO_PEERCRED reports 0 for a process in another pid
///     namespace
/// @param parents the number of parents to name at most; init (pid 1) is never named
std::string describe_process(pid_t pid, unsigned parents = 3);

} // namespace sshtpm::os
