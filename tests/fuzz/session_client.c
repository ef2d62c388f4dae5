/* wire/session as a client: session.c tells what has to hold. */
#include "session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    session_fuzz(SESSION_CLIENT, data, size);
    return 0;
}
