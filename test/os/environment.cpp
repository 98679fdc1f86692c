// SPDX-License-Identifier: MIT
#include "os/environment.hpp"

#include "os/in_process.hpp"
#include "support/catch.hpp"
#include "support/variable.hpp"

#include <algorithm>
#include <array>
#include <unistd.h>

using namespace sshtpm;
using support::in_process;
using support::Variable;

namespace {

auto count_of(const std::vector<std::string>& environment, const std::string& entry) {
    return std::ranges::count(environment, entry);
}

bool names(const std::vector<std::string>& environment, const std::string& name) {
    return std::ranges::any_of(environment, [&](const auto& e) { return e.starts_with(name + "="); });
}

} // namespace

TEST_CASE("an environment with changes has each new value once, and no old one") {
    const Variable first("SSH_TPM_TEST_A", "old"), second("SSH_TPM_TEST_AB", "stays");
    const auto out = os::environment_with({"SSH_TPM_TEST_A=new=er", "SSH_TPM_TEST_C="});
    CHECK(count_of(out, "SSH_TPM_TEST_A=new=er") == 1);
    CHECK(count_of(out, "SSH_TPM_TEST_A=old") == 0);
    CHECK(count_of(out, "SSH_TPM_TEST_AB=stays") == 1);
    CHECK(count_of(out, "SSH_TPM_TEST_C=") == 1);
}

TEST_CASE("a name alone takes a variable out, and no other whose name begins with it") {
    const Variable first("SSH_TPM_TEST_A", "old"), second("SSH_TPM_TEST_AB", "stays");
    const auto out = os::environment_with({"SSH_TPM_TEST_A", "SSH_TPM_TEST_NOT_THERE"});
    CHECK_FALSE(names(out, "SSH_TPM_TEST_A"));
    CHECK(count_of(out, "SSH_TPM_TEST_A") == 0);
    CHECK(names(out, "SSH_TPM_TEST_AB"));
    CHECK_FALSE(names(out, "SSH_TPM_TEST_NOT_THERE"));
}

TEST_CASE("a variable that is set and empty is not one that is missing") {
    const Variable empty("SSH_TPM_TEST_A", "");
    CHECK(os::variable("SSH_TPM_TEST_A") == "");
    CHECK_FALSE(os::has_variable("SSH_TPM_TEST_A"));
    CHECK(os::variable("SSH_TPM_TEST_NOT_THERE") == std::nullopt);
}

TEST_CASE("a secret that is taken out of the environment leaves no byte of it there") {
    CHECK(in_process([] {
              std::string first = "SSH_TPM_TEST_A=one secret", second = "SSH_TPM_TEST_A=another",
                          other = "SSH_TPM_TEST_AB=stays";
              std::array<char*, 4> block{first.data(), second.data(), other.data(), nullptr};
              environ = block.data();
              const auto secret = os::take_secret_variable("SSH_TPM_TEST_A");
              if (!secret || text_of(secret->view()) != "one secret")
                  return 1;
              for (const auto* entry : {&first, &second})
                  if (entry->find_first_not_of('\0', entry->find('=') + 1) != std::string::npos)
                      return 2;
              return os::variable("SSH_TPM_TEST_A") || os::variable("SSH_TPM_TEST_AB") != "stays" ? 3 : 0;
          }) == 0);
    CHECK_FALSE(os::take_secret_variable("SSH_TPM_TEST_NOT_THERE"));
}
