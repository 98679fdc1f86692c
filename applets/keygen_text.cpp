#include "applets/keygen_text.hpp"

#include "base/error.hpp"
#include "base/file.hpp"

#include <iostream>

namespace sshtpm::applets {

Bytes read_text(const std::filesystem::path& file) {
    constexpr std::size_t ceiling = std::size_t{64} * 1024;
    if (file != "-")
        return read_file(file, ceiling);
    std::string text(ceiling + 1, '\0');
    std::cin.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(std::cin.gcount()));
    if (text.size() > ceiling)
        throw Error(Errc::malformed, "standard input: larger than " + std::to_string(ceiling) + " bytes");
    return copy_of(bytes_of(text));
}

} // namespace sshtpm::applets
