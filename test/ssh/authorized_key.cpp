// SPDX-License-Identifier: MIT
#include "ssh/authorized_key.hpp"

#include "base/base64.hpp"
#include "ssh/vectors.hpp"
#include "support/test.hpp"

using namespace sshtpm;
using namespace support;
using ssh::AuthorizedKey;

namespace {

/// "ssh-rsa" and a byte more: the blob is not looked into.
const std::string line_of_type = "ssh-rsa " + base64_encode(unhex("00000007 7373682d727361 ff"));

} // namespace

TEST_CASE("each line that ssh-keygen wrote is parsed and written back") {
    const auto lines = vectors::lines("all.pub");
    REQUIRE(lines.size() > 30);
    for (const auto& line : lines) {
        const auto key = AuthorizedKey::parse(line);
        CHECK(line.starts_with(key.type + " "));
        // ssh-keygen ends the line of a key without comment with a blank.
        CHECK(key.line() == (key.comment.empty() ? line.substr(0, line.size() - 1) : line) + "\n");
    }
}

TEST_CASE("the comment is all that stands behind the key") {
    CHECK(AuthorizedKey::parse(line_of_type).comment.empty());
    CHECK(AuthorizedKey::parse(line_of_type + " ").comment.empty());
    CHECK(AuthorizedKey::parse(line_of_type + " one").comment == "one");
    CHECK(AuthorizedKey::parse(line_of_type + "  two  words \t").comment == "two  words \t");
    CHECK(AuthorizedKey::parse(line_of_type + " one\nssh-rsa AAAA two\n").comment == "one");
    const std::string byte_order_mark = "\xEF\xBB\xBF";
    CHECK(AuthorizedKey::parse(byte_order_mark + line_of_type + " one").comment == "one");
    CHECK(AuthorizedKey::parse_only_line(byte_order_mark + line_of_type + " one\n").comment == "one");
    CHECK(refusal([&] { AuthorizedKey::parse(byte_order_mark + byte_order_mark + line_of_type); }));
}

TEST_CASE("a list shows the comment of a key, or the word in front of it") {
    const auto key = vectors::lines("all.pub").front();
    const auto plain = key.substr(0, key.find(' ', key.find(' ') + 1));
    const auto shown = [](const std::string& text) {
        std::string all;
        for (const auto& listed : ssh::find_keys(text))
            all += listed.shown + ";";
        return all;
    };
    CHECK(shown(plain + " c\n  " + plain + "\t two  words\r\n" + plain) == "c;two  words;;");
    CHECK(shown("h,i " + plain + "\nh\t" + plain + " c") == "h,i;c;");
    CHECK(shown(plain + " # c\nh " + plain + " #\n") == ";h;");
    CHECK(shown(R"(a="b c",d )" + plain + "\n" + R"(a="b\" c" )" + plain) == R"(a="b c",d;a="b\" c";)");
    CHECK(shown("\xEF\xBB\xBFh " + plain) == "h;");
    CHECK(shown(plain + " a\rb\n" + plain + " c" + std::string(1, '\0') + "d") == "a;c;");
    for (const auto& none :
         {std::string(), std::string("\n"), "# " + plain, " #" + plain, "@revoked h " + plain, "a b " + plain,
          R"(a=" )" + plain, plain.substr(0, plain.size() - 20)})
        CHECK(shown(none + "\n" + plain + " last\n") == "last;");
}

TEST_CASE("blanks, empty lines and comments in front of the key are passed over") {
    const auto key =
        AuthorizedKey::parse("\n\r\n  \t\n# ssh-rsa AAAA\n \t# more\n \t" + line_of_type + "\tc\r\n");
    CHECK(key.type == "ssh-rsa");
    CHECK(key.comment == "c");
    CHECK(hex(key.blob) == "000000077373682d727361ff");
    CHECK(AuthorizedKey::parse("ssh-rsa \t " + line_of_type.substr(8)).blob == key.blob);
}

TEST_CASE("a line that another one is to take the place of must be alone") {
    const auto refused = [](const std::string& text) {
        return refusal(AuthorizedKey::parse_only_line, text) == Errc::malformed;
    };
    for (const auto* around : {"", "\n", "\r\n", "\n\n \t\n"})
        CHECK(AuthorizedKey::parse_only_line(line_of_type + " one" + around).comment == "one");
    CHECK(AuthorizedKey::parse_only_line("\n" + line_of_type).comment.empty());
    for (const std::string other : {"x", "#", "# more\n", " \t\n\r\nssh-rsa AAAA two\n"}) {
        CHECK(refused(line_of_type + "\n" + other));
        CHECK(refused(other + "\n" + line_of_type));
    }
    CHECK(refused(line_of_type + "\n" + line_of_type));
    CHECK(refused(""));
}

TEST_CASE("what is no line of a key is refused") {
    const auto base64 = line_of_type.substr(8);
    const std::string texts[] = {
        "", "\n\n", "# only a comment", " \t", "ssh-rsa", "ssh-rsa ", "-----BEGIN TSS2 PRIVATE KEY-----",
        // The first line that could be a key must be one, and options are not taken.
        "garbage\n" + line_of_type, "no-pty " + line_of_type, "command=\"true\",no-pty " + line_of_type,
        // The type in front must be the one inside.
        "ssh-dss " + base64, "SSH-RSA " + base64, "ssh-rs " + base64,
        // Damaged base64, and a blob that ends within its type.
        "ssh-rsa AAAAB3NzaC1yc2",
        "ssh-rsa AAAAB3NzaC1yc2H=", "ssh-rsa AAAAB3Nz!C1yc2E=", "ssh-rsa AAAAB3NzaC1yc2E=\x01",
        "ssh-rsa AAAA"};
    for (const auto& text : texts) {
        INFO(text);
        CHECK(refusal(AuthorizedKey::parse, text) == Errc::malformed);
    }
    CHECK_FALSE(refusal(AuthorizedKey::parse, "ssh-rsa " + base64));
    CHECK_FALSE(refusal(AuthorizedKey::parse, "ssh-rsa AAAAB3NzaC1yc2E="));
}

TEST_CASE("a comment that would break its line is refused in both directions") {
    CHECK(refusal(AuthorizedKey::parse, line_of_type + " a\rb") == Errc::malformed);
    CHECK(refusal(AuthorizedKey::parse, line_of_type + std::string(" a\0b", 4)) == Errc::malformed);
    for (const auto& comment : {std::string("a\nssh-rsa AAAA"), std::string("a\r"), std::string("\0", 1)}) {
        auto key = AuthorizedKey::parse(line_of_type);
        key.comment = comment;
        CHECK(refusal([&] { static_cast<void>(key.line()); }) == Errc::malformed);
    }
}

TEST_CASE("every prefix of a line that loses a part of its key is refused") {
    const auto line = data_text("ssh/ecdsa-256.pub");
    const auto key = AuthorizedKey::parse(line);
    const auto end_of_key = line.find(' ', line.find(' ') + 1);
    const auto accepted = accepted_prefixes(bytes_of(line).first(end_of_key), [&](ByteView prefix) {
        // A cut at a multiple of four letters leaves good base64, of a blob that has lost its end.
        if (AuthorizedKey::parse(text_of(prefix)).blob != key.blob)
            ssh::PublicKey::from_blob(AuthorizedKey::parse(text_of(prefix)).blob);
    });
    CHECK(accepted.empty());
}
