#include "applets/tree.hpp"

#include "base/error.hpp"
#include "os/environment.hpp"

namespace sshtpm::applets {

namespace fs = std::filesystem;

std::string destdir() {
    const auto root = os::variable("DESTDIR").value_or("");
    if (root.empty())
        return {};
    auto canonical = fs::weakly_canonical(fs::absolute(root)).string();
    while (canonical.ends_with('/'))
        canonical.pop_back();
    return canonical;
}

void require_inside(const fs::path& root, const fs::path& folder) {
    const auto real_root = fs::weakly_canonical(fs::absolute(root));
    const auto real = fs::weakly_canonical(fs::absolute(folder));
    auto base = real_root.string();
    if (!base.ends_with('/'))
        base += '/';
    if (real != real_root && !real.string().starts_with(base))
        throw Error(Errc::refused,
                    folder.string() + ": a symbolic link leads out of " + root.string() + ", to " +
                        real.string(),
                    "make the link a relative one, or work inside of the tree (chroot)");
}

} // namespace sshtpm::applets
