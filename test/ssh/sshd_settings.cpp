// SPDX-License-Identifier: MIT
#include "ssh/sshd_settings.hpp"

#include "base/error.hpp"
#include "support/test.hpp"

using namespace sshtpm;
using namespace support;
using namespace sshtpm::ssh;

using Paths = std::vector<std::string>;

TEST_CASE("the agent and the host keys are found in what sshd prints") {
    for (const char* printed : {"ssh/sshd_settings/printed", "ssh/sshd_settings/printed-10.6"}) {
        INFO(printed);
        const auto settings = parse_sshd_settings(data_text(printed));
        CHECK(settings.host_key_agent == "/run/ssh-tpm-agent/agent.sock");
        CHECK(settings.host_keys ==
              Paths{"/tmp/sshd-settings-keys/plain", "/tmp/sshd-settings-keys/with blanks in it"});
        CHECK(settings.pid_file == "/run/sshd.pid");
    }
}

TEST_CASE("the certificates and the algorithms are found in what sshd prints") {
    const auto settings =
        parse_sshd_settings("hostcertificate /a b-cert.pub\nHostKeyAlgorithms x,rsa-sha2-512\n"
                            "HostCertificate /c\n");
    CHECK(settings.host_certificates == Paths{"/a b-cert.pub", "/c"});
    CHECK(settings.host_key_algorithms == "x,rsa-sha2-512");
    const auto printed = parse_sshd_settings(data_text("ssh/sshd_settings/printed"));
    CHECK(is_listed("rsa-sha2-512-cert-v01@openssh.com", printed.host_key_algorithms));
    CHECK_FALSE(is_listed("ssh-rsa", printed.host_key_algorithms));
}

TEST_CASE("a name is listed only as a whole") {
    CHECK(is_listed("a", "a"));
    CHECK(is_listed("a", "b,a"));
    CHECK(is_listed("b", "b,a,"));
    for (const char* names : {"", ",", "ab", "b,ab", "a b", "A"}) {
        INFO(names);
        CHECK_FALSE(is_listed("a", names));
    }
}

TEST_CASE("no agent is no agent, whether sshd says so or nothing") {
    for (const char* printed :
         {"", "\n\n", "port 22\n", "hostkeyagent none\n", "hostkeyagent none", "pidfile none\n"}) {
        INFO(printed);
        CHECK(parse_sshd_settings(printed) == SshdSettings{});
    }
    CHECK(parse_sshd_settings("hostkeyagent SSH_AUTH_SOCK\n").host_key_agent == "SSH_AUTH_SOCK");
}

TEST_CASE("a setting whose name only begins alike is another one") {
    CHECK(parse_sshd_settings("hostkeyalgorithm rsa-sha2-256\nHostKeyAgents /x\nhostkeys /y\n hostkey /z\n"
                              "HostKe /w\n") == SshdSettings{});
}

TEST_CASE("a value that is missing or has control characters is refused") {
    using namespace std::string_literals;
    for (const auto& printed :
         {"hostkey"s, "hostkey \n"s, "hostkeyagent\n"s, "hostkeyagent "s, "hostkey /a\tb\n"s,
          "hostkey /a\r\n"s, "HostKey /a\0b\n"s, "hostkeyagent /a\x1b[2J\n"s, "hostcertificate\n"s,
          "hostkeyalgorithms \n"s, "hostkeyalgorithms a\tb\n"s}) {
        INFO(printed);
        CHECK_THROWS_AS(parse_sshd_settings(printed), Error);
    }
}

TEST_CASE("a second agent is refused, and more host keys or certificates than sshd takes") {
    CHECK_THROWS_AS(parse_sshd_settings("hostkeyagent /a\nHostKeyAgent none\n"), Error);
    CHECK_THROWS_AS(parse_sshd_settings("hostkeyagent none\nHostKeyAgent /a\n"), Error);
    CHECK_THROWS_AS(parse_sshd_settings("hostkeyalgorithms a\nhostkeyalgorithms a\n"), Error);
    std::string printed;
    for (std::size_t i = 0; i < max_host_keys; ++i)
        printed += "hostkey /k\n";
    CHECK(parse_sshd_settings(printed).host_keys.size() == max_host_keys);
    CHECK_THROWS_AS(parse_sshd_settings(printed + "hostkey /k\n"), Error);
    printed.clear();
    for (std::size_t i = 0; i <= max_host_keys; ++i)
        printed += "hostcertificate /k\n";
    CHECK_THROWS_AS(parse_sshd_settings(printed), Error);
}

TEST_CASE("what was cut off anywhere is parsed or refused, and never read past its end") {
    const auto printed = data_text("ssh/sshd_settings/printed");
    for (std::size_t size = 0; size <= printed.size(); ++size) {
        const std::string cut(printed, 0, size);
        try {
            const auto settings = parse_sshd_settings(cut);
            CHECK(settings.host_keys.size() <= 2);
        } catch (const Error& error) {
            CHECK(error.code() == Errc::malformed);
        }
    }
}

