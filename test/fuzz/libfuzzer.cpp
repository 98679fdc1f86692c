// SPDX-License-Identifier: MIT
// libFuzzer's entry: SSH_TPM_FUZZ_TARGET names the target.

#include "fuzz/target.hpp"

#include <cstdint>
#include <cstdlib>
#include <iostream>

namespace {

fuzz::Target target = nullptr;

fuzz::Target chosen() {
    const char* name = std::getenv("SSH_TPM_FUZZ_TARGET");
    const auto found = fuzz::targets().find(name == nullptr ? "" : name);
    if (found != fuzz::targets().end())
        return found->second;
    std::cerr << "SSH_TPM_FUZZ_TARGET is none of:";
    for (const auto& [known, unused] : fuzz::targets())
        std::cerr << ' ' << known;
    std::cerr << '\n';
    std::exit(2);
}

} // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
    target = chosen();
    return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    target(data, size);
    return 0;
}
