#pragma once
// What the probe writes down of each exchange.

#include "tcti_probe_message.hpp"

#include <string>

#include <tss2/tss2_common.h>

namespace probe {

/// One command and what came of it.
struct Exchange {
    Buffer command;
    Buffer response; ///< empty when `rc`, of the TCTI, is a failure
    TSS2_RC rc = TSS2_RC_SUCCESS;
};

class AppendedFile {
  public:
    explicit AppendedFile(const std::string& path);
    AppendedFile(const AppendedFile&) = delete;
    AppendedFile& operator=(const AppendedFile&) = delete;
    ~AppendedFile();

    bool is_open() const { return fd_ >= 0; }
    void append(const void* data, std::size_t size) const;

  private:
    int fd_;
};

/// What is done with the exchanges that pass; one for each option of the conf string.
class Recorder {
  public:
    explicit Recorder(const std::string& path) : file_(path) {}
    Recorder(const Recorder&) = delete;
    Recorder& operator=(const Recorder&) = delete;
    virtual ~Recorder() = default;
    bool usable() const { return file_.is_open(); }
    virtual void finished(const Exchange& exchange) = 0;

  protected:
    const AppendedFile& file() const { return file_; }

  private:
    AppendedFile file_;
};

class LineRecorder final : public Recorder {
  public:
    using Recorder::Recorder;
    void finished(const Exchange& exchange) override;
};

class ByteRecorder final : public Recorder {
  public:
    using Recorder::Recorder;
    void finished(const Exchange& exchange) override;
};

} // namespace probe
