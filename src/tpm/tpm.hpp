// SPDX-License-Identifier: MIT
#pragma once
// A TPM: its connection, which is opened again after it is lost, and jobs that use it.

#include "base/error.hpp"
#include "tpm/emulator.hpp"
#include "tpm/loaded_keys.hpp"

#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

namespace sshtpm::tpm {

struct Target {
    std::string tcti;                      ///< a TCTI loader string; unused with an emulator
    std::filesystem::path emulator_state;  ///< not empty: use the emulator with its state in this folder
    std::filesystem::path known_tpms = {}; ///< the file of KnownTpms; may be empty
    KnownTpmsUse known_tpms_use = KnownTpmsUse::user;
    std::shared_ptr<os::Companion> emulator_starter = {}; ///< for a process that may not start programs
};

/// The known parents of the target.
KnownTpms known_tpms_of(const Target& target);

/// Blocking, and for one thread at a time.
class Tpm {
  public:
    /// The first job opens the TPM, or starts the emulator.
    explicit Tpm(const Target& target);

    using Clock = std::chrono::steady_clock;

    /// Runs `job(*this)`, and again from its beginning if the TPM was full or had lost a handle (Remedy).
    /// With the emulator, other programs wait meanwhile, and everything is flushed at the end; a TPM that
    /// programs share through a resource manager keeps our keys loaded. If the connection is lost, or the
    /// TPM's answer is invalid, the job fails, and the next one opens the TPM again, because ESYS answers
    /// every call after a lost reply with an error. If the TPM cannot be opened, the job fails with that
    /// error.
    /// @param waiting_since the time at which the job was ready to begin. If the TPM has missed a deadline
    ///     since, or the emulator could not be used, the job fails with that error: the waiting jobs must not
    ///     wait for a deadline each.
    template <class Job>
    auto run(Job& job, Clock::time_point waiting_since = Clock::now()) {
        const JobEnd end{*this};
        begin_job(waiting_since);
        for (Retries retries;;) {
            try { // caught to try again, and to report a lost connection, which ESYS does not know
                if (broken_)
                    open();
                return job(*this);
            } catch (const Error& error) {
                if (!made_ready_for_another_try(error, retries))
                    throw judged(error);
            } catch (...) {
                broken_ = true;
                throw;
            }
        }
    }

    /// Flushes the keys and the session that have not been used for `limit`. @returns the time for the next
    /// call; nothing if nothing stays loaded
    std::optional<Clock::time_point> rest(Clock::duration limit) noexcept;

    /// Sets the password for CreatePrimary in the owner hierarchy; null for none.
    void use_owner_password(Auth password) { owner_password_ = std::move(password); }

    /// Opens the connection, unless it is open. @throws Error
    void ensure_open() {
        auto nothing = [](Tpm&) {};
        run(nothing);
    }
    /// False while there is no connection: it was never opened, it was lost, or the TPM could not be opened.
    bool is_open() const noexcept { return context_ && !context_->loss(); }
    /// Sends no command. @throws Error as open_transport does, if there is no connection and no TPM to open
    void require_present();

    const Context& context() const noexcept { return *context_; }
    LoadedKeys& keys() noexcept { return *keys_; }

  private:
    struct JobEnd {
        Tpm& tpm;
        ~JobEnd() { tpm.end_job(); }
    };
    void begin_job(Clock::time_point waiting_since);
    void end_job() noexcept;
    struct Retries {
        int full = 0, reloads = 0;
    };
    bool made_ready_for_another_try(const Error& error, Retries& retries);

    void open();
    /// Makes the next job open the connection again if the error requires it. @returns the error to report:
    /// the loss of the connection, if that was the reason
    Error judged(const Error& error);
    void note_loss();

    std::string tcti_;
    std::optional<Emulator> emulator_;
    bool broken_ = true;            ///< the next job opens the connection
    bool unclean_emulator_ = false; ///< the next job prepares the emulator
    /// The last time that a job waited in vain for the TPM or for the emulator.
    struct Hang {
        Error error;
        Clock::time_point noticed;
    };
    std::optional<Hang> hang_;

    // Kept when the connection is opened again.
    KnownTpms known_tpms_;
    Auth owner_password_;
    PrimaryKeys primaries_;

    std::optional<Context> context_;
    std::optional<LoadedKeys> keys_;
};

} // namespace sshtpm::tpm
