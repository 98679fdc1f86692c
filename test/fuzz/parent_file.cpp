// SPDX-License-Identifier: MIT
// The storage key of another machine, as PEM or TPM2B_PUBLIC: whatever is taken is the same when it is
// written as a TPM2B_PUBLIC and read again, and a key can be wrapped for it or its point is refused.

#include "fuzz/target.hpp"
#include "keyfile/marshal.hpp"
#include "keyfile/wrap.hpp"

using namespace sshtpm;

FUZZ_TARGET(parent_file) {
    const auto parent = taken(keyfile::parse_parent, ByteView(data, size));
    if (!parent)
        return;
    const auto written = keyfile::marshal_public(*parent);
    require(keyfile::marshal_public(keyfile::parse_parent(written)) == written);
    auto key = *parent; // any public area will do
    attempt([&] { static_cast<void>(keyfile::wrap(*parent, key, Secret::copy_of(Bytes(32, 1)), {})); });
}
