// SPDX-License-Identifier: MIT
#include "tpm/known_tpms.hpp"

#include "support/test.hpp"
#include "tpm/storage_keys.hpp"

#include <array>
#include <cstdint>
#include <functional>
#include <sys/stat.h>

using namespace sshtpm;
using namespace support;
using tpm::KnownParent;
using tpm::KnownTpms, tpm::KnownTpmsUse;
using tpm::parse_known_tpms;
using Verdict = KnownTpms::Verdict;

namespace {

const std::string digits = "000b" + std::string(64, '5');
const std::string good = "owner-ecc " + digits + " device:/dev/tpmrm0\n";

Bytes a_name(std::uint8_t filling, std::size_t size = 34) {
    return Bytes(size, filling);
}

/// What is said of this file; "" when it is taken.
std::string complaint_about(std::string_view text) {
    CHECK(refusal(parse_known_tpms, text).value_or(Errc::malformed) == Errc::malformed);
    return complaint(parse_known_tpms, text);
}

} // namespace

TEST_CASE("a line has a parent, a Name and a TCTI that may have blanks") {
    const auto known = parse_known_tpms("# of mine\n\n" + good + "0x81000005 " + digits + " cmd:a b  c ");
    REQUIRE(known.size() == 2);
    CHECK(known[0].parent == "owner-ecc");
    CHECK(hex(known[0].name) == digits);
    CHECK(known[0].tcti == "device:/dev/tpmrm0");
    CHECK(known[0].line == 3);
    CHECK(known[1].parent == "0x81000005");
    CHECK(known[1].tcti == "cmd:a b  c ");
    CHECK(known[1].line == 4);
    CHECK(parse_known_tpms("").empty());
    CHECK(tpm::known_tpms_line(known[0]) == good);
}

TEST_CASE("what is no line is named by its number") {
    const auto line = [](const std::string& parent, const std::string& name, const std::string& tcti) {
        return parent + ' ' + name + ' ' + tcti + '\n';
    };
    const std::string zeros(44, '0');
    CHECK(complaint_about(line("a", zeros, "t")).empty());
    CHECK(complaint_about(line("a", std::string(132, 'a'), "t")).empty());
    for (const auto& bad : {std::string("owner-ecc\n"),
                            "owner-ecc " + digits + "\n",
                            "owner-ecc " + digits + " \n",
                            " " + good,
                            line("", zeros, "t"),
                            line("Owner", zeros, "t"),
                            line("a_b", zeros, "t"),
                            line(std::string(33, 'a'), zeros, "t"),
                            line("a", zeros.substr(1), "t"),
                            line("a", zeros.substr(2), "t"),
                            line("a", zeros + "g0", "t"),
                            line("a", zeros + "A0", "t"),
                            line("a", std::string(134, '0'), "t"),
                            line("a", zeros, "t\r"),
                            line("a", zeros, "t\tt"),
                            line("a", zeros, std::string("t\0t", 3)),
                            line("a", zeros, "t\x7f"),
                            line("a", zeros, std::string(tpm::known_tpms_line_ceiling, 't')),
                            line("a ", zeros, "t"),
                            std::string(" \n")})
        CHECK_THAT(complaint_about("#\n" + good + bad + good), contains("line 3: not"));
}

TEST_CASE("every prefix of a file is whole lines or is refused") {
    for (std::size_t length = 1; length < good.size() - 1; ++length) {
        const bool has_tcti = length > good.rfind(' ') + 1;
        CHECK(complaint_about(good.substr(0, length)).empty() == has_tcti);
    }
}

TEST_CASE("a second line about the same parent of the same TPM is refused, about others taken") {
    CHECK_THAT(complaint_about(good + good), contains("line 2: a second one"));
    CHECK(complaint_about(good + "owner-rsa " + digits + " device:/dev/tpmrm0\n").empty());
    CHECK(complaint_about(good + "owner-ecc " + digits + " device:/dev/tpmrm1\n").empty());
}

