// SPDX-License-Identifier: MIT
#include "cli/findings.hpp"

#include "base/printable.hpp"
#include "cli/report.hpp"

#include <algorithm>
#include <array>
#include <iostream>
#include <sstream>

namespace sshtpm::cli {

namespace {

constexpr std::size_t longest_text = 2000;

constexpr std::array<std::string_view, 3> verdict_words{"ok", "warn", "fail"};

std::string_view word_of(Verdict verdict) {
    return verdict_words.at(static_cast<std::size_t>(verdict));
}

std::string without_backticks(std::string text) {
    std::erase(text, '`');
    return text;
}

void print_lines(const Finding& finding) {
    constexpr std::string_view margin = "      ";
    auto word = std::string(word_of(finding.verdict));
    word.resize(margin.size(), ' ');
    std::cout << word;
    if (!finding.subject.empty())
        std::cout << printable(finding.subject, longest_text) << ": ";
    std::cout << printable(finding.text, longest_text) << '\n';
    if (!finding.hint.empty()) {
        std::istringstream lines(hint_lines(printable(finding.hint, longest_text), 80 - margin.size()));
        for (std::string line; std::getline(lines, line);)
            std::cout << margin << line << '\n';
    }
    std::cout << std::flush; // the next check may take seconds
}

/// A string of JSON. `printable` has replaced the control characters, so only two are left to escape.
std::string json_string(std::string_view text) {
    std::string out = "\"";
    for (const char c : printable(text, longest_text)) {
        if (c == '"' || c == '\\')
            out.push_back('\\');
        out.push_back(c);
    }
    return out + '"';
}

std::string json_object(const Finding& finding) {
    std::string out;
    out.append("{\"check\":").append(json_string(finding.check));
    out.append(",\"subject\":").append(json_string(finding.subject));
    out.append(",\"status\":").append(json_string(word_of(finding.verdict)));
    out.append(",\"text\":").append(json_string(finding.text));
    out.append(",\"hint\":").append(json_string(without_backticks(finding.hint)));
    return out + '}';
}

} // namespace

Finding finding_of_error(Verdict verdict, std::string check, std::string subject, const Error& error,
                         const std::string& hint) {
    std::string text = error.what();
    if (!subject.empty() && text.starts_with(subject + ": "))
        text.erase(0, subject.size() + 2);
    return {.verdict = verdict,
            .check = std::move(check),
            .subject = std::move(subject),
            .text = std::move(text),
            .hint = error.hint().empty() ? hint : error.hint()};
}

void Findings::add(Finding finding) {
    worst_ = std::max(worst_, finding.verdict);
    if (sink_)
        sink_(finding);
    else if (format_ == Format::lines)
        print_lines(finding);
    else
        kept_.push_back(std::move(finding));
}

int Findings::finish() const {
    if (!sink_ && format_ == Format::json) {
        std::cout << R"({"version":1,"status":)" << json_string(word_of(worst_)) << ",\"checks\":[";
        for (std::size_t i = 0; i < kept_.size(); ++i)
            std::cout << (i == 0 ? "" : ",") << json_object(kept_[i]);
        std::cout << "]}\n";
    }
    constexpr std::array status{0, 3, 1};
    return status.at(static_cast<std::size_t>(worst_));
}

std::string to_record(const Finding& finding) {
    std::string out;
    for (const std::string_view field :
         {word_of(finding.verdict), std::string_view(finding.check), std::string_view(finding.subject),
          std::string_view(finding.text), std::string_view(finding.hint)})
        out.append(printable(field, longest_text)).push_back('\0');
    return out;
}

std::optional<Finding> take_record(std::string_view& text) {
    auto rest = text;
    std::array<std::string, 5> fields;
    for (auto& field : fields) {
        const auto end = rest.find('\0');
        if (end == std::string_view::npos)
            return std::nullopt;
        field = rest.substr(0, end);
        rest.remove_prefix(end + 1);
    }
    const auto* const word = std::ranges::find(verdict_words, fields[0]);
    if (word == verdict_words.end())
        return std::nullopt;
    text = rest;
    return Finding{.verdict = static_cast<Verdict>(word - verdict_words.begin()),
                   .check = std::move(fields[1]),
                   .subject = std::move(fields[2]),
                   .text = std::move(fields[3]),
                   .hint = std::move(fields[4])};
}

} // namespace sshtpm::cli
