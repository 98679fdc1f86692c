// SPDX-License-Identifier: MIT
#include "attest/pcrs.hpp"

#include "attest/document.hpp"
#include "base/error.hpp"
#include "base/printable.hpp"
#include "keyfile/hashes.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <iterator>

namespace sshtpm::attest {

namespace {

constexpr unsigned pcr_count = 24;
constexpr UINT8 bitmap_size = pcr_count / 8;

struct Bank {
    std::string_view name;
    TPMI_ALG_HASH algorithm;
};

constexpr std::array banks{Bank{"sha256", TPM2_ALG_SHA256}, Bank{"sha384", TPM2_ALG_SHA384}};

constexpr std::array<std::string_view, 16> meanings{
    "firmware",                      // 0
    "firmware settings",             // 1
    "option ROMs",                   // 2
    "settings of option ROMs",       // 3
    "boot loader",                   // 4
    "boot loader settings, GPT",     // 5
    "events of the platform",        // 6
    "Secure Boot",                   // 7
    "kernel command line (GRUB)",    // 8
    "kernel, initrd, command line",  // 9
    "",                              // 10
    "unified kernel, boot phase",    // 11
    "kernel command line (systemd)", // 12
    "system extensions",             // 13
    "machine owner keys (shim)",     // 14
    "machine id and file systems",   // 15
};

[[noreturn]] void refuse_pcrs(std::string_view text) {
    malformed("\"" + printable(text) + "\" is not a list of PCRs", "such as 0-9,11,12, or sha384:0,7");
}

unsigned pcr_number(std::string_view text, std::string_view list) {
    unsigned number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size() || number >= pcr_count)
        refuse_pcrs(list);
    return number;
}

void add_range(std::set<unsigned>& numbers, std::string_view range, std::string_view list) {
    const auto dash = range.find('-');
    const auto first = pcr_number(range.substr(0, dash), list);
    const auto last = dash == std::string_view::npos ? first : pcr_number(range.substr(dash + 1), list);
    if (last < first)
        refuse_pcrs(list);
    for (auto number = first; number <= last; ++number)
        numbers.insert(number);
}

} // namespace

PcrSelection PcrSelection::parse(std::string_view text) {
    PcrSelection selection;
    auto rest = text;
    if (const auto colon = rest.find(':'); colon != std::string_view::npos) {
        const auto* const bank = std::ranges::find(banks, rest.substr(0, colon), &Bank::name);
        if (bank == banks.end())
            malformed("no PCR bank \"" + printable(rest.substr(0, colon)) + "\"",
                      "the banks are sha256 and sha384");
        selection.bank = bank->algorithm;
        rest.remove_prefix(colon + 1);
    }
    for (;;) {
        const auto comma = rest.find(',');
        add_range(selection.numbers, rest.substr(0, comma), text);
        if (comma == std::string_view::npos)
            return selection;
        rest.remove_prefix(comma + 1);
    }
}

std::string PcrSelection::text() const {
    std::string out(std::ranges::find(banks, bank, &Bank::algorithm)->name);
    char separator = ':';
    for (const auto number : numbers) {
        out += separator + std::to_string(number);
        separator = ',';
    }
    return out;
}

TPML_PCR_SELECTION PcrSelection::to_tpm() const {
    TPML_PCR_SELECTION out{};
    out.count = 1;
    auto& selection = out.pcrSelections[0];
    selection.hash = bank;
    selection.sizeofSelect = bitmap_size;
    for (const auto number : numbers)
        selection.pcrSelect[number / 8] |= static_cast<BYTE>(1U << number % 8);
    return out;
}

PcrValues PcrSelection::numbered(const std::vector<Bytes>& values) const {
    if (values.size() != numbers.size())
        malformed("there are values of " + std::to_string(values.size()) + " PCRs, not of " +
                  std::to_string(numbers.size()));
    PcrValues out;
    auto value = values.begin();
    for (const auto number : numbers) {
        if (value->size() != digest_size(bank))
            malformed("the value of PCR " + std::to_string(number) + " is of another bank");
        out.emplace(number, *value++);
    }
    return out;
}

PcrSelection usual_pcrs() {
    return PcrSelection::parse("sha256:0-9,11,12");
}

std::size_t digest_size(TPMI_ALG_HASH bank) {
    const auto* const hash = keyfile::find_hash(bank);
    return hash == nullptr ? 0 : hash->digest_size;
}

std::string_view pcr_meaning(unsigned number) {
    return number < meanings.size() ? meanings.at(number) : "";
}

bool is_selection(const TPML_PCR_SELECTION& stated, const PcrSelection& selection) {
    const auto wanted = selection.to_tpm();
    const auto& ours = wanted.pcrSelections[0];
    const auto& theirs = stated.pcrSelections[0];
    return stated.count == 1 && theirs.hash == ours.hash && theirs.sizeofSelect == ours.sizeofSelect &&
           std::equal(std::begin(ours.pcrSelect), std::begin(ours.pcrSelect) + bitmap_size,
                      std::begin(theirs.pcrSelect));
}

Bytes quoted_digest(const PcrValues& values) {
    Bytes all;
    for (const auto& [number, value] : values)
        append(all, value);
    const auto digest = sha256(all);
    return {digest.begin(), digest.end()};
}

} // namespace sshtpm::attest