TEST_CASE("what would not be read is not written") {
    for (const auto* tcti : {"", "a\nb", "a\tb"})
        CHECK(refusal([&] { tpm::known_tpms_line({"owner-ecc", a_name(1), tcti, 0}); }) == Errc::malformed);
    CHECK(refusal([&] { tpm::known_tpms_line({"owner ecc", a_name(1), "t", 0}); }) == Errc::malformed);
    CHECK(refusal([&] { tpm::known_tpms_line({"owner-ecc", a_name(1, 3), "t", 0}); }) == Errc::malformed);
}

TEST_CASE("the first Name is kept, and another one refused with the line to delete") {
    const TempFolder folder;
    const auto file = folder.path() / "made" / "on the way" / "known_tpms";
    KnownTpms known(file, "t");
    CHECK(known.judge("owner-ecc", a_name(1)) == Verdict::unknown);
    known.require("owner-ecc", a_name(1)); // which keeps nothing
    CHECK_FALSE(std::filesystem::exists(file));
    known.accept("owner-ecc", a_name(1));
    CHECK(content_of(file) == "owner-ecc " + hex(a_name(1)) + " t\n");
    CHECK((static_cast<unsigned>(std::filesystem::status(file).permissions()) & 0777U) == 0600);
    CHECK((static_cast<unsigned>(std::filesystem::status(file.parent_path()).permissions()) & 0777U) == 0700);
    known.accept("owner-ecc", a_name(1));
    CHECK(known.judge("owner-ecc", a_name(1)) == Verdict::same);
    CHECK(known.judge("owner-ecc", a_name(2)) == Verdict::other);
    CHECK(known.judge("owner-rsa", a_name(2)) == Verdict::unknown);
    CHECK(KnownTpms(file, "another").judge("owner-ecc", a_name(2)) == Verdict::unknown);
    for (const auto& call : {&KnownTpms::require, &KnownTpms::accept}) {
        const auto error = thrown([&] { (known.*call)("owner-ecc", a_name(2)); });
        CHECK(error.code() == Errc::refused);
        CHECK_THAT(error.what(), contains("cleared or replaced, or somebody sits between"));
        CHECK_THAT(error.hint(), contains("delete line 1 of " + file.string()));
    }
    std::filesystem::remove(file); // takes effect at once
    known.accept("owner-ecc", a_name(2));
    CHECK(KnownTpms(file, "t").judge("owner-ecc", a_name(2)) == Verdict::same);
}

TEST_CASE("a damaged file, or one out of reach, is a refusal, not an empty file") {
    const TempFolder folder;
    const auto file = folder.path() / "known_tpms";
    const auto tries = std::to_array<std::function<void()>>({
        [&] { put(file, good + "what?\n"); },
        [&] { put(file, std::string(tpm::known_tpms_ceiling + 1, '#')); },
        [&] { std::filesystem::create_directory(file); },
        [&] { REQUIRE(::mknod(file.c_str(), S_IFSOCK | 0600, 0) == 0); },
        [&] { std::filesystem::create_symlink("nowhere", file); },
        [&] { std::filesystem::create_symlink(file, file); },
        [&] { REQUIRE(::mkfifo(file.c_str(), 0600) == 0); },
    });
    for (const auto& spoil : tries) {
        INFO("row " << &spoil - tries.data());
        spoil();
        KnownTpms known(file, "t");
        for (int i = 0; i < 2; ++i) {
            CHECK(refusal([&] { known.judge("owner-ecc", a_name(1)); }) == Errc::refused);
            CHECK(refusal([&] { known.require("owner-ecc", a_name(1)); }) == Errc::refused);
            CHECK(refusal([&] { known.accept("owner-ecc", a_name(1)); }) == Errc::refused);
        }
        std::filesystem::remove(file);
        CHECK(known.judge("owner-ecc", a_name(1)) == Verdict::unknown);
    }
}

