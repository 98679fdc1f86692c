// SPDX-License-Identifier: MIT
#include "support/tcti_log.hpp"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace support {

std::string TctiLog::tcti() const {
    const char* module = std::getenv("SSH_TPM_TCTI_PROBE");
    if (module == nullptr)
        throw std::runtime_error("SSH_TPM_TCTI_PROBE is not set: run the tests with `meson test`");
    std::string conf = std::string(module) + ":log=" + (folder_ / "log").string() +
                       ",record=" + (folder_ / "bus").string() + ",faults=" + (folder_ / "faults").string();
    for (const int hash : missing_hashes_)
        conf.append(",lacks=").append(std::to_string(hash));
    return conf + ",next=" + next_;
}

std::vector<std::string> TctiLog::lines() const {
    std::vector<std::string> all;
    std::ifstream file(folder_ / "log");
    for (std::string line; std::getline(file, line);)
        all.push_back(line);
    return all;
}

std::vector<std::string> TctiLog::commands() const {
    std::vector<std::string> names = lines();
    for (std::string& line : names)
        line.resize(line.find(' '));
    return names;
}

std::size_t TctiLog::count(std::string_view command) const {
    const std::vector<std::string> all = commands();
    return static_cast<std::size_t>(std::count(all.begin(), all.end(), command));
}

sshtpm::Bytes TctiLog::bus() const {
    std::ifstream file(folder_ / "bus", std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

void TctiLog::clear() {
    // Cut, not removed: whoever has the files open goes on appending to them.
    for (const char* name : {"log", "bus"})
        if (std::filesystem::exists(folder_ / name))
            std::filesystem::resize_file(folder_ / name, 0);
}

void TctiLog::fail(std::initializer_list<std::string> rules) const {
    {
        std::ofstream file(folder_ / "new-faults");
        for (const std::string& rule : rules)
            file << rule << '\n';
    }
    std::filesystem::rename(folder_ / "new-faults", folder_ / "faults"); // whole, at once
}

} // namespace support
