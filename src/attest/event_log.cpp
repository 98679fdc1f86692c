// SPDX-License-Identifier: MIT
#include "attest/event_log.hpp"

#include "base/error.hpp"
#include "base/printable.hpp"
#include "ssh/digest.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <string_view>

namespace sshtpm::attest {

namespace {

constexpr std::uint32_t ev_no_action = 3; ///< extends nothing
constexpr std::size_t most_events = 10'000;
/// With its zero byte; the locality follows.
constexpr std::string_view startup_locality("StartupLocality", 16);

/// Little-endian numbers, from the front of a view.
class LogReader {
  public:
    explicit LogReader(ByteView log) : rest_(log) {}

    std::uint32_t number(std::size_t width) {
        std::uint32_t value = 0;
        const auto bytes = take(width);
        for (std::size_t i = 0; i < width; ++i)
            value |= static_cast<std::uint32_t>(bytes[i]) << 8 * i;
        return value;
    }
    ByteView take(std::size_t count) {
        if (count > rest_.size())
            malformed("the event log ends early");
        const auto bytes = rest_.first(count);
        rest_ = rest_.subspan(count);
        return bytes;
    }
    bool empty() const { return rest_.empty(); }

  private:
    ByteView rest_;
};

struct LoggedHash {
    std::uint32_t algorithm;
    std::size_t size;
};

/// The hashes of the log, by its first event: TCG_EfiSpecIDEvent, in the form of TCG 1.2.
std::vector<LoggedHash> read_header(LogReader& log) {
    constexpr std::size_t sha1_size = 20, most_hashes = 8;
    constexpr std::string_view signature("Spec ID Event03", 16); // with its zero byte
    log.number(4);
    if (log.number(4) != ev_no_action)
        unsupported("an event log that is not in the crypto agile format");
    log.take(sha1_size);
    LogReader event(log.take(log.number(4)));
    if (text_of(event.take(signature.size())) != signature)
        unsupported("an event log that is not in the crypto agile format");
    event.take(4 + 1 + 1 + 1 + 1); // platform class, version, errata, width of an integer
    const auto count = event.number(4);
    if (count == 0 || count > most_hashes)
        malformed("an event log with " + std::to_string(count) + " hashes");
    std::vector<LoggedHash> hashes;
    for (std::uint32_t i = 0; i < count; ++i) {
        const auto algorithm = event.number(2);
        hashes.push_back({algorithm, event.number(2)});
    }
    return hashes;
}

/// The digest of the bank among those of an event.
Bytes read_digests(LogReader& log, const std::vector<LoggedHash>& hashes, TPMI_ALG_HASH bank) {
    Bytes wanted;
    const auto count = log.number(4);
    if (count > hashes.size())
        malformed("an event with " + std::to_string(count) + " digests");
    for (std::uint32_t i = 0; i < count; ++i) {
        const auto algorithm = log.number(2);
        const auto hash = std::ranges::find(hashes, algorithm, &LoggedHash::algorithm);
        if (hash == hashes.end())
            malformed("an event with a digest of an unknown hash");
        const auto digest = log.take(hash->size);
        if (algorithm == bank)
            wanted = copy_of(digest);
    }
    if (wanted.empty() || wanted.size() != digest_size(bank))
        malformed("an event without a digest for this PCR bank");
    return wanted;
}

/// The part of an event's data that may be a text.
enum class TextIn {
    all,
    tagged,   ///< behind a tag and a size (TCG_PCClientTaggedEvent)
    variable, ///< the name of a variable (UEFI_VARIABLE_DATA)
};

struct EventName {
    std::uint32_t type;
    std::string_view name;
    TextIn text = TextIn::all;
};

/// TCG PC Client Platform Firmware Profile, 10.4.1.
constexpr std::array event_names{
    EventName{0x00000001, "POST code"},
    EventName{0x00000004, "separator"},
    EventName{0x00000005, "action"},
    EventName{0x00000006, "tagged event", TextIn::tagged},
    EventName{0x00000008, "S-CRTM version"},
    EventName{0x00000009, "CPU microcode"},
    EventName{0x0000000A, "platform configuration"},
    EventName{0x0000000D, "IPL"},
    EventName{0x80000001, "EFI variable (driver configuration)", TextIn::variable},
    EventName{0x80000002, "EFI variable (boot)", TextIn::variable},
    EventName{0x80000003, "boot services application"},
    EventName{0x80000004, "boot services driver"},
    EventName{0x80000005, "runtime services driver"},
    EventName{0x80000006, "GPT"},
    EventName{0x80000007, "EFI action"},
    EventName{0x80000008, "firmware blob"},
    EventName{0x80000009, "tables of the firmware"},
    EventName{0x8000000A, "firmware blob"},
    EventName{0x8000000B, "tables of the firmware"},
    EventName{0x8000000C, "EFI variable (boot)", TextIn::variable},
    EventName{0x800000E0, "EFI variable (authority)", TextIn::variable},
};

/// The hash of the event's bank.
ssh::Hash hash_of(const BootEvent& event) {
    return event.digest.size() == digest_size(TPM2_ALG_SHA384) ? ssh::Hash::sha384 : ssh::Hash::sha256;
}

ByteView text_part(ByteView data, TextIn text) {
    constexpr std::size_t tag_and_size = 8, guid = 16, lengths = 16;
    if (text == TextIn::tagged)
        return data.subspan(std::min(tag_and_size, data.size()));
    if (text == TextIn::all)
        return data;
    if (data.size() < guid + lengths)
        return {};
    const auto size = std::size_t{2} * LogReader(data.subspan(guid)).number(4);
    const auto rest = data.subspan(guid + lengths);
    return size > rest.size() ? ByteView() : rest.first(size);
}

/// The text in bytes: ASCII, or the ASCII part of UTF-16.
std::string text_in(ByteView data) {
    std::string text;
    for (const auto byte : data)
        if (byte != 0)
            text += static_cast<char>(byte);
    const bool is_text = std::ranges::all_of(text, [](char c) { return c >= ' ' && c <= '~'; });
    return is_text ? text : "";
}

} // namespace

EventLog parse_event_log(ByteView bytes, TPMI_ALG_HASH bank) {
    LogReader reader(bytes);
    const auto hashes = read_header(reader);
    EventLog log;
    while (!reader.empty()) {
        if (log.events.size() == most_events)
            malformed("an event log of more than 10,000 events");
        BootEvent event;
        event.pcr = reader.number(4);
        event.type = reader.number(4);
        event.digest = read_digests(reader, hashes, bank);
        event.data = copy_of(reader.take(reader.number(4)));
        if (event.type != ev_no_action)
            log.events.push_back(std::move(event));
        else if (event.pcr == 0 && text_of(event.data).starts_with(startup_locality) &&
                 event.data.size() == startup_locality.size() + 1)
            log.locality = event.data.back();
    }
    return log;
}

PcrValues replayed(const EventLog& log, const PcrSelection& selection) {
    PcrValues values;
    for (const auto number : selection.numbers)
        values[number] = Bytes(digest_size(selection.bank));
    if (const auto first = values.find(0); first != values.end())
        first->second.back() = log.locality;
    for (const auto& event : log.events) {
        const auto found = values.find(event.pcr);
        if (found == values.end())
            continue;
        append(found->second, event.digest);
        found->second = ssh::digest(hash_of(event), found->second);
    }
    return values;
}

std::string describe(const BootEvent& event) {
    std::array<char, 32> number{};
    std::snprintf(number.data(), number.size(), "event 0x%08x", event.type);
    const EventName unknown{event.type, number.data()};
    const auto* const found = std::ranges::find(event_names, event.type, &EventName::type);
    const auto& known = found == event_names.end() ? unknown : *found;
    auto out = std::string(known.name) + ' ' + hex(event.digest).substr(0, 16);
    const auto text = text_in(text_part(event.data, known.text));
    if (!text.empty() && ssh::digest(hash_of(event), event.data) == event.digest)
        out += ": " + text;
    else if (!text.empty())
        out += ", which the host calls \"" + text + '"';
    return printable(out, 200);
}

} // namespace sshtpm::attest
