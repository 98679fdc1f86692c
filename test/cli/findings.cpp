// SPDX-License-Identifier: MIT
#include "cli/findings.hpp"

#include "support/catch.hpp"

#include <iostream>
#include <sstream>

using namespace sshtpm;
using cli::Findings;
using cli::Verdict;

namespace {

/// What a run of checks prints, and its exit status.
std::pair<std::string, int> printed(Findings::Format format, const std::vector<cli::Finding>& all) {
    const std::ostringstream text;
    auto* const before = std::cout.rdbuf(text.rdbuf());
    Findings findings(format);
    for (const auto& finding : all)
        findings.add(finding);
    const auto status = findings.finish();
    std::cout.rdbuf(before);
    return {text.str(), status};
}

const cli::Finding good{.check = "key", .subject = "/k", .text = "it signs", .hint = ""};
const cli::Finding doubtful{
    .verdict = Verdict::warn, .check = "group", .subject = "", .text = "none", .hint = "`run this`"};
const cli::Finding bad{
    .verdict = Verdict::fail, .check = "key", .subject = "a\nb", .text = "\"x\\\"", .hint = "no \x1b[1m"};

} // namespace

TEST_CASE("findings are lines with the verdict in front and the hint below") {
    const auto [text, status] = printed(Findings::Format::lines, {good, doubtful, bad});
    CHECK(text == "ok    /k: it signs\n"
                  "warn  none\n"
                  "      hint: run this\n"
                  "fail  a?b: \"x\\\"\n"
                  "      hint: no ?[1m\n");
    CHECK(status == 1);
}

TEST_CASE("findings are one JSON object, with quotation marks and backslashes escaped") {
    const auto [text, status] = printed(Findings::Format::json, {good, doubtful, bad});
    CHECK(text == R"({"version":1,"status":"fail","checks":[)"
                  R"({"check":"key","subject":"/k","status":"ok","text":"it signs","hint":""},)"
                  R"({"check":"group","subject":"","status":"warn","text":"none","hint":"run this"},)"
                  R"({"check":"key","subject":"a?b","status":"fail","text":"\"x\\\"","hint":"no ?[1m"}]})"
                  "\n");
    CHECK(status == 1);
}

TEST_CASE("the exit status is that of the worst finding") {
    CHECK(printed(Findings::Format::json, {}) ==
          std::pair<std::string, int>(R"({"version":1,"status":"ok","checks":[]})"
                                      "\n",
                                      0));
    CHECK(printed(Findings::Format::lines, {good}).second == 0);
    CHECK(printed(Findings::Format::lines, {doubtful, good}).second == 3);
    CHECK(printed(Findings::Format::lines, {bad, doubtful}).second == 1);
}

TEST_CASE("a sink gets the findings instead of the terminal") {
    std::vector<std::string> got;
    const std::ostringstream text;
    auto* const before = std::cout.rdbuf(text.rdbuf());
    Findings findings([&](const cli::Finding& finding) { got.push_back(finding.check); });
    findings.add(good);
    findings.add(doubtful);
    const auto status = findings.finish();
    std::cout.rdbuf(before);
    CHECK(got == std::vector<std::string>{"key", "group"});
    CHECK(text.str().empty());
    CHECK(status == 3);
}

TEST_CASE("a record has all fields of a finding, in printable form") {
    const auto records = cli::to_record(doubtful) + cli::to_record(bad);
    std::string_view rest(records);
    const auto first = cli::take_record(rest), second = cli::take_record(rest);
    REQUIRE((first && second));
    CHECK(first->verdict == Verdict::warn);
    CHECK(first->check == "group");
    CHECK(first->hint == "`run this`");
    CHECK(second->verdict == Verdict::fail);
    CHECK(second->subject == "a?b");
    CHECK(second->text == "\"x\\\"");
    CHECK_FALSE(cli::take_record(rest));
}

TEST_CASE("a record that is not whole, or has an unknown verdict, is not taken") {
    const auto record = cli::to_record(bad);
    for (std::size_t length = 0; length < record.size(); ++length) {
        auto part = std::string_view(record).substr(0, length);
        CHECK_FALSE(cli::take_record(part));
        CHECK(part.size() == length);
    }
    auto other = "F" + record.substr(1);
    std::string_view text(other);
    CHECK_FALSE(cli::take_record(text));
}
