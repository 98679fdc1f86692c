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

void LineRecorder::finished(const Exchange& exchange) {
    std::string outcome = "short-reply";
    if (exchange.rc != TSS2_RC_SUCCESS)
        outcome = hex_code(exchange.rc);
    else if (const auto code = header_code(exchange.response))
        outcome = hex_code(*code);
    const std::string line = command_name(exchange.command) + ' ' + outcome + '\n';
    file().append(line.data(), line.size());
}

void ByteRecorder::finished(const Exchange& exchange) {
    Buffer both = exchange.command;
    both.insert(both.end(), exchange.response.begin(), exchange.response.end());
    file().append(both.data(), both.size());
}

} // namespace probe
