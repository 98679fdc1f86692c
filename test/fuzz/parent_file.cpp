// The storage key of another machine, as PEM or TPM2B_PUBLIC: whatever is taken is the same when it is
// written as a TPM2B_PUBLIC and read again, and a key can be wrapped for it or its point is refused.

#include "base/error.hpp"
#include "fuzz/target.hpp"
#include "keyfile/marshal.hpp"
#include "keyfile/wrap.hpp"

#include <cstdlib>

using namespace sshtpm;

FUZZ_TARGET(parent_file) {
    TPMT_PUBLIC parent;
    try {
        parent = keyfile::parse_parent({data, size});
    } catch (const Error&) {
        return;
    }
    const auto written = keyfile::marshal_public(parent);
    if (keyfile::marshal_public(keyfile::parse_parent(written)) != written)
        std::abort();
    TPMT_PUBLIC key = parent; // any public area will do
    try {
        static_cast<void>(keyfile::wrap(parent, key, Secret::copy_of(Bytes(32, 1)), {}));
    } catch (const Error&) {
    }
}
