// Who uses this room speaks of status codes; they have a room of their own below it, because the
// contract's errors have codes as well, and need no transport.

@_exported import StatusCodes
