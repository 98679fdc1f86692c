// SPDX-License-Identifier: MIT
#include "applets/tpm_key_file.hpp"

#include "base/error.hpp"
#include "base/file.hpp"
#include "keyfile/key_file.hpp"

namespace sshtpm::applets {

namespace fs = std::filesystem;

bool is_tpm_key(const PrivateKeyBlock& block) {
    return block.label.starts_with("TSS2 ") || block.label.starts_with("TPM ");
}

bool has_tpm_key(const fs::path& file) {
    std::error_code ignored;
    if (!fs::is_regular_file(file, ignored))
        return false;
    try { // caught because another reader of the file reports it
        const auto content = read_file(file, keyfile::max_file_size);
        const auto found = find_private_key(text_of(content));
        return found && is_tpm_key(*found);
    } catch (const Error&) {
        return false;
    }
}

bool names_tpm_key(const fs::path& file) {
    return has_tpm_key(file) || (!is_there(file) && has_tpm_key(file.string() + ".tpm"));
}

} // namespace sshtpm::applets
