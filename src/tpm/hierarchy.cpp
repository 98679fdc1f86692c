#include "tpm/hierarchy.hpp"

#include "base/error.hpp"

#include <algorithm>

namespace sshtpm::tpm {

const Hierarchy& hierarchy_of(TPM2_HANDLE handle) {
    const auto found = std::ranges::find(hierarchies, handle, &Hierarchy::handle);
    if (found == hierarchies.end())
        throw Error(Errc::unsupported, "a parent that is neither a hierarchy nor a persistent key");
    return *found;
}

} // namespace sshtpm::tpm
