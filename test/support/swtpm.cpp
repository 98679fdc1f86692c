// SPDX-License-Identifier: MIT
#include "support/swtpm.hpp"

#include "base/error.hpp"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <stdexcept>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include <tss2/tss2_esys.h>
#include <tss2/tss2_tctildr.h>

namespace support {

namespace {

sshtpm::UniqueFd listen_at(const std::filesystem::path& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string name = path.string();
    if (name.size() >= sizeof address.sun_path)
        throw std::runtime_error("too long for a socket: " + name);
    std::memcpy(address.sun_path, name.data(), name.size());

    std::filesystem::remove(path);
    sshtpm::UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const void* generic = &address;
    if (!fd || bind(fd.value(), static_cast<const sockaddr*>(generic), sizeof address) != 0 ||
        listen(fd.value(), 64) != 0)
        throw sshtpm::Error::from_errno(errno, name);
    return fd;
}

/// Starts the program with these two descriptors open; it gets SIGKILL when this process ends.
pid_t spawn(std::vector<std::string> words, int first_fd, int second_fd) {
    std::vector<char*> argv;
    for (std::string& word : words)
        argv.push_back(word.data());
    argv.push_back(nullptr);

    // The test framework's handlers must not run in the child: signals wait until it has none.
    sigset_t term;
    sigset_t before;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &term, &before);
    const pid_t parent = getpid();
    const pid_t pid = fork();
    if (pid == 0) { // only async-signal-safe calls from here on
        signal(SIGTERM, SIG_DFL);
        pthread_sigmask(SIG_SETMASK, &before, nullptr);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) // it died before the line above
            _exit(127);
        fcntl(first_fd, F_SETFD, 0);
        fcntl(second_fd, F_SETFD, 0);
        execv(argv[0], argv.data());
        _exit(127);
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    if (pid < 0)
        throw sshtpm::Error::from_errno(errno, "fork");
    return pid;
}

void require_success(const char* call, TSS2_RC rc) {
    if (rc != TSS2_RC_SUCCESS)
        throw sshtpm::Error::from_tpm(sshtpm::Errc::tpm, rc,
                                      std::string(call) + " failed in the test's own context");
}

struct TctiCloser {
    void operator()(TSS2_TCTI_CONTEXT* tcti) const { Tss2_TctiLdr_Finalize(&tcti); }
};
struct EsysCloser {
    void operator()(ESYS_CONTEXT* esys) const { Esys_Finalize(&esys); }
};

/// The number of handles of one kind; swtpm has room for fewer than one reply holds (254).
std::size_t count_handles(ESYS_CONTEXT* esys, TPM2_HANDLE first) {
    TPMS_CAPABILITY_DATA* data = nullptr;
    require_success("Esys_GetCapability",
                    Esys_GetCapability(esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, TPM2_CAP_HANDLES,
                                       first, TPM2_MAX_CAP_HANDLES, nullptr, &data));
    const std::size_t count = data->data.handles.count;
    Esys_Free(data);
    return count;
}

} // namespace

Swtpm::Swtpm() {
    std::filesystem::create_directory(folder_ / "state");
    start();
}

Swtpm::~Swtpm() {
    stop();
}

std::string Swtpm::tcti() const {
    return "swtpm:path=" + (folder_ / "socket").string();
}

void Swtpm::start() {
    if (pid_ > 0)
        return;
    // swtpm accepts from sockets that listen already, so that a client may connect before it is up: the
    // kernel keeps the connection for it and nobody has to wait for readiness.
    const sshtpm::UniqueFd data = listen_at(folder_ / "socket");
    const sshtpm::UniqueFd control = listen_at(folder_ / "socket.ctrl");
    const std::string server = "type=unixio,fd=" + std::to_string(data.value());
    const std::string ctrl = "type=unixio,fd=" + std::to_string(control.value());
    const std::string state = "dir=" + (folder_ / "state").string();
    const std::string log = "file=" + (folder_ / "log").string(); // a line for each command, or stderr has it
    pid_ = spawn({SSH_TPM_TEST_SWTPM, "socket", "--tpm2", "--server", server, "--ctrl", ctrl, "--tpmstate",
                  state, "--log", log, "--flags", "startup-clear"},
                 data.value(), control.value());
}

void Swtpm::stop() noexcept {
    if (pid_ <= 0)
        return;
    kill(pid_, SIGKILL); // swtpm 0.10 sends TPM2_Shutdown at SIGTERM, and then the start is no reset
    sshtpm::uninterrupted([&] { return waitpid(pid_, nullptr, 0); });
    pid_ = -1;
}

std::size_t Swtpm::loaded_handles() const {
    TSS2_TCTI_CONTEXT* tcti_raw = nullptr;
    require_success("Tss2_TctiLdr_Initialize", Tss2_TctiLdr_Initialize(tcti().c_str(), &tcti_raw));
    const std::unique_ptr<TSS2_TCTI_CONTEXT, TctiCloser> tcti(tcti_raw);
    ESYS_CONTEXT* esys_raw = nullptr;
    require_success("Esys_Initialize", Esys_Initialize(&esys_raw, tcti.get(), nullptr));
    const std::unique_ptr<ESYS_CONTEXT, EsysCloser> esys(esys_raw);

    return count_handles(esys.get(), TPM2_TRANSIENT_FIRST) +
           count_handles(esys.get(), TPM2_LOADED_SESSION_FIRST) +
           count_handles(esys.get(), TPM2_ACTIVE_SESSION_FIRST);
}

} // namespace support