TEST_CASE("the lines that set a keyword are found in sshd's debugging output, in their order") {
    const auto printed = data_text("ssh/sshd_settings/debug");
    const std::string folder = "/tmp/sshd-settings-keys/";
    const auto agents = parse_sshd_lines(printed, "HostKeyAgent");
    CHECK(agents == std::vector<SshdLine>{{folder + "drop-ins/10-first.conf", 2, "/run/first.sock"},
                                          {folder + "config", 3, "/run/second one.sock"}});
    CHECK(parse_sshd_lines(printed, "hostKEY") ==
          std::vector<SshdLine>{{folder + "drop-ins/10-first.conf", 3, "/nowhere"},
                                {folder + "config", 4, folder + "plain"}});
    CHECK(parse_sshd_lines(printed, "HostKeyAlgorithms").empty());
}

TEST_CASE("a line that is not quite one of sshd's on a setting is skipped") {
    for (const char* line :
         {"debug3: /f:1 setting hostkeys /x", "debug2: /f:1 setting hostkey /x", "/f:1 setting hostkey /x",
          "debug3: /f:x setting hostkey /x", "debug3: /f: setting hostkey /x",
          "debug3: /f:1x setting hostkey /x", "debug3: :1 setting hostkey /x", "debug3: 1 setting hostkey /x",
          "debug3:  setting hostkey /x", "debug3: /f:-1 setting hostkey /x",
          "debug3: /f:99999999999 setting hostkey /x", "debug3: /f:1 set"}) {
        INFO(line);
        CHECK(parse_sshd_lines(line, "hostkey").empty());
    }
    CHECK(parse_sshd_lines("debug3: /a:b:7 setting hostkey", "hostkey") ==
          std::vector<SshdLine>{{"/a:b", 7, ""}});
    const std::string line = "debug3: /f:12 setting hostkey \"/x y\"";
    for (std::size_t size = 0; size <= line.size(); ++size)
        CHECK(parse_sshd_lines(line.substr(0, size), "hostkey").size() == (size < 29 ? 0 : 1));
}

TEST_CASE("the host keys that sshd has loaded are found in its debugging output") {
    CHECK(parse_sshd_host_keys(data_text("ssh/sshd_settings/debug-keys")) ==
          std::vector<SshdHostKey>{{0, true, "ssh-ed25519"}, {2, false, "ecdsa-sha2-nistp256"}});
}

TEST_CASE("a line that is not quite one of sshd's on a host key is skipped") {
    for (const char* line :
         {"debug2: private host key #0: ssh-rsa x", "debug1: public host key #0: ssh-rsa x",
          "private host key #0: ssh-rsa x", "debug1: private host key #: ssh-rsa x",
          "debug1: private host key #-1: ssh-rsa x", "debug1: private host key #1x: ssh-rsa x",
          "debug1: private host key #99999999999999999999: ssh-rsa x",
          "debug1: private host key #0: ", "debug1: private host key #0 ssh-rsa x"}) {
        INFO(line);
        CHECK(parse_sshd_host_keys(line).empty());
    }
    const std::string line = "debug1: agent host key #12: ssh-rsa SHA256:x";
    for (std::size_t size = 0; size <= line.size(); ++size)
        CHECK(parse_sshd_host_keys(line.substr(0, size)).size() == (size < 29 ? 0 : 1));
}

TEST_CASE("the version of sshd is found in its debugging output") {
    const auto nine_two = SshdVersion{9, 2};
    CHECK(parse_sshd_version("debug2: x\ndebug1: sshd version OpenSSH_9.2, OpenSSL 3.0.19 27 Jan 2026\r\n") ==
          nine_two);
    CHECK(parse_sshd_version("debug1: sshd version OpenSSH_9.2p1, without OpenSSL\n") == nine_two);
    CHECK(nine_two < SshdVersion{9, 9});
    CHECK(SshdVersion{9, 9} < parse_sshd_version("debug1: sshd version OpenSSH_10.0, OpenSSL"));
    for (const char* line :
         {"", "debug1: sshd version", "debug1: sshd version Other_9.2", "debug1: sshd version OpenSSH_",
          "debug1: sshd version OpenSSH_9", "debug1: sshd version OpenSSH_9.",
          "debug1: sshd version OpenSSH_.2", "debug1: sshd version OpenSSH_9.2.1",
          "debug1: sshd version OpenSSH_9.99999999999", "debug2: sshd version OpenSSH_9.2",
          "sshd version OpenSSH_9.2"}) {
        INFO(line);
        CHECK_FALSE(parse_sshd_version(line));
    }
}

TEST_CASE("the line that sshd refuses is found in what it prints") {
    CHECK(parse_refused_line("debug2: /a line 1: x\r\n/b: line 5: Bad configuration option: X\r\n"
                             "/b: terminating, 1 bad configuration options\r\n") == SshdLine{"/b", 5, ""});
    CHECK(parse_refused_line("/b c line 7: Deprecated option X\n/b c line 8: Unsupported option Y\n"
                             "/b c line 9: keyword X bad argument.\n") == SshdLine{"/b c", 9, ""});
    for (const char* printed : {"", "/b", "/b line ", "/b line x: y", "b line 1: y", "/b line 99999999999: y",
                                "sshd: no hostkeys available -- exiting."}) {
        INFO(printed);
        CHECK_FALSE(parse_refused_line(printed));
    }
}
