// SPDX-License-Identifier: MIT
// Where bytes are in another process: every page that it can have written to, and the registers of its
// threads.
//
//     memory-scan PID [registers]    the bytes come on standard input, in hex, a line for each pattern
//     memory-scan hold               keeps the first pattern's first 16 bytes in a register until it is ended
//
// A line "NUMBER ADDRESS PLACE" is printed for each place where the pattern of that number (from 0) was
// found. /proc/PID/mem reads more than a core file holds: the unreadable and the locked pages of libsodium
// are in it. Root alone may do that, as the programs are not dumpable.

#include <bitset>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <elf.h>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace {

const auto page = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
constexpr std::size_t first_bytes = 1 << 16;

std::string from_hex(const std::string& text) {
    std::string bytes;
    for (std::size_t at = 0; at + 1 < text.size(); at += 2)
        bytes += static_cast<char>(std::stoi(text.substr(at, 2), nullptr, 16));
    return bytes;
}

class Patterns {
  public:
    explicit Patterns(std::istream& in) : by_start_(first_bytes) {
        for (std::string line; std::getline(in, line);) {
            patterns_.push_back(from_hex(line));
            if (patterns_.back().size() < 2)
                throw std::runtime_error("a pattern of less than two bytes");
            const std::size_t start = start_of(patterns_.back());
            starts_.set(start);
            by_start_[start].push_back(patterns_.size() - 1);
        }
    }

    [[nodiscard]] const std::string& first() const { return patterns_.at(0); }

    void search(std::string_view content, std::uint64_t address, const std::string& place) const {
        for (std::size_t at = 0; at + 1 < content.size(); ++at) {
            const std::size_t start = start_of(content.substr(at, 2));
            if (!starts_[start])
                continue;
            for (const std::size_t number : by_start_[start])
                if (content.substr(at).starts_with(patterns_[number]))
                    std::cout << number << ' ' << address + at << ' ' << place << '\n';
        }
    }

  private:
    static std::size_t start_of(std::string_view bytes) {
        return static_cast<unsigned char>(bytes[0]) | std::size_t{static_cast<unsigned char>(bytes[1])} << 8U;
    }

    std::vector<std::string> patterns_;
    std::bitset<first_bytes> starts_;
    std::vector<std::vector<std::size_t>> by_start_;
};

struct Mapping {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    std::string name;
    bool is_private = true;
};

/// Those that can have been written to: code and constants are as they are in the file.
std::vector<Mapping> mappings(const std::string& process) {
    std::ifstream maps(process + "/maps");
    std::vector<Mapping> found;
    for (std::string line; std::getline(maps, line);) {
        std::istringstream words(line);
        Mapping mapping;
        std::string rights;
        std::string skipped;
        words >> std::hex >> mapping.begin;
        words.ignore(); // the hyphen
        words >> mapping.end >> rights >> skipped >> skipped >> skipped >> std::ws;
        std::getline(words, mapping.name);
        mapping.is_private = rights.find('p') != rights.npos;
        const bool constant = mapping.name.starts_with('/') && rights.find('w') == rights.npos;
        if (!constant && mapping.name != "[vvar]" && mapping.name != "[vvar_vclock]" &&
            mapping.name != "[vsyscall]")
            found.push_back(mapping);
    }
    if (found.empty())
        throw std::runtime_error("no memory in " + process);
    return found;
}

int open_file(const std::string& path) {
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        throw std::runtime_error("cannot open " + path);
    return fd;
}

/// Of each page whether it was ever touched: a private page that was not holds nothing
/// (admin-guide/mm/pagemap.rst of Linux).
std::vector<bool> touched_pages(int pagemap, const Mapping& mapping) {
    constexpr std::uint64_t present = std::uint64_t{1} << 63U;
    constexpr std::uint64_t swapped = std::uint64_t{1} << 62U;
    std::vector<std::uint64_t> entries((mapping.end - mapping.begin) / page, present);
    const auto place = static_cast<off_t>(mapping.begin / page * sizeof entries[0]);
    if (!mapping.is_private || pread(pagemap, entries.data(), entries.size() * sizeof entries[0], place) < 0)
        entries.assign(entries.size(), present); // all are looked at
    std::vector<bool> touched;
    for (const std::uint64_t entry : entries)
        touched.push_back((entry & (present | swapped)) != 0);
    return touched;
}

