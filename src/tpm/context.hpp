// SPDX-License-Identifier: MIT
#pragma once
// A connection to a TPM, the objects and sessions in it, and the structures of ESYS.

#include "base/bytes.hpp"
#include "keyfile/marshal.hpp"
#include "tpm/tcti.hpp"

#include <memory>
#include <string>
#include <utility>

#include <tss2/tss2_esys.h>

namespace sshtpm::tpm {

using keyfile::tpm2b_of;
using keyfile::view_of;

/// The TCTI and the ESYS context above it. Handles refer to it, so they must be destroyed first.
class Context {
  public:
    /// @param tcti as for open_transport
    /// @throws Error as open_transport does
    explicit Context(const std::string& tcti);
    Context(const Context&) = delete;
    Context& operator=(const Context&) = delete;
    ~Context();

    ESYS_CONTEXT* esys() const noexcept { return esys_; }

    /// Set after a reply did not come or was malformed. From then on every call of ESYS fails and sends
    /// nothing.
    const std::optional<Loss>& loss() const noexcept { return tcti_.loss(); }

    void renew_patience() noexcept { tcti_.renew_patience(); }

  private:
    Tcti tcti_;
    ESYS_CONTEXT* esys_ = nullptr;
};

struct EsysFree {
    void operator()(void* memory) const noexcept { Esys_Free(memory); }
};
/// An output that ESYS has allocated.
template <class T>
using EsysOutput = std::unique_ptr<T, EsysFree>;

/// The owner of an object or session in the TPM.
class Handle {
  public:
    Handle() noexcept = default;
    /// A transient object or a session: the destructor flushes it from the TPM.
    static Handle transient(const Context& context, ESYS_TR tr) noexcept { return {context, tr, true}; }
    /// A persistent object: ESYS forgets it, the TPM keeps it.
    static Handle persistent(const Context& context, ESYS_TR tr) noexcept { return {context, tr, false}; }

    Handle(Handle&& other) noexcept
        : esys_(other.esys_), tr_(std::exchange(other.tr_, ESYS_TR_NONE)), in_tpm_(other.in_tpm_) {}
    Handle& operator=(Handle&& other) noexcept;
    Handle(const Handle&) = delete;
    Handle& operator=(const Handle&) = delete;
    ~Handle() { flush(); }

    ESYS_TR tr() const noexcept { return tr_; }
    /// The TPM's number for the object (TPM 2.0 Part 2, 7.2). After a reset another object may get the same
    /// number.
    /// @throws Error
    TPM2_HANDLE tpm_handle() const;
    /// Flushes or forgets the object now, as the destructor would. @returns false if the TPM had lost it
    bool flush() noexcept;
    /// Makes ESYS forget the object, without a command, because the TPM has lost it.
    void abandon() noexcept;
    explicit operator bool() const noexcept { return tr_ != ESYS_TR_NONE; }

  private:
    Handle(const Context& context, ESYS_TR tr, bool in_tpm) noexcept
        : esys_(context.esys()), tr_(tr), in_tpm_(in_tpm) {}

    ESYS_CONTEXT* esys_ = nullptr;
    ESYS_TR tr_ = ESYS_TR_NONE;
    bool in_tpm_ = false; ///< the destructor flushes it from the TPM
};

/// The persistent object at a handle (TPM2_ReadPublic); empty if there is none.
Handle look_up(const Context& context, TPM2_HANDLE handle);

/// TPM2_ReadPublic.
TPMT_PUBLIC read_public(const Context& context, ESYS_TR object);

/// True if the TPM still has this object at its number (TPM2_ReadPublic). After a reset or a flush by another
/// program, the number may be unused, or belong to another program's object.
bool is_still_there(const Context& context, const Handle& object) noexcept;

/// An object's Name, as ESYS knows it; sends no command.
Bytes name_of(const Context& context, ESYS_TR object);

} // namespace sshtpm::tpm
