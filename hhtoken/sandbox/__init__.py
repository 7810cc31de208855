"""A local HeadHunter: the OAuth provider with short-lived tokens and every quirk, to test a client against.

    settings  refusals  users             what is registered; the 19 documented token errors; who can sign in
    authorization  provider               the rules; pure, the clock is passed in
    faults  delivery                      what can go wrong on the way
    messages  pages  request_log          requests and answers as values
    endpoints  control  handler  server   the addresses, the levers, the HTTP around them

Nothing here knows the rest of hhtoken, so the sandbox can never agree with the client by sharing its mistakes.
"""
