#include "agent/key_folder.hpp"

#include "agent/identities.hpp"
#include "base/staged_file.hpp"
#include "support/test.hpp"

using namespace sshtpm;
using namespace support;

namespace {

/// A folder with one key file, and a store that follows it.
struct Lab {
    TempFolder folder;
    std::filesystem::path file = folder / "key.tpm";
    std::string text = data_text("keyfile/openssl-ec-p256.tpm");
    agent::KeyStore keys;
    agent::KeyFolder key_folder{folder.path(), {}};

    Lab() { write("Comment: first\n" + text, Existing::keep); }

    void write(const std::string& content, Existing existing = Existing::replace) const {
        write_file(file, bytes_of(content), 0600, existing);
    }
    std::vector<std::string> comments() const {
        std::vector<std::string> out;
        for (const auto& key : keys.visible({}))
            out.push_back(key->identity->comment);
        return out;
    }
};

using Comments = std::vector<std::string>;

} // namespace

TEST_CASE("what was deleted is gone when all files are read again") {
    Lab lab;
    lab.key_folder.scan(lab.keys);
    std::filesystem::remove(lab.file);
    lab.key_folder.read_all_again();
    CHECK(lab.key_folder.scan(lab.keys).size() == 1);
    CHECK(lab.comments().empty());
}

TEST_CASE("a broken file takes nothing away and hides nothing") {
    Lab lab;
    lab.key_folder.scan(lab.keys);
    lab.write("broken");
    CHECK(lab.key_folder.scan(lab.keys).empty());
    CHECK(lab.comments() == Comments{"first"});
}

TEST_CASE("a second file of the same key is skipped while the first is there, and serves when that goes") {
    Lab lab;
    write_file(lab.folder / "other.tpm", bytes_of("Comment: other\n" + lab.text), 0600, Existing::keep);
    lab.key_folder.scan(lab.keys);
    CHECK(lab.comments() == Comments{"first"});
    std::filesystem::remove(lab.file);
    lab.key_folder.scan(lab.keys);
    CHECK(lab.comments() == Comments{"other"});
}

TEST_CASE("what a client has demanded of a key stays when the key's file changes") {
    Lab lab;
    lab.key_folder.scan(lab.keys);
    auto line = *lab.keys.visible({})[0];
    line.origin = agent::HeldKey::Origin::client;
    line.constraints.confirm = true;
    lab.keys.add(line);
    lab.write("Comment: second\n" + lab.text);
    lab.key_folder.scan(lab.keys);
    CHECK(lab.comments() == Comments{"second"});
    CHECK(lab.keys.visible({})[0]->constraints.confirm);
}

TEST_CASE("a file that has not changed says nothing new of a key that a client has added since") {
    Lab lab;
    lab.key_folder.scan(lab.keys);
    lab.keys.add(
        {.identity = support::an_identity("the client's"), .origin = agent::HeldKey::Origin::client});
    lab.key_folder.read_all_again();
    CHECK(lab.key_folder.scan(lab.keys).empty());
    lab.write("Comment: second\n" + lab.text);
    lab.key_folder.read_all_again();
    CHECK(lab.key_folder.scan(lab.keys).size() == 1);
}

TEST_CASE("a key that a client added and that is gone stays away when its file changes") {
    Lab lab;
    lab.key_folder.scan(lab.keys);
    auto line = *lab.keys.visible({})[0];
    line.origin = agent::HeldKey::Origin::client;
    line.constraints.confirm = true;
    line.constraints.destinations.emplace_back();
    line.dies = os::BootClock::now();
    lab.keys.add(line);
    const auto comes_back = [&] {
        lab.write("Comment: second\n" + lab.text);
        lab.key_folder.scan(lab.keys);
        return lab.keys.size() == 1;
    };
    const std::string way =
        GENERATE("its time is over", "removed", "all removed", "removed without its file");
    INFO(way);
    if (way == "removed without its file") {
        std::filesystem::remove(lab.file);
        lab.key_folder.scan(lab.keys);
    }
    if (way == "its time is over")
        lab.keys.expire(os::BootClock::now());
    else if (way == "removed")
        lab.keys.remove(line.blob());
    else
        lab.keys.clear();
    CHECK(lab.keys.size() == 0);
    CHECK_FALSE(comes_back());

    SECTION("until it is let back, on its former terms") {
        lab.keys.let_back();
        REQUIRE(comes_back());
        const auto back = lab.keys.visible({})[0];
        CHECK(back->constraints.confirm);
        CHECK(back->constraints.destinations.size() == 1);
        CHECK_FALSE(back->dies);
        lab.keys.clear(); // of what the folder gave itself, its file decides
        CHECK(comes_back());
        CHECK(lab.keys.visible({})[0]->constraints.confirm);
    }
    SECTION("until a client adds it anew, on new terms") {
        line.constraints = {};
        line.dies.reset();
        lab.keys.add(line);
        CHECK(comes_back());
        CHECK_FALSE(lab.keys.visible({})[0]->constraints.confirm);
        lab.keys.clear();
        lab.keys.let_back();
        CHECK(comes_back());
        CHECK_FALSE(lab.keys.visible({})[0]->constraints.confirm);
    }
    SECTION("and another key in the same file shows") {
        lab.write(data_text("keyfile/openssl-rsa-2048.tpm"));
        lab.key_folder.scan(lab.keys);
        CHECK(lab.keys.size() == 1);
    }
}

TEST_CASE("a line is refreshed when its file was replaced since, by the same key alone") {
    Lab lab;
    lab.key_folder.scan(lab.keys);
    const auto line = lab.keys.visible({})[0];
    CHECK_FALSE(lab.key_folder.refresh(lab.keys, *line));
    lab.write("broken");
    CHECK_FALSE(lab.key_folder.refresh(lab.keys, *line));
    lab.write(data_text("keyfile/openssl-rsa-2048.tpm"));
    CHECK_FALSE(lab.key_folder.refresh(lab.keys, *line));
    lab.write("Comment: second\n" + lab.text);
    CHECK(lab.key_folder.refresh(lab.keys, *line));
    CHECK(lab.comments() == Comments{"second"});
}

TEST_CASE("a key is told of when the folder's file takes the place of another one that a client gave") {
    Lab lab;
    lab.key_folder.scan(lab.keys);
    auto line = *lab.keys.visible({})[0];
    keyfile::KeyFile other = *line.identity->key;
    other.private_area.buffer[0] ^= 1;
    line.identity = std::make_shared<const identity::Identity>(identity::make_identity(std::move(other), ""));
    line.origin = agent::HeldKey::Origin::client;
    lab.keys.add(line);
    lab.key_folder.read_all_again();
    CHECK(lab.key_folder.scan(lab.keys).size() == 1); // the PIN known for it is the other file's
    lab.key_folder.read_all_again();
    CHECK(lab.key_folder.scan(lab.keys).empty());
}

TEST_CASE("what the agent demands of its folder's keys holds for one that a client gave before") {
    Lab lab;
    lab.keys.add(
        {.identity = support::an_identity("the client's"), .origin = agent::HeldKey::Origin::client});
    agent::KeyFolder(lab.folder.path(), {.lifetime = {}, .confirm = true, .destinations = {}}).scan(lab.keys);
    REQUIRE(lab.keys.size() == 1);
    CHECK(lab.keys.visible({})[0]->constraints.confirm);
}
