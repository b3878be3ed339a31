"""Starts MiniStack, with three things mended.

Its Lambda Runtime API writes a response in several small pieces. With Nagle's algorithm on, each warm invocation waits
some 40 ms for a delayed acknowledgement; without, it takes 8 ms.

What a PartiQL statement changes does not get into the table's stream, as it does on AWS.

SAM's transform does not learn the values of the stack's parameters, only their defaults.
"""

import socketserver

socketserver.StreamRequestHandler.disable_nagle_algorithm = True

from ministack.services import dynamodb


def streamed(update):
    def updated(table, statement, data=None):
        key, sort, _, error = dynamodb._partiql_key_target(table, statement)

        def item():
            return None if error else table["items"].get(key, {}).get(sort)

        before = item()
        answer = update(table, statement, data)
        if item() is not before:  # an update puts another item in its place
            dynamodb._emit_stream_event(statement["table"], "MODIFY", before, item())
        return answer

    return updated


dynamodb._partiql_update = streamed(dynamodb._partiql_update)

from contextvars import ContextVar

from ministack.services.cloudformation import changesets, engine, handlers
from samtranslator.translator import transform as sam

values = ContextVar("values", default={})


def knowing_values(apply):
    def applied(template, provided=None, previous=None):
        token = values.set(engine._transform_parameters(template, provided, previous))
        try:
            return apply(template, provided, previous)
        finally:
            values.reset(token)

    return applied


def with_values(transform):
    return lambda template, given, *more: transform(template, {**values.get(), **given}, *more)


changesets._apply_transforms = handlers._apply_transforms = knowing_values(engine._apply_transforms)
sam.transform = with_values(sam.transform)

from ministack.app import main

main()
