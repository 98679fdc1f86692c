// SPDX-License-Identifier: MIT
#pragma once
// What a function says to input that it must not take.

#include "base/bytes.hpp"
#include "base/error.hpp"

#include <cstddef>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace support {

/// The code of the Error that the call throws; nothing when it throws none.
template <class Call, class... Arguments>
std::optional<sshtpm::Errc> refusal(Call&& call, const Arguments&... arguments) {
    try {
        std::invoke(call, arguments...);
    } catch (const sshtpm::Error& error) {
        return error.code();
    }
    return std::nullopt;
}

/// What that Error says; "" when the call throws none.
template <class Call, class... Arguments>
std::string complaint(Call&& call, const Arguments&... arguments) {
    try {
        std::invoke(call, arguments...);
    } catch (const sshtpm::Error& error) {
        return error.what();
    }
    return {};
}

/// That Error, of a call that must throw one: all of it is to be looked at.
template <class Call, class... Arguments>
sshtpm::Error thrown(Call&& call, const Arguments&... arguments) {
    try {
        std::invoke(call, arguments...);
    } catch (const sshtpm::Error& error) {
        return error;
    }
    throw std::logic_error("no Error was thrown");
}

/// The lengths of those prefixes of a valid message, itself left out, that `parse` takes: none, of a sound
/// parser. Each prefix is in memory of its own, so that a sanitizer sees a read behind its end.
template <class Parse>
std::vector<std::size_t> accepted_prefixes(sshtpm::ByteView message, Parse&& parse) {
    std::vector<std::size_t> accepted;
    for (std::size_t length = 0; length < message.size(); ++length) {
        const sshtpm::Bytes prefix = sshtpm::copy_of(message.first(length));
        if (!refusal([&] { parse(sshtpm::ByteView(prefix)); }))
            accepted.push_back(length);
    }
    return accepted;
}

} // namespace support
