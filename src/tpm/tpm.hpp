#pragma once
// A TPM: its connection, which is opened anew when it is lost, and jobs that use it.

#include "base/error.hpp"
#include "tpm/emulator.hpp"
#include "tpm/loaded_keys.hpp"

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>

namespace sshtpm::tpm {

struct Target {
    std::string tcti;                     ///< a TCTI loader string; unused with an emulator
    std::filesystem::path emulator_state; ///< not empty: the emulator with its state in this folder
    std::filesystem::path known_tpms =
        {}; ///< where the Names of storage keys are kept (KnownTpms); may be empty
};

/// Blocking, and for one thread at a time.
class Tpm {
  public:
    /// Opens the TPM, or starts the emulator.
    /// @throws Error
    explicit Tpm(const Target& target);

    using Clock = std::chrono::steady_clock;

    /// Runs `job(*this)`, and again from its beginning where the TPM was full or had lost a handle (Remedy).
    /// With the emulator no other program has a job under way meanwhile, and all is given back at the end; a
    /// TPM that programs share through a resource manager keeps our keys loaded. When the connection is lost,
    /// or the TPM's answer makes no sense, the job fails; the next one finds everything opened anew, because
    /// ESYS answers every call after a lost reply with an error.
    /// @param waiting_since when the job was ready to begin. If the TPM has missed a deadline since, or the
    ///     emulator was not to be had, the job fails with that: the jobs that queue behind a TPM that hangs
    ///     must not wait for a deadline each.
    template <class Job>
    auto run(Job& job, Clock::time_point waiting_since = Clock::now()) {
        const JobEnd end{*this};
        begin_job(waiting_since);
        for (Retries retries;;) {
            try { // caught to try again, and to report the loss of the connection, which ESYS does not know
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

    /// Flushes the keys and the session that have not been used for so long. @returns when to call it again;
    /// nothing when nothing stays loaded.
    std::optional<Clock::time_point> rest(Clock::duration limit) noexcept;

    /// For CreatePrimary in the owner hierarchy; null for none.
    void use_owner_password(Auth password) { owner_password_ = std::move(password); }

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
        int rooms = 0, reloads = 0;
    };
    bool made_ready_for_another_try(const Error& error, Retries& retries);

    void open();
    /// Has the connection opened anew by the next job if the error demands it. @returns the error to report:
    /// the loss of the connection, if that was the reason.
    Error judged(const Error& error);
    void note_loss();

    std::string tcti_;
    std::optional<Emulator> emulator_;
    bool broken_ = true;            ///< to be opened by the next job
    bool unclean_emulator_ = false; ///< to be prepared when it is opened
    /// The last time that a job waited in vain, for the TPM or for the emulator.
    struct Hang {
        Error error;
        Clock::time_point noticed;
    };
    std::optional<Hang> hang_;

    // Kept when the connection is opened anew.
    KnownTpms known_tpms_;
    Auth owner_password_;
    PrimaryKeys primaries_;

    std::optional<Context> context_;
    std::optional<LoadedKeys> keys_;
};

} // namespace sshtpm::tpm
