#include "bind/core.h"

#include <openssl/evp.h>

/* sha256(bytes): in hexadecimal */
int digest_sha256(lua_State *L)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    char text[2 * EVP_MAX_MD_SIZE];
    unsigned length = 0;
    size_t size;
    const char *bytes = luaL_checklstring(L, 1, &size);
    if (!EVP_Digest(bytes, size, digest, &length, EVP_sha256(), NULL))
        return luaL_error(L, "sha256: out of memory");
    for (unsigned i = 0; i < length; i++) {
        text[2 * i] = "0123456789abcdef"[digest[i] >> 4];
        text[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
    }
    lua_pushlstring(L, text, (size_t)2 * length);
    return 1;
}
