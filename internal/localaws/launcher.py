"""Starts MiniStack.

Its Lambda Runtime API writes a response in several small pieces. With Nagle's algorithm on, each warm invocation waits
some 40 ms for a delayed acknowledgement; without, it takes 8 ms.
"""

import socketserver

socketserver.StreamRequestHandler.disable_nagle_algorithm = True

from ministack.app import main

main()
