// SPDX-License-Identifier: MIT
#pragma once
// The results of a command that checks things: lines for a person, or a JSON object for a program.

#include "base/error.hpp"

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sshtpm::cli {

enum class Verdict { ok, warn, fail };

/// The result of one check.
struct Finding {
    Verdict verdict = Verdict::ok;
    std::string check;   ///< the kind of check, for programs: lower-case words with hyphens, never renamed
    std::string subject; ///< the file, key or unit that was checked; empty if there is one alone
    std::string text;    ///< a sentence without its subject and without a full stop
    std::string hint;    ///< for fail and warn; commands stand in backticks
};

/// The finding of a check that ends with an error; without "SUBJECT: " in front of its message.
/// @param hint if the error has none
Finding finding_of_error(Verdict verdict, std::string check, std::string subject, const Error& error,
                         const std::string& hint = {});

/// Prints findings, each as soon as it is known:
///
///     ok    /etc/ssh/ssh_tpm_host_rsa_key: the agent signs with it
///     fail  /run/ssh-tpm-agent/agent.sock: nobody listens there
///           hint: systemctl start ssh-tpm-hostkeys.socket
///
/// Or all of them at the end, as one JSON object (RFC 8259) on a line:
///
///     {"version":1,"status":"fail","checks":[{"check":"host-key","subject":"/etc/…","status":"ok",
///     "text":"the agent signs with it","hint":""}, …]}
///
/// "status" is that of the worst check. Members may be added, and none is removed in a version.
class Findings {
  public:
    enum class Format { lines, json };

    explicit Findings(Format format) : format_(format) {}
    /// Gives each finding to `sink` instead of printing it.
    explicit Findings(std::function<void(const Finding&)> sink) : sink_(std::move(sink)) {}

    void add(Finding finding);
    /// The worst verdict so far.
    Verdict worst() const noexcept { return worst_; }
    /// Prints the JSON object, unless there is a sink. @returns the exit status: 0 for ok, 3 for warn, 1 for
    /// fail
    int finish() const;

  private:
    Format format_ = Format::lines;
    std::function<void(const Finding&)> sink_;
    Verdict worst_ = Verdict::ok;
    std::vector<Finding> kept_; ///< for the JSON object
};

/// The finding for another process: five strings, each with a NUL behind it. The texts are made printable.
std::string to_record(const Finding& finding);
/// Takes the first record off `text`. @returns nothing if the text begins with no whole record
std::optional<Finding> take_record(std::string_view& text);

} // namespace sshtpm::cli
