#pragma once
// The owner of an object or session in the TPM.

#include <utility>

#include <tss2/tss2_esys.h>

namespace sshtpm::tpm {

class Context;

class Handle {
  public:
    Handle() noexcept = default;
    /// A transient object or a session: flushed from the TPM when the owner goes.
    static Handle transient(const Context& context, ESYS_TR tr) noexcept;
    /// A persistent object: ESYS forgets it, the TPM keeps it.
    static Handle persistent(const Context& context, ESYS_TR tr) noexcept;

    Handle(Handle&& other) noexcept
        : esys_(other.esys_), tr_(std::exchange(other.tr_, ESYS_TR_NONE)), flush_(other.flush_) {}
    Handle& operator=(Handle&& other) noexcept;
    Handle(const Handle&) = delete;
    Handle& operator=(const Handle&) = delete;
    ~Handle() { give_back(); }

    ESYS_TR tr() const noexcept { return tr_; }
    /// The TPM's own number for it (TPM 2.0 Part 2, 7.2). After a reset the TPM gives it away anew.
    /// @throws Error
    TPM2_HANDLE tpm_handle() const;
    /// Flushes or forgets it now, as the destructor would. @returns false when the TPM had lost it.
    bool give_back() noexcept;
    /// Has ESYS forget it without a word to the TPM, which has lost it.
    void abandon() noexcept;
    explicit operator bool() const noexcept { return tr_ != ESYS_TR_NONE; }

  private:
    Handle(ESYS_CONTEXT* esys, ESYS_TR tr, bool flush) noexcept : esys_(esys), tr_(tr), flush_(flush) {}

    ESYS_CONTEXT* esys_ = nullptr;
    ESYS_TR tr_ = ESYS_TR_NONE;
    bool flush_ = false;
};

} // namespace sshtpm::tpm
