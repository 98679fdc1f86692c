#include "tcti_probe_log.hpp"

#include <fcntl.h>
#include <unistd.h>

namespace probe {

AppendedFile::AppendedFile(const std::string& path)
    : fd_(open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)) {}

AppendedFile::~AppendedFile() {
    if (fd_ >= 0)
        close(fd_);
}

/// A test that finds a line missing fails by itself, so a failed write needs no report.
void AppendedFile::append(const void* data, std::size_t size) const {
    [[maybe_unused]] const ssize_t n = write(fd_, data, size);
}

std::string line_of(const Exchange& exchange) {
    std::string outcome = "short-reply";
    if (exchange.rc != TSS2_RC_SUCCESS)
        outcome = hex_code(exchange.rc);
    else if (const auto code = header_code(exchange.response))
        outcome = hex_code(*code);
    return command_name(exchange.command) + ' ' + outcome + '\n';
}

} // namespace probe
