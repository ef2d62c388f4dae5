-- The settings of test servers that bring none of their own, see tidewire.py.
return { limits = { lag = 0 } }
