// SPDX-License-Identifier: MIT
// The fuzz targets without libFuzzer: each runs every file of its corpus. A target without a corpus fails,
// and a corpus without a target: a lost one must not pass for a good one.

#include "base/file.hpp"
#include "fuzz/target.hpp"

#include <exception>
#include <filesystem>
#include <iostream>
#include <set>

namespace {

namespace fs = std::filesystem;

std::set<fs::path> entries(const fs::path& folder) {
    std::set<fs::path> found;
    for (const auto& entry : fs::directory_iterator(folder))
        found.insert(entry.path());
    return found;
}

void replay(fuzz::Target target, const fs::path& file) {
    constexpr std::size_t ceiling = 16U << 20U;
    std::cout << file.string() << std::endl; // flushed: the last line names the input that crashed
    const sshtpm::Bytes input = sshtpm::read_file(file, ceiling);
    target(input.data(), input.size());
}

} // namespace

int main(int argc, char** argv) try {
    if (argc != 2) {
        std::cerr << "usage: " << argv[0] << " CORPUS\n";
        return 2;
    }
    std::set<std::string_view> left;
    for (const auto& [name, target] : fuzz::targets())
        left.insert(name);
    for (const fs::path& folder : entries(argv[1])) {
        const auto name = folder.filename().string();
        const auto files = entries(folder);
        if (left.erase(name) == 0 || files.empty()) {
            std::cerr << folder.string() << (files.empty() ? ": no input\n" : ": no target has this name\n");
            return 1;
        }
        for (const fs::path& file : files)
            replay(fuzz::targets().at(name), file);
    }
    for (const auto name : left)
        std::cerr << name << ": no corpus\n";
    return left.empty() ? 0 : 1;
} catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
}
