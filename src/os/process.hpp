#pragma once
// Describes a process to a person who is asked to allow something.

#include <string>
#include <sys/types.h>

namespace sshtpm::os {

/// "ssh (pid 4711), child of bash (pid 4700)", or "a process that has ended (pid 4711)"; printable, at most
/// 200 bytes. Processes choose their names (proc(5), comm), so these help a person and prove nothing.
/// @param pid below 1 for "an unknown process": SO_PEERCRED gives 0 for one in another pid namespace
/// @param parents how many to name at most; init (pid 1) is never named
std::string describe_process(pid_t pid, unsigned parents = 3);

} // namespace sshtpm::os
