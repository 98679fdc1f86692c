// SPDX-License-Identifier: MIT
#include "attest/answer.hpp"

#include "attest/evidence.hpp"
#include "attest/members.hpp"
#include "base/base64.hpp"
#include "base/error.hpp"
#include "keyfile/attest_structure.hpp"
#include "keyfile/marshal.hpp"
#include "ssh/text.hpp"
#include "wire/writer.hpp"

#include <algorithm>

#include <sodium.h>

namespace sshtpm::attest {

namespace {

namespace json = boost::json;

constexpr std::string_view question_format = "ssh-tpm-attest-1", answer_format = "ssh-tpm-attested-1";
constexpr std::string_view key_label = "ssh-tpm attestation check 1", quote_label = "ssh-tpm quote 1";

} // namespace

Question Question::fresh(PcrSelection pcrs) {
    Question question{.nonce = {}, .pcrs = std::move(pcrs)};
    randombytes_buf(question.nonce.data(), question.nonce.size());
    return question;
}

Question Question::parse(std::string_view text) {
    Question question{.nonce = {}, .pcrs = {}};
    auto rest = text.substr(0, text.find('\n'));
    if (ssh::take_word(rest) != question_format)
        malformed("the question is not of the form " + std::string(question_format));
    const auto nonce = base64_decode(ssh::take_word(rest));
    if (nonce.size() != question.nonce.size())
        malformed("the nonce is not 32 bytes long");
    std::ranges::copy(nonce, question.nonce.begin());
    question.pcrs = PcrSelection::parse(rest);
    if (text != question.text())
        malformed("the question is not in the form that ssh-tpm writes");
    return question;
}

std::string Question::text() const {
    return std::string(question_format) + ' ' + base64_encode(nonce) + ' ' + pcrs.text() + '\n';
}

Answer Answer::parse(std::string_view text) {
    const auto object = parse_object(text, max_answer);
    require_format(object, answer_format);
    const auto& quote = object_member(object, "quote");
    Answer answer{.ak = public_member(object_member(object, "ak")),
                  .quote = bytes_member(quote, "attest"),
                  .signature = keyfile::unmarshal_signature(bytes_member(quote, "sig")),
                  .pcrs = pcr_values_member(object, "pcrs"),
                  .keys = certified_keys(object),
                  .event_log = bytes_member(object, "eventlog")};
    require_same(text, answer.text());
    return answer;
}

std::string Answer::text() const {
    json::array values;
    for (const auto& value : pcrs)
        values.emplace_back(hex(value));
    return line_of({{"format", answer_format},
                    {"ak", json::object{{"public", base64_encode(keyfile::marshal_public(ak))}}},
                    {"quote", json::object{{"attest", base64_encode(quote)},
                                           {"sig", base64_encode(keyfile::marshal_signature(signature))}}},
                    {"pcrs", std::move(values)},
                    {"keys", to_json(keys)},
                    {"eventlog", base64_encode(event_log)}});
}

Digest key_data(const Nonce& nonce, ByteView ssh_blob) {
    return sha256(wire::Writer().text(key_label).string(nonce).string(ssh_blob).bytes());
}

Digest quote_data(const Nonce& nonce, const std::vector<CertifiedKey>& keys) {
    Bytes all;
    for (const auto& key : keys)
        append(all, key.ssh.blob());
    return sha256(wire::Writer().text(quote_label).string(nonce).string(sha256(all)).bytes());
}

Boot verify(const Answer& answer, const Question& question, ByteView host_key) {
    const auto ak = naming("ak", [&] { return AttestationKey(answer.ak); });
    for (const auto& key : answer.keys)
        naming("keys", [&] { ak.require_certified(key, key_data(question.nonce, key.ssh.blob())); });
    const auto statement = naming("quote", [&] {
        return ak.checked(answer.quote, answer.signature, TPM2_ST_ATTEST_QUOTE,
                          quote_data(question.nonce, answer.keys));
    });
    const auto& quoted = statement.attested.quote;
    if (!is_selection(quoted.pcrSelect, question.pcrs))
        refuse("the quote is about other PCRs than " + question.pcrs.text(),
               "the TPM may not have this bank; the other one is sha256 or sha384 (--pcrs)");
    Boot boot{.ak_name = ak.name(),
              .pcrs = question.pcrs.numbered(answer.pcrs),
              .clock = statement.clockInfo,
              .firmware = statement.firmwareVersion};
    if (!equal(keyfile::view_of(quoted.pcrDigest), quoted_digest(boot.pcrs)))
        refuse("the quote is about other values of the PCRs");
    if (std::ranges::none_of(answer.keys, [&](const auto& key) { return equal(key.ssh.blob(), host_key); }))
        refuse("the host key of this connection is not among those that the TPM has certified");
    return boot;
}

} // namespace sshtpm::attest
