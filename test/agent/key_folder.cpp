// SPDX-License-Identifier: MIT
#include "agent/key_folder.hpp"

#include "agent/identities.hpp"
#include "base/staged_file.hpp"
#include "support/test.hpp"

#include <cstdint>

using namespace sshtpm;
using namespace support;

namespace {

using agent::KeyEntry;

/// A folder with one key file, and a store that follows it.
struct Lab {
    TempFolder folder;
    std::filesystem::path file = folder / "key.tpm";
    std::string text = data_text("keyfile/openssl-ec-p256.tpm");
    agent::KeyStore keys;
    agent::KeyFolder key_folder;

    explicit Lab(protocol::Constraints terms = {}) : key_folder(keys, folder.path(), std::move(terms)) {
        write("Comment: first\n" + text, Existing::keep);
    }

    void write(const std::string& content, Existing existing = Existing::replace) const {
        write_file(file, bytes_of(content), 0600, existing);
    }
    std::vector<std::string> comments() const {
        std::vector<std::string> out;
        for (const auto& key : keys.entries())
            out.push_back(key->identity->comment);
        return out;
    }
    /// A client gives the key of the file.
    KeyEntry given(std::optional<std::uint32_t> seconds = {}) const {
        KeyEntry entry{.identity = an_identity("the client's"),
                       .origin = KeyEntry::Origin::client,
                       .constraints = {.lifetime = seconds, .confirm = true, .destinations = {}}};
        if (seconds)
            entry.dies = os::BootClock::now() + std::chrono::seconds(*seconds);
        return entry;
    }
};

using Comments = std::vector<std::string>;

} // namespace

TEST_CASE("a deleted file's key is gone when all files are read again") {
    Lab lab;
    lab.key_folder.scan();
    std::filesystem::remove(lab.file);
    lab.key_folder.reload();
    CHECK(lab.comments().empty());
}

TEST_CASE("a key whose file is renamed, or has another comment, stays the same entry") {
    Lab lab;
    lab.key_folder.scan();
    const auto entry = lab.keys.entries()[0];
    std::filesystem::rename(lab.file, lab.folder / GENERATE("a.tpm", "z.tpm"));
    lab.key_folder.scan();
    CHECK(lab.keys.entries() == std::vector{entry});
}

TEST_CASE("a broken file takes nothing away and hides nothing") {
    Lab lab;
    lab.key_folder.scan();
    lab.write("broken");
    lab.key_folder.scan();
    CHECK(lab.comments() == Comments{"first"});
}

TEST_CASE("a second file of the same key is skipped while the first is there, and serves when that goes") {
    Lab lab;
    write_file(lab.folder / "other.tpm", bytes_of("Comment: other\n" + lab.text), 0600, Existing::keep);
    lab.key_folder.scan();
    CHECK(lab.comments() == Comments{"first"});
    std::filesystem::remove(lab.file);
    lab.key_folder.scan();
    CHECK(lab.comments() == Comments{"other"});
}

TEST_CASE("of files with the same key the upper one serves, though a subfolder's name comes first") {
    Lab lab;
    std::filesystem::create_directories(lab.folder / "a" / "b");
    write_file(lab.folder / "a" / "b" / "key.tpm", bytes_of("Comment: lowest\n" + lab.text), 0600,
               Existing::keep);
    write_file(lab.folder / "a" / "key.tpm", bytes_of("Comment: lower\n" + lab.text), 0600, Existing::keep);
    lab.key_folder.scan();
    CHECK(lab.comments() == Comments{"first"});
    std::filesystem::remove(lab.file);
    lab.key_folder.scan();
    CHECK(lab.comments() == Comments{"lower"});
    std::filesystem::remove_all(lab.folder / "a");
    lab.key_folder.scan();
    CHECK(lab.comments().empty());
}

TEST_CASE("a key whose file moves to a subfolder, or whose folder gets another name, stays the same entry") {
    Lab lab;
    lab.key_folder.scan();
    const auto entry = lab.keys.entries()[0];
    std::filesystem::create_directory(lab.folder / "one");
    std::filesystem::rename(lab.file, lab.folder / "one" / "key.tpm");
    lab.key_folder.scan();
    CHECK(lab.keys.entries() == std::vector{entry});
    std::filesystem::rename(lab.folder / "one", lab.folder / "two");
    lab.key_folder.scan();
    CHECK(lab.keys.entries() == std::vector{entry});
}

TEST_CASE("a key that a client gives is the client's, and stays away once that is gone") {
    Lab lab;
    lab.key_folder.scan();
    const std::string way =
        GENERATE("its time is over", "removed", "all removed", "removed without its file");
    INFO(way);
    lab.key_folder.add(lab.given(way == "its time is over" ? std::optional(0U) : std::nullopt));
    const auto change = [&] {
        lab.write("Comment: second\n" + lab.text);
        lab.key_folder.scan();
    };
    change();
    CHECK(lab.comments() == Comments{"the client's"});
    CHECK(lab.keys.entries()[0]->constraints.confirm);
    if (way == "removed without its file") {
        std::filesystem::remove(lab.file);
        lab.key_folder.scan();
    }
    if (way == "its time is over")
        lab.keys.expire();
    else if (way == "removed")
        lab.keys.remove(lab.keys.entries()[0]->blob());
    else
        lab.keys.clear();
    change();
    CHECK(lab.comments().empty());
    SECTION("until all files are read again") {
        lab.key_folder.reload();
        REQUIRE(lab.comments() == Comments{"second"});
        CHECK_FALSE(lab.keys.entries()[0]->constraints.confirm);
    }
    SECTION("until a client gives it again") {
        lab.key_folder.add(lab.given());
        CHECK(lab.comments() == Comments{"the client's"});
    }
    SECTION("and another key in the same file shows") {
        lab.write(data_text("keyfile/openssl-rsa-2048.tpm"));
        lab.key_folder.scan();
        CHECK(lab.comments().size() == 1);
    }
}

TEST_CASE("a key that a client has given and that is gone shows when the folder gets its file later") {
    Lab lab;
    lab.key_folder.add(lab.given());
    lab.keys.clear();
    lab.key_folder.scan();
    CHECK(lab.comments() == Comments{"first"});
}

TEST_CASE("an entry is refreshed when its file was replaced since, and gone when that has another key") {
    Lab lab;
    lab.key_folder.scan();
    const auto entry = lab.keys.entries()[0];
    CHECK(lab.key_folder.refreshed(entry) == entry);
    lab.write("broken");
    CHECK(lab.key_folder.refreshed(entry) == entry);
    CHECK(lab.comments() == Comments{"first"});
    lab.write("Comment: second\n" + lab.text);
    CHECK(lab.key_folder.refreshed(entry) == entry);
    CHECK(lab.comments() == Comments{"second"});
    lab.write(data_text("keyfile/openssl-rsa-2048.tpm"));
    CHECK(lab.key_folder.refreshed(entry) == nullptr);
}

TEST_CASE("what the agent demands of its folder's keys holds for one that a client gives") {
    Lab lab({.lifetime = {}, .confirm = true, .destinations = {}});
    auto entry = lab.given();
    entry.constraints.confirm = false;
    const bool before = GENERATE(true, false);
    if (before)
        lab.key_folder.add(entry);
    lab.key_folder.scan();
    if (!before)
        lab.key_folder.add(entry);
    CHECK(lab.comments() == Comments{"the client's"});
    CHECK(lab.keys.entries()[0]->constraints.confirm);
}
