/* wire/session as a server: session.c tells what has to hold. */
#include "session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    session_fuzz(SESSION_SERVER, data, size);
    return 0;
}
