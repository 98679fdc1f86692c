#pragma once
// The swtpm process behind Emulator, and the supervisor that ends it.

#include <string>

namespace sshtpm::tpm {

/// The path of the emulator's command socket, through a descriptor of its state folder.
std::string emulator_socket(int folder);

/// True when an emulator accepts connections there.
bool emulator_answers(int folder);

enum class EmulatorState { fresh, kept };

/// Starts swtpm on the folder's sockets, with a supervisor that holds no lock and ends it when the folder's
/// "users.lock" has been free for 10 s. Returns when connections are accepted. The caller holds "start.lock".
/// @returns whether the TPM's state was made by this start.
/// @throws Error(not_found) when swtpm is not installed; Error(io)
EmulatorState start_emulator(int folder);

} // namespace sshtpm::tpm
