// SPDX-License-Identifier: MIT
#pragma once
// A file that the probes of several processes write to.

#include <cstddef>
#include <fcntl.h>
#include <string>
#include <unistd.h>

namespace probe {

class AppendedFile {
  public:
    explicit AppendedFile(const std::string& path)
        : fd_(open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)) {}
    AppendedFile(const AppendedFile&) = delete;
    AppendedFile& operator=(const AppendedFile&) = delete;
    ~AppendedFile() {
        if (is_open())
            close(fd_);
    }

    bool is_open() const { return fd_ >= 0; }
    /// A test that finds a line missing fails by itself, so a failed write needs no report.
    void append(const void* data, std::size_t size) const {
        [[maybe_unused]] const ssize_t n = write(fd_, data, size);
    }

  private:
    int fd_;
};

} // namespace probe