/// That another Name than the first is refused, with a hint that names no line.
void check_known_for_the_run(KnownTpms& known) {
    known.accept("owner-ecc", a_name(1));
    known.accept("owner-ecc", a_name(1));
    CHECK(known.judge("owner-ecc", a_name(1)) == Verdict::same);
    CHECK(known.judge("owner-ecc", a_name(2)) == Verdict::other);
    CHECK(known.judge("owner-rsa", a_name(2)) == Verdict::unknown);
    for (const auto& call : {&KnownTpms::require, &KnownTpms::accept}) {
        const auto error = thrown([&] { (known.*call)("owner-ecc", a_name(2)); });
        CHECK(error.code() == Errc::refused);
        CHECK_THAT(error.hint(), contains("start this program anew to accept"));
    }
}

TEST_CASE("a folder further up that is a link to nothing is out of reach, and not filled") {
    const TempFolder folder;
    const auto aside = folder.path() / "aside", state = folder.path() / "state";
    std::filesystem::create_symlink(aside, state);
    KnownTpms known(state / "ssh-tpm" / "known_tpms", "t");
    CHECK(refusal([&] { known.accept("owner-ecc", a_name(1)); }) == Errc::refused);
    CHECK_FALSE(std::filesystem::exists(aside));
    std::filesystem::create_directory(aside);
    known.accept("owner-ecc", a_name(1));
    CHECK(content_of(aside / "ssh-tpm" / "known_tpms") == "owner-ecc " + hex(a_name(1)) + " t\n");
}

TEST_CASE("a file that is full, or has two hard links, stays as it is, and the parent is known for the run") {
    const TempFolder folder;
    const auto file = folder.path() / "known_tpms", second = folder.path() / "second";
    const bool is_full = GENERATE(false, true);
    const auto content = is_full ? std::string(tpm::known_tpms_ceiling, '#') : good;
    put(file, content);
    if (!is_full)
        std::filesystem::create_hard_link(file, second);
    KnownTpms known(file, "t");
    check_known_for_the_run(known);
    CHECK((is_full || std::filesystem::equivalent(file, second)));
    CHECK(content_of(file) == content);
}

TEST_CASE("without a file, or a TCTI that fits into a line, a parent is known for the run") {
    const TempFolder folder;
    KnownTpms nowhere;
    KnownTpms renewing({}, "t", KnownTpmsUse::host); // whose hint cannot be --renew
    KnownTpms odd(folder.path() / "known_tpms", "a\nb");
    for (auto* known : {&nowhere, &renewing, &odd})
        check_known_for_the_run(*known);
    CHECK(std::filesystem::is_empty(folder.path()));
}

TEST_CASE("a file that is only read keeps its bytes, and a new parent is known for the run") {
    const TempFolder folder;
    const auto file = folder.path() / "known_tpms";
    KnownTpms(file, "first").accept("owner-ecc", a_name(1));
    const auto before = read_file(file, tpm::known_tpms_ceiling);

    KnownTpms reading(file, "first", KnownTpmsUse::read_only),
        elsewhere(file, "second", KnownTpmsUse::read_only);
    CHECK(reading.judge("owner-ecc", a_name(1)) == Verdict::same);
    CHECK(refusal([&] { reading.accept("owner-ecc", a_name(2)); }) == Errc::refused);
    elsewhere.accept("owner-ecc", a_name(3));
    CHECK(elsewhere.judge("owner-ecc", a_name(3)) == Verdict::same);
    CHECK(read_file(file, tpm::known_tpms_ceiling) == before);

    KnownTpms missing(folder.path() / "none" / "known_tpms", "first", KnownTpmsUse::read_only);
    missing.accept("owner-ecc", a_name(1));
    CHECK_FALSE(is_there(folder.path() / "none"));
}

TEST_CASE("without a folder that can be made a parent is known for the run, and the file's line wins later") {
    const TempFolder folder;
    const auto state = folder.path() / "state";
    put(state, "a file");
    KnownTpms known(state / "known_tpms", "t");
    check_known_for_the_run(known);
    std::filesystem::remove(state);
    CHECK(known.judge("owner-ecc", a_name(2)) == Verdict::other);
    KnownTpms(state / "known_tpms", "t").accept("owner-ecc", a_name(2));
    CHECK(known.judge("owner-ecc", a_name(1)) == Verdict::other);
    CHECK(known.judge("owner-ecc", a_name(2)) == Verdict::same);
}