void search_memory(const Patterns& patterns, const std::string& process) {
    const int memory = open_file(process + "/mem");
    const int pagemap = open_file(process + "/pagemap");
    std::string buffer(page, '\0');
    bool any = false;
    for (const Mapping& mapping : mappings(process)) {
        const std::string& place = mapping.name.empty() ? "memory without a name" : mapping.name;
        const std::vector<bool> touched = touched_pages(pagemap, mapping);
        std::string run; // of pages in a row
        for (std::uint64_t at = mapping.begin; at < mapping.end; at += page) {
            if (touched[(at - mapping.begin) / page] &&
                pread(memory, buffer.data(), page, static_cast<off_t>(at)) == static_cast<ssize_t>(page)) {
                run += buffer;
                any = true;
            } else if (!run.empty()) { // it is a page of a file beyond its end, or has gone
                patterns.search(run, at - run.size(), place);
                run.clear();
            }
        }
        patterns.search(run, mapping.end - run.size(), place);
    }
    close(pagemap);
    close(memory);
    if (!any)
        throw std::runtime_error("no page was read");
}

/// All of them as raw bytes, where a vector longer than 16 bytes comes in pieces; none of a thread that has
/// ended.
std::string registers_of(pid_t thread) {
    int status = 0;
    if (ptrace(PTRACE_SEIZE, thread, 0, 0) != 0 || ptrace(PTRACE_INTERRUPT, thread, 0, 0) != 0 ||
        waitpid(thread, &status, __WALL) != thread) {
        if (errno == ESRCH)
            return "";
        throw std::runtime_error("cannot stop thread " + std::to_string(thread));
    }
    std::string all;
    for (const long set : {NT_PRSTATUS, NT_FPREGSET, NT_X86_XSTATE, NT_ARM_SVE}) {
        std::string buffer(1U << 16U, '\0');
        iovec room{buffer.data(), buffer.size()};
        if (ptrace(PTRACE_GETREGSET, thread, set, &room) == 0)
            all += buffer.substr(0, room.iov_len) + std::string(8, '\0');
    }
    const long signal =
        status >> 16 == 0 && WIFSTOPPED(status) ? WSTOPSIG(status) : 0; // it was about to get one
    ptrace(PTRACE_DETACH, thread, 0, signal);
    return all;
}

void search_registers(const Patterns& patterns, const std::string& process) {
    bool read = false;
    for (const auto& entry : std::filesystem::directory_iterator(process + "/task")) {
        const std::string registers = registers_of(std::stoi(entry.path().filename()));
        patterns.search(registers, 0, "registers");
        read = read || !registers.empty();
    }
    if (!read)
        throw std::runtime_error("no registers were read");
}

/// Nothing between the load and the system call that waits may use the register.
[[noreturn]] void hold([[maybe_unused]] const std::string& bytes) {
    std::cout << "holds" << std::endl;
    for (;;) {
#ifdef __x86_64__
        long number = 34; // pause(2)
        asm volatile("movdqu (%1), %%xmm5\n\tsyscall"
                     : "+a"(number)
                     : "r"(bytes.data())
                     : "xmm5", "rcx", "r11", "memory");
#else
        pause();
#endif
    }
}

} // namespace

int main(int argc, char** argv) {
    const std::vector<std::string> arguments(argv + 1, argv + argc);
    try {
        const Patterns patterns(std::cin);
        if (arguments.at(0) == "hold")
            hold(patterns.first());
        const std::string process = "/proc/" + arguments.at(0);
        search_memory(patterns, process);
        if (arguments.size() > 1 && arguments[1] == "registers")
            search_registers(patterns, process);
    } catch (const std::exception& error) {
        std::cerr << "memory-scan: " << error.what() << '\n';
        return EXIT_FAILURE;
    }
}
