// SPDX-License-Identifier: MIT
#include "support/data.hpp"

#include "base/file.hpp"

#include <cstdlib>
#include <stdexcept>

namespace support {

namespace {
constexpr std::size_t ceiling = 16U << 20U;
}

std::filesystem::path data_path(std::string_view name) {
    const char* root = std::getenv("SSH_TPM_TEST_DATA");
    if (root == nullptr)
        throw std::runtime_error("SSH_TPM_TEST_DATA is not set: run the tests with `meson test`");
    return std::filesystem::path(root) / name;
}

sshtpm::Bytes data_file(std::string_view name) {
    return sshtpm::read_file(data_path(name), ceiling);
}

std::string data_text(std::string_view name) {
    return std::string(sshtpm::text_of(data_file(name)));
}

} // namespace support
