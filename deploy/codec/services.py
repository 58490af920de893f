"""Writes the facts of each service's rpcs as Swift values."""


def method_of(rpc, service, schema):
    """The member of enum Method that stands for the rpc in a batch, or nil."""
    if service.full_name != "ringstore.v1.KeyStore":
        return "nil"
    for name, _, _ in schema.enums[".ringstore.v1.Method"].values:
        if name.lower() == rpc.name.lower():
            return f".{name}"
    return "nil"


def has_key(message):
    kinds = {each.name: each.kind for each in message.fields}
    return kinds.get("key") == "bytes" and kinds.get("database") == "uint32"


def write_paths(service, text):
    """A service whose messages are outlined: its name, and the paths of its calls."""
    text.doc(" ".join(service.comment) or f"The calls of `{service.full_name}`.")
    text.add(f"package enum {service.swift.rsplit('.', 1)[1]} {{",
             f'package static let name = "{service.full_name}"', "")
    for rpc in service.rpcs:
        text.doc(*([" ".join(rpc.comment)] if rpc.comment else []))
        text.add(f'package static let {constant(rpc)} = "/{service.full_name}/{rpc.name}"')
    text.add("}", "")


def constant(rpc):
    return rpc.name[0].lower() + rpc.name[1:]


def write_service(service, schema, text):
    text.doc(" ".join(service.comment) or f"The calls of `{service.full_name}`.")
    text.add(f"package enum {service.swift.rsplit('.', 1)[1]} {{",
             f'package static let name = "{service.full_name}"', "")
    for rpc in service.rpcs:
        if rpc.comment:
            text.doc(" ".join(rpc.comment))
        key = f"{rpc.request.swift}.keyFields" if has_key(rpc.request) else "nil"
        text.add(
            f"package static let {constant(rpc)} = RPC(",
            f'service: name, name: "{rpc.name}", request: {rpc.request.swift}.self,',
            f"reply: {rpc.reply.swift}.self, streamsRequests: {str(rpc.streams_requests).lower()},",
            f"streamsReplies: {str(rpc.streams_replies).lower()},",
            f"isReadOnly: {str(rpc.is_read_only).lower()},",
            f"method: {method_of(rpc, service, schema)}, keyFields: {key})")
    calls = ", ".join(constant(rpc) for rpc in service.rpcs)
    text.add("", f"package static let all: [RPC] = [{calls}]", "}", "")
