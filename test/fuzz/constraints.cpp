// SPDX-License-Identifier: MIT
// The constraints that come with a key: what is read is written back as it would be read again.

#include "protocol/constraints.hpp"

#include "fuzz/target.hpp"
#include "wire/reader.hpp"
#include "wire/writer.hpp"

namespace {

using namespace sshtpm;

protocol::Constraints read_whole(ByteView bytes) {
    wire::Reader reader(bytes);
    return protocol::read_constraints(reader);
}

} // namespace

FUZZ_TARGET(constraints) {
    const auto constraints = taken(read_whole, ByteView(data, size));
    if (!constraints)
        return;
    wire::Writer writer;
    protocol::write_constraints(writer, *constraints);
    require(writer.bytes().size() == size && read_whole(writer.bytes()) == *constraints);
}
