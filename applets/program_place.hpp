#pragma once
// Where a program has to lie that the system's units start.

#include "base/error.hpp"

#include <filesystem>
#include <optional>

namespace sshtpm::applets {

/// What is to be said of a program that is not in the tree of $DESTDIR: it may come there later.
/// @param program as running_program has it: without $DESTDIR in front
std::optional<Error> missing_in_tree(const std::filesystem::path& program);

/// @param program the same
/// @throws Error(refused) for one that the services' sandbox hides (ProtectHome=, PrivateTmp=), or that
///     somebody else than root may write or replace.
void require_place_for_units(const std::filesystem::path& program);

} // namespace sshtpm::applets
