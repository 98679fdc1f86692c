#pragma once
// Naming a process to a person who is asked to allow it something.

#include <string>
#include <sys/types.h>

namespace sshtpm::os {

/// "ssh (pid 4711), child of bash (pid 4700)", with at most so many parents; init (pid 1) is not named, nor
/// what cannot be read. Printable, 200 bytes at most. The names are the processes' own words (proc(5), comm):
/// they help a person and prove nothing. "a process that has ended (pid N)" when there is none, or only its
/// zombie; "an unknown process" for a pid below 1, which SO_PEERCRED gives for another pid namespace.
std::string describe_process(pid_t pid, unsigned parents = 3);

} // namespace sshtpm::os