/// The line of the owner's storage key.
std::string line_of_owner(std::uint8_t filling) {
    return tpm::known_tpms_line({.parent = "owner-ecc", .name = a_name(filling), .tcti = "t", .line = 0});
}

TEST_CASE("every user may read the file of host keys, and the hint for another Name is --renew") {
    const TempFolder folder;
    const auto file = folder.path() / "ssh_tpm_known_tpms";
    KnownTpms known(file, "t", KnownTpmsUse::host);
    known.accept("owner-ecc", a_name(1));
    CHECK(content_of(file) == line_of_owner(1));
    CHECK((static_cast<unsigned>(std::filesystem::status(file).permissions()) & 0777U) == 0644);
    const auto error = thrown([&] { known.accept("owner-ecc", a_name(2)); });
    CHECK(error.code() == Errc::refused);
    CHECK_THAT(error.hint(), contains("`ssh-tpm hostkeys --renew`"));
    CHECK_FALSE(known.known_name("owner-rsa"));
    KnownTpms(folder.path() / "none" / "file", "t", KnownTpmsUse::host).accept("owner-ecc", a_name(1));
    CHECK_FALSE(is_there(folder.path() / "none"));
}

TEST_CASE("the file of host keys is not written through a symbolic link") {
    const TempFolder folder;
    const auto file = folder.path() / "ssh_tpm_known_tpms", other = folder.path() / "other";
    put(other, "# mine\n");
    std::filesystem::create_symlink(other, file);
    KnownTpms known(file, "t", KnownTpmsUse::host);
    known.accept("owner-ecc", a_name(1));
    CHECK(known.judge("owner-ecc", a_name(1)) == Verdict::same);
    CHECK_THROWS_AS(known.replace("owner-ecc", a_name(2)), Error);
    CHECK(content_of(other) == "# mine\n");
}

TEST_CASE("a known Name is replaced, and the other lines stay") {
    const TempFolder folder;
    const auto hosts = folder.path() / "ssh_tpm_known_tpms";
    KnownTpms known(hosts, "t", KnownTpmsUse::host);
    known.replace("owner-ecc", a_name(2));
    CHECK(content_of(hosts) == line_of_owner(2));
    const std::string comment = "# mine\n", other = "owner-rsa " + hex(a_name(3)) + " t\n";
    const auto old = line_of_owner(1), cut = old.substr(0, old.size() - 1);
    for (const auto& [before, after] : {std::pair(comment + other + old, comment + other),
                                        {comment + other + cut, comment + other},
                                        {comment + old + other, comment + other},
                                        {old + comment, comment},
                                        {cut, ""},
                                        {comment, comment}}) {
        put(hosts, before);
        known.replace("owner-ecc", a_name(2));
        CHECK(content_of(hosts) == after + line_of_owner(2));
        CHECK(known.judge("owner-ecc", a_name(2)) == Verdict::same);
    }
    put(hosts, "what?\n");
    CHECK(refusal([&] { known.replace("owner-ecc", a_name(1)); }) == Errc::refused);
    CHECK(content_of(hosts) == "what?\n");
}

TEST_CASE("each storage key has a label of its own") {
    using keyfile::Legacy;
    CHECK(tpm::label_of({.handle = TPM2_RH_OWNER}) == "owner-ecc");
    CHECK(tpm::label_of({.handle = TPM2_RH_OWNER, .rsa = true}) == "owner-rsa");
    CHECK(tpm::label_of({.handle = TPM2_RH_OWNER, .legacy = Legacy::release_0_1}) == "owner-legacy-ecc");
    CHECK(tpm::label_of({.handle = TPM2_RH_OWNER, .rsa = true, .legacy = Legacy::release_0_2}) ==
          "owner-legacy-rsa");
    CHECK(tpm::label_of({.handle = TPM2_RH_ENDORSEMENT}) == "endorsement-ecc");
    CHECK(tpm::label_of({.handle = TPM2_RH_PLATFORM}) == "platform-ecc");
    CHECK(tpm::label_of({.handle = TPM2_RH_NULL}).empty());
    CHECK(tpm::label_of({.handle = 0x81000005}) == "0x81000005");
}
