// SPDX-License-Identifier: MIT
#include "tcti_probe_faults.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <fcntl.h>
#include <fstream>
#include <iostream>
#include <sstream>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace probe {

namespace {

enum class Argument { none, number, number_or_none, file, receive_or_none };

struct Kind {
    std::string_view name;
    Action action;
    Argument argument;
};

constexpr auto kinds = std::to_array<Kind>({
    {"answer", Action::answer, Argument::number},
    {"delay", Action::delay, Argument::number},
    {"slow", Action::slow, Argument::number},
    {"no-ecc", Action::no_ecc, Argument::none},
    {"lose", Action::lose, Argument::none},
    {"eof", Action::eof, Argument::receive_or_none},
    {"cut", Action::cut, Argument::number},
    {"corrupt", Action::corrupt, Argument::number_or_none},
    {"garbage", Action::garbage, Argument::none},
    {"lie", Action::lie, Argument::number},
    {"hang", Action::hang, Argument::none},
    {"swap", Action::swap, Argument::file},
});

std::optional<long> to_number(const std::string& text) {
    char* end = nullptr;
    const long value = std::strtol(text.c_str(), &end, 0);
    if (text.empty() || *end != '\0')
        return std::nullopt;
    return value;
}

/// "times=3" as the number behind it.
std::optional<std::uint64_t> setting(const std::string& word, std::string_view name) {
    if (!word.starts_with(name))
        return std::nullopt;
    const std::optional<long> value = to_number(word.substr(name.size()));
    if (!value || *value < 0)
        return std::nullopt;
    return static_cast<std::uint64_t>(*value);
}

/// Takes the word for the rule's argument, as far as it has one.
bool take_argument(Fault& fault, Argument argument, const std::string& word) {
    switch (argument) {
    case Argument::number:
    case Argument::number_or_none:
        return !fault.number && (fault.number = to_number(word)).has_value();
    case Argument::file:
        if (word == "stale" && !fault.word.empty())
            return std::exchange(fault.stale, true) == false;
        return fault.word.empty() && !(fault.word = word).empty();
    case Argument::receive_or_none:
        return word == "receive" && !(fault.word = word).empty();
    case Argument::none:
        break;
    }
    return false;
}

/// The rules' counts, kept beside them: the first line says of which version of the file they are.
class Counts {
  public:
    explicit Counts(const std::string& path) : fd_(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666)) {
        if (fd_ >= 0)
            flock(fd_, LOCK_EX);
    }
    Counts(const Counts&) = delete;
    Counts& operator=(const Counts&) = delete;
    ~Counts() {
        if (fd_ >= 0)
            close(fd_); // and with it goes the lock
    }

    void load(const std::string& version, std::vector<std::uint64_t>& seen) const {
        std::string text(4096, '\0');
        const ssize_t size = fd_ < 0 ? -1 : pread(fd_, text.data(), text.size(), 0);
        if (size < 0)
            return; // not ours to share: this process counts for itself
        text.resize(static_cast<std::size_t>(size));
        std::istringstream in(text);
        std::string found;
        std::getline(in, found);
        for (std::uint64_t& count : seen)
            if (found != version || !(in >> count))
                count = 0;
    }

    void store(const std::string& version, const std::vector<std::uint64_t>& seen) const {
        std::string text = version + '\n';
        for (const std::uint64_t count : seen)
            text += std::to_string(count) + '\n';
        if (fd_ >= 0 && ftruncate(fd_, 0) == 0) [[maybe_unused]]
            const ssize_t n = pwrite(fd_, text.data(), text.size(), 0);
    }

  private:
    int fd_;
};

/// Changes whenever the file does.
std::string version_of(const std::string& path) {
    struct stat file = {};
    if (stat(path.c_str(), &file) != 0)
        return "";
    return std::to_string(file.st_ino) + ' ' + std::to_string(file.st_size) + ' ' +
           std::to_string(file.st_mtim.tv_sec) + '.' + std::to_string(file.st_mtim.tv_nsec);
}

} // namespace

std::optional<Fault> parse_fault(std::string_view line) {
    std::istringstream in{std::string(line)};
    Fault fault;
    std::string name;
    in >> fault.command >> name;
    const auto kind = std::ranges::find(kinds, name, &Kind::name);
    if (kind == kinds.end())
        return std::nullopt;
    fault.action = kind->action;
    for (std::string word; in >> word;) {
        if (const auto times = setting(word, "times="))
            fault.times = *times;
        else if (const auto after = setting(word, "after="))
            fault.after = *after;
        else if (!take_argument(fault, kind->argument, word))
            return std::nullopt;
    }
    const bool missing = (kind->argument == Argument::number && !fault.number) ||
                         (kind->argument == Argument::file && fault.word.empty());
    if (missing)
        return std::nullopt;
    return fault;
}

bool FaultFile::read_rules() {
    rules_.clear();
    std::ifstream file(path_);
    for (std::string line; std::getline(file, line);) {
        if (line.empty() || line.front() == '#')
            continue;
        const std::optional<Fault> fault = parse_fault(line);
        if (!fault) {
            std::cerr << "tcti-probe: no rule: " << line << '\n';
            return false;
        }
        rules_.push_back(*fault);
    }
    return true;
}

std::optional<Verdict> FaultFile::judge(std::string_view command) {
    const Counts counts(path_ + ".count");
    if (const std::string version = version_of(path_); version != version_) {
        if (!read_rules())
            return std::nullopt;
        version_ = version;
        seen_.assign(rules_.size(), 0);
    }
    if (rules_.empty())
        return Verdict{};
    counts.load(version_, seen_);
    Verdict verdict;
    bool paced = false;
    for (std::size_t i = 0; i < rules_.size() && !verdict.fault; ++i) {
        const Fault& rule = rules_[i];
        const bool is_pace = rule.action == Action::delay || rule.action == Action::slow;
        if ((rule.command != "*" && rule.command != command) || (is_pace && paced))
            continue;
        const std::uint64_t before = seen_[i]++;
        if (before < rule.after || before - rule.after >= rule.times)
            continue;
        paced = paced || is_pace;
        verdict.no_ecc = verdict.no_ecc || rule.action == Action::no_ecc;
        if (rule.action == Action::delay)
            verdict.delay = std::chrono::milliseconds(*rule.number);
        else if (rule.action == Action::slow)
            verdict.slow = std::chrono::milliseconds(*rule.number);
        else if (rule.action != Action::no_ecc)
            verdict.fault = rule;
    }
    counts.store(version_, seen_);
    return verdict;
}

} // namespace probe
