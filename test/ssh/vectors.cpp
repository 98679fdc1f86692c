// SPDX-License-Identifier: MIT
#include "ssh/vectors.hpp"

#include "ssh/authorized_key.hpp"
#include "support/data.hpp"

#include <sstream>

namespace vectors {

sshtpm::Bytes blob(std::string_view name) {
    return sshtpm::ssh::AuthorizedKey::parse(support::data_text("ssh/" + std::string(name) + ".pub")).blob;
}

sshtpm::ssh::PublicKey key(std::string_view name) {
    return sshtpm::ssh::PublicKey::from_blob(blob(name));
}

std::vector<std::string> lines(std::string_view file) {
    std::istringstream text(support::data_text("ssh/" + std::string(file)));
    std::vector<std::string> out;
    for (std::string line; std::getline(text, line);)
        out.push_back(line);
    return out;
}

std::vector<std::string> words(std::string_view line) {
    std::istringstream text{std::string(line)};
    std::vector<std::string> out;
    for (std::string word; text >> word;)
        out.push_back(word);
    return out;
}

} // namespace vectors
