#pragma once
// Where a program has to lie that the system's units start.

#include <filesystem>

namespace sshtpm::applets {

/// @param program as running_program has it: without $DESTDIR in front
/// @throws Error(refused | not_found) for one that the services' sandbox hides (ProtectHome=, PrivateTmp=),
/// that somebody else than root may write or replace, or that is not in the tree.
void require_place_for_units(const std::filesystem::path& program);

} // namespace sshtpm::applets
