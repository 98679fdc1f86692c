// SPDX-License-Identifier: MIT
#pragma once
// Commands and responses of a TPM as bytes: what the probe reads in them and how it spoils them.

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <tss2/tss2_tpm2_types.h>

namespace probe {

using Buffer = std::vector<std::uint8_t>;

std::string hex_code(std::uint32_t code);

/// The third field of a command's or response's header: tag u16, size u32, code u32 (TPM 2.0 part 1, 18).
std::optional<std::uint32_t> header_code(const Buffer& message);

/// As part 2, 6.5.2 calls it, "TPM2_Sign"; a number for one without a name here.
std::string command_name(const Buffer& command);

/// The ten bytes of a TPM that refuses.
Buffer error_reply(std::uint32_t code);

/// Gives an ECC key in a command, or its parameters, a type that no TPM has: the TPM then refuses it by
/// itself, after it has checked the authorization, as one without ECC does.
/// @returns for a command with an HMAC, which such a change would spoil: the code that the TPM would answer
///     (part 2, 12.2.2: TPM_RC_TYPE, with the number of the parameter)
std::optional<std::uint32_t> hide_ecc_key(Buffer& command);

/// The algorithms that a TPM without ECC lacks.
inline constexpr std::array<std::uint16_t, 8> ecc_algorithms{
    TPM2_ALG_ECC, TPM2_ALG_ECDSA,     TPM2_ALG_ECDH,  TPM2_ALG_ECDAA,
    TPM2_ALG_SM2, TPM2_ALG_ECSCHNORR, TPM2_ALG_ECMQV, TPM2_ALG_KDF1_SP800_56A};

/// Bytes that are no response, the same at each call.
Buffer garbage_reply();

/// The size field of the header says this much more, or less, than there is.
Buffer with_lying_size(Buffer reply, long difference);

/// One byte flipped. A negative offset counts from the end; nothing stands for the middle.
Buffer corrupted(Buffer reply, std::optional<long> offset);

/// The hash in the scheme of a TPM2_Sign (part 3, 20.2); nothing for another command.
std::optional<std::uint16_t> hash_of_signature(const Buffer& command);

/// The response to TPM2_GetCapability of TPM_CAP_ALGS (part 3, 30.2) without these algorithms; other
/// responses keep what they have.
Buffer without_algorithms(const Buffer& command, Buffer reply, std::span<const std::uint16_t> missing);

enum class SwappedName { adjusted, left };

/// The response of TPM2_ReadPublic or TPM2_CreatePrimary as of a TPM that has another object: its
/// public area and its Name are those of `area`, a TPM2B_PUBLIC; all sizes fit. Other responses, and those
/// without an area (TPM2_Load has the Name alone) or of a failure, keep what they have.
Buffer with_swapped_area(const Buffer& command, const Buffer& reply, const Buffer& area, SwappedName name);

} // namespace probe
