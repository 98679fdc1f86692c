// The constraints that come with a key: what is read is written back as it would be read again.

#include "protocol/constraints.hpp"

#include "base/error.hpp"
#include "fuzz/target.hpp"
#include "wire/reader.hpp"
#include "wire/writer.hpp"

#include <cstdlib>

namespace {

using namespace sshtpm;

protocol::Constraints read_whole(ByteView bytes) {
    wire::Reader reader(bytes);
    return protocol::read_constraints(reader);
}

} // namespace

FUZZ_TARGET(constraints) {
    protocol::Constraints constraints;
    try {
        constraints = read_whole({data, size});
    } catch (const Error&) {
        return;
    }
    wire::Writer writer;
    protocol::write_constraints(writer, constraints);
    if (writer.bytes().size() != size || read_whole(writer.bytes()) != constraints)
        std::abort();
}
