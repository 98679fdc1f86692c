#include "protocol/userauth.hpp"

#include "base/error.hpp"
#include "wire/reader.hpp"

namespace sshtpm::protocol {

namespace {

constexpr std::uint8_t SSH_MSG_USERAUTH_REQUEST = 50; // RFC 4252 section 6

/// Whether a key of the type that its blob begins with signs by the algorithm. RFC 8332 section 3 gives RSA
/// keys two names besides their own, PROTOCOL.certkeys the same to their certificates.
bool belongs_to(std::string_view algorithm, std::string_view type) {
    if (type == "ssh-rsa" && (algorithm == "rsa-sha2-256" || algorithm == "rsa-sha2-512"))
        return true;
    if (type == "ssh-rsa-cert-v01@openssh.com" && (algorithm == "rsa-sha2-256-cert-v01@openssh.com" ||
                                                   algorithm == "rsa-sha2-512-cert-v01@openssh.com"))
        return true;
    return algorithm == type;
}

void require(bool condition) {
    if (!condition)
        throw Error(Errc::malformed, "not a request for user authentication");
}

UserAuthRequest read_request(wire::Reader reader) {
    UserAuthRequest request;
    request.session_id = copy_of(reader.string());
    require(!request.session_id.empty());
    require(reader.byte() == SSH_MSG_USERAUTH_REQUEST);
    request.user = reader.c_text();
    require(reader.text() == "ssh-connection");
    const auto method = reader.text();
    require(reader.byte() == 1); // a signature follows
    request.algorithm = reader.c_text();
    request.key_blob = copy_of(reader.string());
    require(belongs_to(request.algorithm, wire::Reader(request.key_blob).text()));
    if (method == "publickey-hostbound-v00@openssh.com")
        request.host_key = copy_of(reader.string());
    else
        require(method == "publickey");
    reader.expect_end();
    return request;
}

} // namespace

std::optional<UserAuthRequest> parse_userauth(ByteView data) {
    try { // what does not parse is something else that the client wants signed: the caller decides by that
        return read_request(wire::Reader(data));
    } catch (const Error&) {
        return std::nullopt;
    }
}

} // namespace sshtpm::protocol
