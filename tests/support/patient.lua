-- The settings of test servers that bring none of their own, see tidewire.py.
return { limits = { handshake = "1 min", lag = 0 } }
