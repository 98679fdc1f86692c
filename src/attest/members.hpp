// SPDX-License-Identifier: MIT
#pragma once
// Reads the members of JSON objects, for the documents of this module.

#include "base/bytes.hpp"

#include <string>
#include <string_view>
#include <vector>

#include <boost/json.hpp>

namespace sshtpm::attest {

/// @throws Error(malformed) for a text of more than `most` bytes, and for one that is no JSON object
boost::json::object parse_object(std::string_view text, std::size_t most);

// The member of this name. @throws Error(malformed) if it is missing or of another type
std::string_view text_member(const boost::json::object& object, std::string_view name);
Bytes bytes_member(const boost::json::object& object, std::string_view name); ///< base64
const boost::json::object& object_member(const boost::json::object& object, std::string_view name);
const boost::json::array& array_member(const boost::json::object& object, std::string_view name);
/// Of at most 24 PCRs, in hexadecimal.
std::vector<Bytes> pcr_values_member(const boost::json::object& object, std::string_view name);

/// @throws Error(malformed) unless the member "format" has this value
void require_format(const boost::json::object& object, std::string_view format);

/// Refuses what a lenient parser lets pass: other white space and escapes, members that are repeated, unknown
/// or in another order, TPM structures in another form.
/// @param written the same document, as this program writes it
/// @throws Error(malformed)
void require_same(std::string_view text, std::string_view written);

/// The object as a line.
std::string line_of(const boost::json::object& object);

} // namespace sshtpm::attest
