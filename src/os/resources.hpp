#pragma once
// What a server with thousands of clients takes from the system, and gives back.

#include <cstddef>

namespace sshtpm::os {

/// RLIMIT_NOFILE's soft limit up to the hard one: one descriptor a client, and there may be many. Inherited
/// by exec, so to be called where no person's command is started.
void raise_descriptor_limit();

/// How many more descriptors this process may open. @throws Error(io)
std::size_t free_descriptors();

/// Has malloc give large buffers back to the system when they are freed, for as long as the process lives:
/// left alone, glibc keeps memory of a size once it has seen such a buffer freed (mallopt(3),
/// M_MMAP_THRESHOLD).
void return_large_buffers();

} // namespace sshtpm::os
