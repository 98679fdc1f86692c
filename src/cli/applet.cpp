#include "cli/applet.hpp"

#include <algorithm>
#include <cassert>
#include <numeric>
#include <vector>

namespace sshtpm::cli {

namespace {

std::size_t edits(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1); // distances from the part of `a` read so far
    std::iota(row.begin(), row.end(), 0U);
    for (std::size_t i = 0; i < a.size(); ++i) {
        auto diagonal = row[0];
        row[0] = i + 1;
        for (std::size_t j = 0; j < b.size(); ++j) {
            const auto substituted = diagonal + (a[i] == b[j] ? 0U : 1U);
            diagonal = row[j + 1];
            row[j + 1] = std::min({substituted, row[j] + 1, row[j + 1] + 1});
        }
    }
    return row.back();
}

} // namespace

const Applet* find(std::span<const Applet> applets, std::string_view name) {
    const auto found = std::ranges::find(applets, name, &Applet::name);
    return found == applets.end() ? nullptr : &*found;
}

const Applet& nearest(std::span<const Applet> applets, std::string_view word) {
    assert(!applets.empty());
    return *std::ranges::min_element(applets, {},
                                     [&](const Applet& applet) { return edits(word, applet.name); });
}

} // namespace sshtpm::cli
