-- Short, so that peers who do not answer cannot hold up the end of the test.
return { limits = { close = 0.5, drain = 2 } }
