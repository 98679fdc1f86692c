#pragma once
// Which of several things a program is to do: options that exclude each other.

#include "base/error.hpp"

namespace sshtpm::cli {

template <class Mode>
class Choice {
  public:
    /// @param otherwise what is done when no option chooses.
    explicit Choice(Mode otherwise) : mode_(otherwise) {}

    /// The same one may be chosen twice. @throws Error(usage) when another one has been.
    void choose(Mode mode) {
        if (chosen_ && mode_ != mode)
            throw Error(Errc::usage, "conflicting options", "--help tells them apart");
        mode_ = mode;
        chosen_ = true;
    }
    Mode chosen() const { return mode_; }

  private:
    Mode mode_;
    bool chosen_ = false;
};

} // namespace sshtpm::cli
