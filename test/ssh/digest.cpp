#include "ssh/digest.hpp"

#include "support/catch.hpp"

using namespace sshtpm;
using ssh::digest;
using ssh::Hash;

TEST_CASE("the examples of FIPS 180 have their digests") { // "abc", and nothing; checked with `openssl dgst`
    CHECK(hex(digest(Hash::sha256, bytes_of("abc"))) ==
          "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    CHECK(hex(digest(Hash::sha384, bytes_of("abc"))) ==
          "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7");
    CHECK(hex(digest(Hash::sha512, bytes_of("abc"))) ==
          "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
          "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f");
    CHECK(hex(digest(Hash::sha256, {})) ==
          "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST_CASE("a digest has the size of its hash") {
    for (const auto hash : {Hash::sha256, Hash::sha384, Hash::sha512})
        CHECK(digest(hash, bytes_of("abc")).size() == ssh::digest_size(hash));
}
