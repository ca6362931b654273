"""How good a dream is: scored against the real environment, in worlds that were never trained on."""
