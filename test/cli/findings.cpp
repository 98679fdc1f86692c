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
