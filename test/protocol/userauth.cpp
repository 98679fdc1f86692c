// SPDX-License-Identifier: MIT
#include "protocol/permission.hpp"
#include "protocol/vectors.hpp"
#include "support/catch.hpp"
#include "wire/writer.hpp"

#include <cstdint>
#include <functional>

using namespace sshtpm;
using namespace sshtpm::protocol;

namespace {

/// The fields of a request, to be changed one at a time.
struct LoginFields {
    std::string session_id = "session";
    std::uint8_t number = 50;
    std::string user = "root", service = "ssh-connection", method = "publickey";
    std::uint8_t has_signature = 1;
    std::string algorithm = "ecdsa-sha2-nistp256";
    Bytes key = vectors::key("user");
    std::optional<std::string> host_key;

    Bytes bytes() const {
        wire::Writer writer;
        writer.text(session_id).byte(number).text(user).text(service).text(method).byte(has_signature);
        writer.text(algorithm).string(key);
        if (host_key)
            writer.text(*host_key);
        return std::move(writer).bytes();
    }
};

} // namespace

TEST_CASE("what ssh signs at a login is a request with the session, the user, the key and the host") {
    for (const auto connection :
         {"login-direct-1", "login-certificate-1", "login-three-1", "login-three-2", "login-three-3"}) {
        INFO(connection);
        const auto sign = vectors::signed_on(connection);
        const auto bound = vectors::sessions(connection);
        const auto request = parse_userauth(sign.data);
        REQUIRE(request);
        CHECK(request->session_id == bound.sessions().back().session_id);
        CHECK(request->user == "root");
        CHECK(request->algorithm == "ecdsa-sha2-nistp256");
        CHECK(request->key_blob == sign.key_blob);
        REQUIRE(request->host_key);
        CHECK(*request->host_key == bound.sessions().back().host_key);
    }
}

TEST_CASE("every truncation of a request, and a byte more, is something else") {
    const auto data = vectors::signed_on("login-direct-1").data;
    for (std::size_t length = 0; length < data.size(); ++length) {
        INFO(length);
        CHECK_FALSE(parse_userauth(copy_of(ByteView(data).first(length))));
    }
    auto longer = data;
    longer.push_back(0);
    CHECK_FALSE(parse_userauth(longer));
}

TEST_CASE(
    "publickey names no host, publickey-hostbound names one, and a field that no login has is refused") {
    const std::string hostbound = "publickey-hostbound-v00@openssh.com";
    const std::pair<bool, std::function<void(LoginFields&)>> rows[] = {
        {true, [](auto&) {}},
        {false, [](auto& f) { f.host_key = "host"; }},
        {false, [&](auto& f) { f.method = hostbound; }},
        {true, [&](auto& f) { f.method = hostbound, f.host_key = "host"; }},
        {false, [](auto& f) { f.method.clear(); }},
        {false, [](auto& f) { f.method = "password"; }},
        {false, [](auto& f) { f.method = "hostbased"; }},
        {false, [](auto& f) { f.method = "publickey-hostbound-v01@openssh.com"; }},
        {false, [](auto& f) { f.session_id.clear(); }},
        {false, [](auto& f) { f.number = 51; }},
        {false, [](auto& f) { f.has_signature = 0; }},
        {false, [](auto& f) { f.has_signature = 2; }},
        {false, [](auto& f) { f.service = "ssh-userauth"; }},
        {false, [](auto& f) { f.user = std::string("root\0x", 6); }},
        {false, [](auto& f) { f.user = std::string("root\0", 5); }},
        {true, [](auto& f) { f.user.clear(); }},
    };
    for (const auto& row : rows) {
        INFO("row " << &row - std::begin(rows));
        LoginFields fields;
        row.second(fields);
        CHECK(parse_userauth(fields.bytes()).has_value() == row.first);
    }
}

TEST_CASE("the algorithm must be one of the key's") {
    struct Row {
        std::string_view type, algorithm;
        bool accepted;
    };
    const Row rows[] = {
        {"ssh-rsa", "ssh-rsa", true},
        {"ssh-rsa", "rsa-sha2-256", true},
        {"ssh-rsa", "rsa-sha2-512", true},
        {"ssh-rsa", "rsa-sha2-256-cert-v01@openssh.com", false},
        {"ssh-rsa", "ecdsa-sha2-nistp256", false},
        {"ssh-rsa-cert-v01@openssh.com", "ssh-rsa-cert-v01@openssh.com", true},
        {"ssh-rsa-cert-v01@openssh.com", "rsa-sha2-256-cert-v01@openssh.com", true},
        {"ssh-rsa-cert-v01@openssh.com", "rsa-sha2-512-cert-v01@openssh.com", true},
        {"ssh-rsa-cert-v01@openssh.com", "rsa-sha2-256", false},
        {"ecdsa-sha2-nistp256", "rsa-sha2-256", false},
        {"ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", false},
        {"ecdsa-sha2-nistp384", "ecdsa-sha2-nistp384", true},
        {"ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256-cert-v01@openssh.com", false},
        {"ecdsa-sha2-nistp256-cert-v01@openssh.com", "ecdsa-sha2-nistp256-cert-v01@openssh.com", true},
        {"ssh-ed25519", "", false},
    };
    for (const auto& row : rows) {
        INFO(row.type << " " << row.algorithm);
        LoginFields fields;
        fields.key = wire::Writer().text(row.type).bytes();
        fields.algorithm = row.algorithm;
        CHECK(parse_userauth(fields.bytes()).has_value() == row.accepted);
    }
    LoginFields without_key;
    without_key.key.clear();
    CHECK_FALSE(parse_userauth(without_key.bytes()));
}
