#include "os/resources.hpp"

#include "base/unique_fd.hpp"
#include "os/in_process.hpp"
#include "support/catch.hpp"

#include <fcntl.h>
#include <sys/resource.h>

using namespace sshtpm;
using support::in_process;

TEST_CASE("the limit of descriptors goes up to what the system allows") {
    CHECK(in_process([] {
              rlimit limit{.rlim_cur = 64, .rlim_max = 128};
              ::setrlimit(RLIMIT_NOFILE, &limit);
              os::raise_descriptor_limit();
              ::getrlimit(RLIMIT_NOFILE, &limit);
              return limit.rlim_cur == 128 && limit.rlim_max == 128 ? 0 : 1;
          }) == 0);
}

TEST_CASE("each descriptor that is opened is one less to open") {
    const auto before = os::free_descriptors();
    const UniqueFd one(::open("/dev/null", O_RDONLY | O_CLOEXEC)),
        two(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    CHECK(os::free_descriptors() + 2 == before);
}
