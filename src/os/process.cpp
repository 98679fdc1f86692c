// SPDX-License-Identifier: MIT
#include "os/process.hpp"

#include "base/error.hpp"
#include "base/file.hpp"
#include "base/printable.hpp"

#include <charconv>
#include <utility>

namespace sshtpm::os {

namespace {

constexpr std::size_t most_bytes = 200;
constexpr std::size_t stat_ceiling = 4096; ///< some fifty numbers and a name of at most 64 bytes
constexpr pid_t init_pid = 1;

struct Process {
    std::string name; ///< any bytes but zero
    char state = '?';
    pid_t parent = 0;
};

std::optional<std::string> read_proc(pid_t pid, std::string_view file) {
    try {
        const auto content =
            read_file("/proc/" + std::to_string(pid) + "/" + std::string(file), stat_ceiling);
        return std::string(text_of(content));
    } catch (const Error&) { // the process has ended, or is hidden (hidepid in proc(5))
        return std::nullopt;
    }
}

/// Reads proc(5), stat: "pid (comm) state ppid …". The name may contain spaces and parentheses; it ends at
/// the last parenthesis.
std::optional<Process> find_process(pid_t pid) {
    const auto stat = read_proc(pid, "stat");
    if (!stat)
        return std::nullopt;
    const auto open = stat->find('('), close = stat->rfind(')');
    if (open == std::string::npos || close == std::string::npos || close < open || stat->size() < close + 5)
        return std::nullopt;
    Process out{.name = stat->substr(open + 1, close - open - 1), .state = (*stat)[close + 2]};
    const char* parent = stat->data() + close + 4;
    if (std::from_chars(parent, stat->data() + stat->size(), out.parent).ec != std::errc())
        return std::nullopt;
    return out;
}

bool has_ended(const Process& process) {
    return process.state == 'Z' || process.state == 'X';
}

std::string named(const Process& process, pid_t pid) {
    return printable(process.name) + " (pid " + std::to_string(pid) + ")";
}

} // namespace

std::optional<pid_t> parse_pid(std::string_view text) {
    pid_t pid = 0;
    const auto* const end = text.data() + text.size();
    const auto [stopped, failure] = std::from_chars(text.data(), end, pid);
    return failure == std::errc() && stopped == end && pid > 0 ? std::optional(pid) : std::nullopt;
}

std::optional<std::string> name_of_process(pid_t pid) {
    auto process = find_process(pid);
    if (!process || has_ended(*process))
        return std::nullopt;
    return std::move(process->name);
}

bool is_systemd(pid_t pid) {
    return pid == init_pid || name_of_process(pid) == "systemd"; // init may be hidden
}

std::string describe_process(pid_t pid, unsigned parents) {
    if (pid < init_pid)
        return "an unknown process";
    auto process = find_process(pid);
    if (!process || has_ended(*process))
        return "a process that has ended (pid " + std::to_string(pid) + ")";
    std::string out = named(*process, pid);
    for (unsigned i = 0; i < parents && process->parent > init_pid; ++i) {
        const auto parent = process->parent;
        process = find_process(parent);
        if (!process)
            break;
        const auto more = ", child of " + named(*process, parent);
        if (out.size() + more.size() > most_bytes)
            break;
        out += more;
    }
    return out;
}

} // namespace sshtpm::os
