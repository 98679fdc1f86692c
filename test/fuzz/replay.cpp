// The main of a fuzz target without libFuzzer: runs every file of the folders given, and fails when one of
// them holds none (a lost corpus must not pass for a good one).

#include "base/file.hpp"

#include <algorithm>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <iostream>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

std::vector<std::filesystem::path> files_in(const std::filesystem::path& folder) {
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator(folder))
        if (entry.is_regular_file())
            files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    return files;
}

void replay(const std::filesystem::path& file) {
    constexpr std::size_t ceiling = 16U << 20U;
    std::cout << file.string() << std::endl; // flushed: the last line names the input that crashed
    const sshtpm::Bytes input = sshtpm::read_file(file, ceiling);
    LLVMFuzzerTestOneInput(input.data(), input.size());
}

} // namespace

int main(int argc, char** argv) try {
    if (argc < 2) {
        std::cerr << "usage: " << argv[0] << " FOLDER…\n";
        return 2;
    }
    for (int i = 1; i < argc; ++i) {
        const std::vector<std::filesystem::path> files = files_in(argv[i]);
        if (files.empty()) {
            std::cerr << argv[i] << ": no input\n";
            return 1;
        }
        for (const std::filesystem::path& file : files)
            replay(file);
    }
    return 0;
} catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
}
