#pragma once
// What a secret leaves behind in the thread that worked with it.

namespace sshtpm {

/// Overwrites the part of this thread's stack that returned functions have used (64 KiB below the caller) and
/// the vector registers, by which memory is copied: a thread that goes quiet keeps both until it has other
/// work. For the end of a piece of work with a secret.
void forget_traces() noexcept;

} // namespace sshtpm
